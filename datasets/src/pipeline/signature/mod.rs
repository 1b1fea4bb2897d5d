//! What is compared in place of pictures, sounds and texts, to find those that are nearly the same.

mod audio;
mod bands;
mod image;
mod near;
mod spill;
mod text;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) use audio::{SoundHasher, SoundSignature};
pub(crate) use bands::near_leaders;
pub(crate) use image::PictureSignature;
pub(crate) use near::BitIndex;
pub(crate) use spill::{Record, SpillWriter};
pub(crate) use text::{TextHasher, TextSignature};

/// The signatures of a sample; they live from one stage to the next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Signature {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<PictureSignature>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<SoundSignature>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextSignature>,
}

impl Signature {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Bytes as base64 in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Packed(pub Vec<u8>);

impl Serialize for Packed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD_NO_PAD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD_NO_PAD.decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}
