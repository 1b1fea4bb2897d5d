//! The pairs of modalities that are compared.

use triptych_encoders::Modality;

/// Two modalities whose samples belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pair {
    /// Pictures and what their texts mean.
    ImageText,
    /// Sounds and how their texts are said.
    AudioText,
    /// Pictures and what is said of them.
    ImageAudio,
}

impl Pair {
    /// Every pair, in the order of the parameters that each has of its own.
    pub const ALL: [Self; 3] = [Self::ImageText, Self::AudioText, Self::ImageAudio];

    /// Position in [`Self::ALL`].
    pub fn idx(self) -> usize {
        self as usize
    }

    /// Both modalities.
    pub const fn modalities(self) -> &'static [Modality; 2] {
        match self {
            Self::ImageText => &[Modality::Image, Modality::Text],
            Self::AudioText => &[Modality::Audio, Modality::Text],
            Self::ImageAudio => &[Modality::Image, Modality::Audio],
        }
    }

    /// Lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ImageText => "image_text",
            Self::AudioText => "audio_text",
            Self::ImageAudio => "image_audio",
        }
    }

    /// The pair of two modalities, in either order; `None` for two of one modality.
    pub fn of(a: Modality, b: Modality) -> Option<Self> {
        Self::ALL.into_iter().find(|pair| a != b && [a, b].iter().all(|m| pair.modalities().contains(m)))
    }
}
