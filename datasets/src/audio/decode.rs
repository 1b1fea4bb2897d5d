//! Encoded sound to a waveform.

use std::io::{Cursor, ErrorKind};

use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

use super::Waveform;
use crate::signature::describe;

const RATES_HZ: std::ops::RangeInclusive<u32> = 1_000..=768_000;
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
    let content = describe(bytes);
    let broken = |reason: String| AudioError::Broken { extension: extension.to_owned(), content, reason };
    let unknown =
        |reason: String| AudioError::UnknownFormat { extension: extension.to_owned(), content, reason };
    let stream = MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default());
    let mut hint = Hint::new();
    hint.with_extension(extension);
    let mut format = symphonia::default::get_probe()
        .probe(&hint, stream, FormatOptions::default(), MetadataOptions::default())
        .map_err(|e| unknown(e.to_string()))?;
    let track =
        format.default_track(TrackType::Audio).ok_or_else(|| unknown("it has no sound track".into()))?;
    let track_id = track.id;
    let parameters = track
        .codec_params
        .as_ref()
        .and_then(|parameters| parameters.audio())
        .ok_or_else(|| unknown("its sound track names no codec".into()))?;
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|e| unknown(e.to_string()))?;

    let mut samples = Vec::new();
    let mut rate_hz = None;
    let mut interleaved: Vec<f32> = Vec::new();
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            Err(SymphoniaError::IoError(e)) if e.kind() == ErrorKind::UnexpectedEof => {
                return Err(broken(format!("it is cut short after {} samples", samples.len())));
            }
            Err(e) => return Err(broken(e.to_string())),
        };
        if packet.track_id != track_id {
            continue;
        }
        let decoded = decoder.decode(&packet).map_err(|e| broken(e.to_string()))?;
        let (packet_rate_hz, n_channels) = (decoded.spec().rate(), decoded.num_planes());
        if !RATES_HZ.contains(&packet_rate_hz) || n_channels == 0 {
            return Err(broken(format!("{packet_rate_hz} Hz and {n_channels} channels")));
        }
        if *rate_hz.get_or_insert(packet_rate_hz) != packet_rate_hz {
            return Err(broken(format!("its rate changes to {packet_rate_hz} Hz")));
        }
        decoded.copy_to_vec_interleaved(&mut interleaved);
        let scale = 1.0 / n_channels as f32;
        samples.extend(interleaved.chunks_exact(n_channels).map(|frame| frame.iter().sum::<f32>() * scale));
        let max_samples = (max_s * f64::from(packet_rate_hz)).min(MAX_SAMPLES as f64);
        if samples.len() as f64 > max_samples {
            return Err(AudioError::TooLong { max_s: max_samples / f64::from(packet_rate_hz) });
        }
    }
    let Some(rate_hz) = rate_hz.filter(|_| !samples.is_empty()) else {
        return Err(AudioError::Silent { extension: extension.to_owned() });
    };
    if let Some(sample_idx) = samples.iter().position(|sample| !sample.is_finite()) {
        return Err(AudioError::NotFinite { sample_idx, value: samples[sample_idx] });
    }
    Ok(Waveform { samples, rate_hz })
}
