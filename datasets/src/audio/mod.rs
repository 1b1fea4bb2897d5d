//! Sound: decoding, resampling, augmentation, log-mel frames, filterbank energies and frames of the waveform.

mod augment;
mod bands;
mod decode;
mod fbank;
mod filterbank;
mod g722;
mod log_mel;
mod logarithm;
mod noise;
mod pieces;
mod resample;
mod spec_augment;
mod spectrum;
mod stream;
mod transform;
mod triangle;
mod wav;
mod waveform_frames;

pub use augment::AudioAugment;
pub use decode::{AudioError, decode, decode_at_rate};
pub use fbank::{Fbank, FbankOptions};
pub use g722::decode_g722;
pub use log_mel::LogMel;
pub use noise::{NoiseClips, NoiseColour, NoiseError};
pub use pieces::{PieceLengths, SoundPiece, SoundPieces};
pub use resample::{change_speed, resample};
pub use spec_augment::{MaskFill, SpecAugment};
pub use stream::{SoundStream, measure};
pub use transform::{AudioPipeline, AudioTransform, Features};
pub use wav::{encode_wav, header_duration_s};

/// What every model here hears.
pub const RATE_HZ: u32 = 16_000;

/// Samples of a frame where frames are the waveform itself: 10 ms, as far apart as all other frames are.
pub const SAMPLES_PER_FRAME: usize = RATE_HZ as usize / 100;

/// Decoded sound: one channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Waveform {
    /// About -1 to 1.
    pub samples: Vec<f32>,
    /// Samples a second.
    pub rate_hz: u32,
}

impl Waveform {
    /// Length in seconds.
    pub fn duration_s(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.rate_hz)
    }

    /// The same sound at [`RATE_HZ`], which is what everything here listens to.
    ///
    /// # Errors
    /// Those of [`resample`].
    pub fn at_rate(self) -> Result<Self, AudioError> {
        if self.rate_hz == RATE_HZ {
            return Ok(self);
        }
        Ok(Self { samples: resample(&self.samples, self.rate_hz, RATE_HZ)?, rate_hz: RATE_HZ })
    }
}

/// Log-mel frames, filterbank energies, or stretches of the waveform, of one clip.
#[derive(Clone, Debug, PartialEq)]
pub struct Frames {
    /// `[n_frames, n_mels]`, frame by frame.
    pub values: Vec<f32>,
    /// Number of frames, 100 a second.
    pub n_frames: usize,
    /// Mel bands, or samples, in a frame.
    pub n_mels: usize,
}
