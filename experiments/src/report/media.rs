//! Pictures and sounds that travel inside the page as `data:` addresses.

use std::{fmt, sync::Arc};

use base64::{Engine, display::Base64Display, engine::general_purpose::STANDARD};
use minijinja::value::{Object, ObjectRepr, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A picture or a sound, encoded; cloning shares the bytes. Serialised as its `data:` address.
#[derive(Clone, PartialEq, Eq)]
pub struct Media {
    format: Format,
    bytes: Arc<[u8]>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Png,
    Jpeg,
    Wav,
}

impl Format {
    /// The address up to the encoded bytes.
    fn prefix(self) -> &'static str {
        match self {
            Self::Png => "data:image/png;base64,",
            Self::Jpeg => "data:image/jpeg;base64,",
            Self::Wav => "data:audio/wav;base64,",
        }
    }
}

impl Media {
    /// A picture from the bytes of a PNG file.
    pub fn png(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { format: Format::Png, bytes: bytes.into() }
    }

    /// A picture from the bytes of a JPEG file.
    pub fn jpeg(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { format: Format::Jpeg, bytes: bytes.into() }
    }

    /// A sound from the bytes of a WAV file.
    pub fn wav(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { format: Format::Wav, bytes: bytes.into() }
    }

    /// The encoded file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A template value; the page's formatter prints its address without ever holding it as one string.
    pub(super) fn to_value(&self) -> Value {
        Value::from_object(self.clone())
    }
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.format.prefix(), Base64Display::new(&self.bytes, &STANDARD))
    }
}

impl fmt::Debug for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({} bytes)", self.format.prefix(), self.bytes.len())
    }
}

impl Object for Media {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Media {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Media {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let address = String::deserialize(deserializer)?;
        for format in [Format::Png, Format::Jpeg, Format::Wav] {
            if let Some(encoded) = address.strip_prefix(format.prefix()) {
                let bytes = STANDARD.decode(encoded).map_err(D::Error::custom)?;
                return Ok(Self { format, bytes: bytes.into() });
            }
        }
        let start: String = address.chars().take(32).collect();
        Err(D::Error::custom(format!(
            "expected an address that starts with `{}`, `{}` or `{}`, got `{start}`",
            Format::Png.prefix(),
            Format::Jpeg.prefix(),
            Format::Wav.prefix()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_survive_a_round_trip_as_data_addresses() {
        for media in [Media::png(vec![1, 2, 3, 255]), Media::jpeg(vec![7]), Media::wav(vec![])] {
            let json = serde_json::to_string(&media).unwrap();
            assert_eq!(serde_json::from_str::<Media>(&json).unwrap(), media);
        }
        assert_eq!(Media::png(vec![1, 2, 3, 255]).to_string(), "data:image/png;base64,AQID/w==");
    }

    #[test]
    fn another_address_is_refused_with_what_was_expected() {
        let message = serde_json::from_str::<Media>("\"https://example.org/a.png\"").unwrap_err().to_string();
        assert!(message.contains("got `https://example.org/a.png`"), "{message}");
    }
}
