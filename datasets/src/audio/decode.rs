//! Encoded sound to a waveform.

use std::io::Cursor;

use super::{SoundStream, Waveform};

/// More samples are refused at any rate: a gibibyte of them.
const MAX_SAMPLES: usize = 1 << 28;

/// A sound that cannot be decoded or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AudioError {
    /// There is nothing in it.
    #[error("expected a sound, got an empty file")]
    Empty,
    /// There is a header, and no sample after it.
    #[error("expected at least one sample in a file .{extension}, got none")]
    Silent {
        /// The file's ending.
        extension: String,
    },
    /// Its content is of no format that is known here.
    #[error(
        "expected WAV, FLAC, MP3, Ogg Vorbis or AAC sound, or a video with such, got {content} in a file .{extension}: \
         {reason}"
    )]
    UnknownFormat {
        /// The file's ending.
        extension: String,
        /// What its first bytes look like.
        content: &'static str,
        /// The decoder's words.
        reason: String,
    },
    /// The decoder gave up.
    #[error("broken sound in a file .{extension} that begins as {content}: {reason}")]
    Broken {
        /// The file's ending.
        extension: String,
        /// What its first bytes look like.
        content: &'static str,
        /// The decoder's words.
        reason: String,
    },
    /// It goes on for longer than it may.
    #[error("expected at most {max_s} s of sound, got more")]
    TooLong {
        /// The limit in seconds.
        max_s: f64,
    },
    /// A sample is not a number.
    #[error("expected finite samples, got {value} at sample {sample_idx}")]
    NotFinite {
        /// Where.
        sample_idx: usize,
        /// What.
        value: f32,
    },
    /// The rate cannot be changed.
    #[error("cannot resample from {from_hz} Hz to {to_hz} Hz: {reason}")]
    Resample {
        /// The rate it has.
        from_hz: u32,
        /// The rate it should have.
        to_hz: u32,
        /// The resampler's words.
        reason: String,
    },
}

/// Decodes a sound of any known format, or the first sound track of a video; channels are averaged. The content decides the format, the file's ending
/// only says where to look first.
///
/// # Errors
/// An empty file, an unknown format, a broken file, a sample that is not finite, a rate outside 1 to 768 kHz, more
/// than `max_s` seconds, or more than 268 million samples.
pub fn decode(bytes: &[u8], extension: &str, max_s: f64) -> Result<Waveform, AudioError> {
    if bytes.is_empty() {
        return Err(AudioError::Empty);
    }
    let mut stream = SoundStream::open(Box::new(Cursor::new(bytes)), extension)?;
    let mut samples = Vec::new();
    while stream.read(&mut samples)? {
        let rate_hz = f64::from(stream.rate_hz().unwrap_or(u32::MAX));
        let max_samples = (max_s * rate_hz).min(MAX_SAMPLES as f64);
        if samples.len() as f64 > max_samples {
            return Err(AudioError::TooLong { max_s: max_samples / rate_hz });
        }
    }
    match stream.rate_hz() {
        Some(rate_hz) if !samples.is_empty() => Ok(Waveform { samples, rate_hz }),
        _ => Err(AudioError::Silent { extension: extension.to_owned() }),
    }
}

/// Decodes a sound and brings it to [`super::RATE_HZ`].
///
/// # Errors
/// Those of [`decode`] and [`Waveform::at_rate`].
pub fn decode_at_rate(bytes: &[u8], extension: &str, max_s: f64) -> Result<Vec<f32>, AudioError> {
    Ok(decode(bytes, extension, max_s)?.at_rate()?.samples)
}
