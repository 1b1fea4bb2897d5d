//! WAV files.

use std::io::Cursor;

use super::{AudioError, Waveform};

/// Packs a sound into a WAV file: 16 bits, one channel; louder samples than 1 are cut.
///
/// # Errors
/// A sound longer than a WAV file can be.
pub fn encode_wav(waveform: &Waveform) -> Result<Vec<u8>, AudioError> {
    let broken = |e: hound::Error| AudioError::Broken {
        extension: "wav".to_owned(),
        content: "samples",
        reason: e.to_string(),
    };
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: waveform.rate_hz,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut bytes = Vec::with_capacity(waveform.samples.len() * 2 + 64);
    let mut writer = hound::WavWriter::new(Cursor::new(&mut bytes), spec).map_err(broken)?;
    let n_samples = u32::try_from(waveform.samples.len())
        .map_err(|_| AudioError::TooLong { max_s: f64::from(u32::MAX) / f64::from(waveform.rate_hz) })?;
    let mut block = writer.get_i16_writer(n_samples);
    for sample in &waveform.samples {
        block.write_sample((sample.clamp(-1.0, 1.0) * 32767.0).round() as i16);
    }
    block.flush().map_err(broken)?;
    writer.finalize().map_err(broken)?;
    Ok(bytes)
}

/// The length in seconds that a file's header tells, without decoding it. Only WAV headers tell.
pub fn header_duration_s(bytes: &[u8], extension: &str) -> Option<f64> {
    if extension != "wav" {
        return None;
    }
    let reader = hound::WavReader::new(bytes).ok()?;
    let rate_hz = reader.spec().sample_rate;
    (rate_hz > 0).then(|| f64::from(reader.duration()) / f64::from(rate_hz))
}
