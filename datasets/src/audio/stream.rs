//! Encoded sound, block by block: a recording of any length in memory that does not grow with it.

use std::io::{ErrorKind, Read, Seek, SeekFrom};

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::meta::MetadataOptions;

use super::AudioError;
use crate::signature::describe;

/// Bytes at the start of a file that tell what it is.
const LONGEST_SIGNATURE: u64 = 512;
const RATES_HZ: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// A sound of any known format on its way through the decoder; channels are averaged. The content decides the format, the
/// file's ending only says where to look first.
pub struct SoundStream<'a> {
    format: Box<dyn FormatReader + 'a>,
    decoder: Box<dyn AudioDecoder>,
    track_id: u32,
    extension: String,
    /// What its first bytes look like.
    content: &'static str,
    rate_hz: Option<u32>,
    n_samples: u64,
    interleaved: Vec<f32>,
}

impl<'a> SoundStream<'a> {
    /// Finds out what it is; nothing is decoded yet.
    ///
    /// # Errors
    /// An unknown format, or one without sound.
    pub fn open(mut source: Box<dyn MediaSource + 'a>, extension: &str) -> Result<Self, AudioError> {
        let mut content = "nothing";
        let unknown =
            |content, reason| AudioError::UnknownFormat { extension: extension.to_owned(), content, reason };
        if source.is_seekable() {
            let mut start = Vec::new();
            let read = (&mut source).take(LONGEST_SIGNATURE).read_to_end(&mut start);
            let read = read.and_then(|_| source.seek(SeekFrom::Start(0)));
            read.map_err(|e| unknown(content, e.to_string()))?;
            content = describe(&start);
        }
        let unknown = |reason| unknown(content, reason);
        let stream = MediaSourceStream::new(source, Default::default());
        let mut hint = Hint::new();
        hint.with_extension(extension);
        let format = symphonia::default::get_probe()
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
        let decoder = symphonia::default::get_codecs()
            .make_audio_decoder(parameters, &AudioDecoderOptions::default())
            .map_err(|e| unknown(e.to_string()))?;
        let extension = extension.to_owned();
        Ok(Self {
            format,
            decoder,
            track_id,
            extension,
            content,
            rate_hz: None,
            n_samples: 0,
            interleaved: Vec::new(),
        })
    }

    /// Appends the next block of samples to `samples`; false at the end.
    ///
    /// # Errors
    /// A broken or cut file, a rate outside 1 to 768 kHz or one that changes, a sample that is not finite.
    pub fn read(&mut self, samples: &mut Vec<f32>) -> Result<bool, AudioError> {
        let packet = loop {
            match self.format.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track_id => break packet,
                Ok(Some(_)) => {}
                Ok(None) => return Ok(false),
                Err(SymphoniaError::IoError(e)) if e.kind() == ErrorKind::UnexpectedEof => {
                    let reason = format!("it is cut short after {} samples", self.n_samples);
                    return Err(self.broken(reason));
                }
                Err(e) => return Err(self.broken(e.to_string())),
            }
        };
        let broken =
            |reason| AudioError::Broken { extension: self.extension.clone(), content: self.content, reason };
        let decoded = self.decoder.decode(&packet).map_err(|e| broken(e.to_string()))?;
        let (rate_hz, n_channels) = (decoded.spec().rate(), decoded.num_planes());
        if !RATES_HZ.contains(&rate_hz) || n_channels == 0 {
            return Err(broken(format!("{rate_hz} Hz and {n_channels} channels")));
        }
        if *self.rate_hz.get_or_insert(rate_hz) != rate_hz {
            return Err(broken(format!("its rate changes to {rate_hz} Hz")));
        }
        decoded.copy_to_vec_interleaved(&mut self.interleaved);
        let (start, scale) = (samples.len(), 1.0 / n_channels as f32);
        samples
            .extend(self.interleaved.chunks_exact(n_channels).map(|frame| frame.iter().sum::<f32>() * scale));
        if let Some(place) = samples[start..].iter().position(|sample| !sample.is_finite()) {
            let (sample_idx, value) = (self.n_samples as usize + place, samples[start + place]);
            return Err(AudioError::NotFinite { sample_idx, value });
        }
        self.n_samples += (samples.len() - start) as u64;
        Ok(true)
    }

    /// Samples a second, known once a block was read.
    pub fn rate_hz(&self) -> Option<u32> {
        self.rate_hz
    }

    /// Samples so far, of one channel.
    pub fn n_samples(&self) -> u64 {
        self.n_samples
    }

    fn broken(&self, reason: String) -> AudioError {
        AudioError::Broken { extension: self.extension.clone(), content: self.content, reason }
    }
}

/// Decodes a sound and forgets it: its length in seconds.
///
/// # Errors
/// As [`super::decode`].
pub fn measure(bytes: &[u8], extension: &str, max_s: f64) -> Result<f64, AudioError> {
    if bytes.is_empty() {
        return Err(AudioError::Empty);
    }
    let mut stream = SoundStream::open(Box::new(std::io::Cursor::new(bytes)), extension)?;
    let mut block = Vec::new();
    let mut duration_s = 0.0;
    while stream.read(&mut block)? {
        block.clear();
        duration_s = stream.rate_hz().map_or(0.0, |rate_hz| stream.n_samples() as f64 / f64::from(rate_hz));
        if duration_s > max_s {
            return Err(AudioError::TooLong { max_s });
        }
    }
    if stream.n_samples() == 0 {
        return Err(AudioError::Silent { extension: extension.to_owned() });
    }
    Ok(duration_s)
}
