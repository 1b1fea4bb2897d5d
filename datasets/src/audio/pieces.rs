//! Long sounds in pieces that overlap, in memory that does not grow with them.
//!
//! ```text
//! samples     0 1 2 3 4 5 6 7 8 9
//! piece 0     k k k k o             heard 5, overlap 1; k = kept, o = heard alone
//! piece 1           o k k k o
//! piece 2                 o k k k
//! ```

use std::ops::Range;

use symphonia::core::io::MediaSource;

use super::{AudioError, RATE_HZ, SoundStream, resample};

/// The longest sound; a broken file could go on without end.
const MAX_S: f64 = 24.0 * 3600.0;

/// Samples at [`RATE_HZ`] around a piece that the resampler reads besides; its filter is shorter.
const MARGIN: u64 = RATE_HZ as u64 / 2;

/// How a sound is cut, in samples at [`RATE_HZ`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PieceLengths {
    /// Most of a piece.
    pub heard: usize,
    /// At an inner end of a piece, heard and not kept.
    pub overlap: usize,
}

impl PieceLengths {
    /// # Errors
    /// When a piece has nothing but overlap, in words.
    pub fn check(&self) -> Result<(), String> {
        if self.heard > self.overlap.saturating_mul(2) {
            return Ok(());
        }
        let both = self.overlap.saturating_mul(2);
        Err(format!("expected pieces of more than {both} samples, both overlaps, got {}", self.heard))
    }

    /// Samples from the start of a piece to that of the next.
    fn step(&self) -> u64 {
        (self.heard - 2 * self.overlap) as u64
    }
}

/// A piece of a sound.
#[derive(Clone, Debug, PartialEq)]
pub struct SoundPiece {
    /// At [`RATE_HZ`].
    pub samples: Vec<f32>,
    /// Samples of the whole sound before the piece.
    pub start: u64,
    /// What of it is kept: every sample of the sound is in one piece's.
    pub kept: Range<usize>,
}

impl SoundPiece {
    /// When what is kept begins and ends.
    pub fn kept_s(&self) -> [f64; 2] {
        [self.kept.start, self.kept.end].map(|at| (self.start + at as u64) as f64 / f64::from(RATE_HZ))
    }
}

/// The pieces of an encoded sound, in order. One that fits into a piece is what [`super::decode_at_rate`] gives.
pub struct SoundPieces<'a> {
    stream: SoundStream<'a>,
    extension: String,
    lengths: PieceLengths,
    /// At the sound's own rate.
    buffer: Vec<f32>,
    /// Its samples before the buffer.
    n_dropped: u64,
    /// Where the next piece starts, at [`RATE_HZ`]; none behind the last.
    next: Option<u64>,
}

impl<'a> SoundPieces<'a> {
    /// Finds out what it is; nothing is decoded yet.
    ///
    /// # Errors
    /// An unknown format, or one without sound.
    ///
    /// # Panics
    /// When [`PieceLengths::check`] finds fault.
    pub fn open(
        source: Box<dyn MediaSource + 'a>,
        extension: &str,
        lengths: PieceLengths,
    ) -> Result<Self, AudioError> {
        assert_eq!(lengths.check(), Ok(()), "the lengths must be checked first");
        let stream = SoundStream::open(source, extension)?;
        let extension = extension.to_owned();
        Ok(Self { stream, extension, lengths, buffer: Vec::new(), n_dropped: 0, next: Some(0) })
    }

    /// The next piece; none behind the last.
    ///
    /// # Errors
    /// Those of [`SoundStream::read`], a sound of more than a day, and one of no sample.
    pub fn read(&mut self) -> Result<Option<SoundPiece>, AudioError> {
        let Some(start) = self.next else { return Ok(None) };
        let PieceLengths { heard, overlap } = self.lengths;
        let end = start + heard as u64;
        // a sample more tells whether it is the last
        let is_last = loop {
            let rate_hz = self.stream.rate_hz().map_or(0, u64::from);
            let wanted = (end + MARGIN).saturating_mul(rate_hz) / u64::from(RATE_HZ);
            if rate_hz > 0 && self.stream.n_samples() > wanted + 1 {
                break false;
            }
            if self.stream.n_samples() as f64 > MAX_S * rate_hz.max(1) as f64 {
                return Err(AudioError::TooLong { max_s: MAX_S });
            }
            if !self.stream.read(&mut self.buffer)? {
                // less than the margin may be left behind this piece
                break self.stream.n_samples() * u64::from(RATE_HZ) <= end * rate_hz;
            }
        };
        let Some(rate_hz) = self.stream.rate_hz().filter(|_| self.stream.n_samples() > 0) else {
            return Err(AudioError::Silent { extension: self.extension.clone() });
        };
        // both rates meet every so many samples: from there the resampler gives what it gives of the whole
        let (unit, native_unit) = units(rate_hz);
        let first = start.saturating_sub(MARGIN) / unit;
        let native_first = (first * native_unit).saturating_sub(self.n_dropped) as usize;
        let native_last = match is_last {
            true => self.buffer.len(),
            false => (((end + MARGIN).div_ceil(unit) * native_unit) - self.n_dropped) as usize,
        };
        let native = &self.buffer[native_first.min(self.buffer.len())..native_last.min(self.buffer.len())];
        let mut samples = resample(native, rate_hz, RATE_HZ)?;
        samples.drain(..((start - first * unit) as usize).min(samples.len()));
        let kept_start = if start == 0 { 0 } else { overlap };
        let kept_end = match is_last {
            true => samples.len(),
            false => {
                samples.truncate(heard);
                heard - overlap
            }
        };
        self.next = (!is_last).then(|| start + self.lengths.step());
        if let Some(next) = self.next {
            let needed = next.saturating_sub(MARGIN) / unit * native_unit;
            let n_spare = (needed.saturating_sub(self.n_dropped) as usize).min(self.buffer.len());
            self.buffer.drain(..n_spare);
            self.n_dropped += n_spare as u64;
        }
        Ok(Some(SoundPiece { kept: kept_start.min(kept_end)..kept_end, samples, start }))
    }
}

/// How many samples at [`RATE_HZ`] and at another rate last equally long, the least of them.
fn units(rate_hz: u32) -> (u64, u64) {
    let (mut a, mut b) = (u64::from(RATE_HZ), u64::from(rate_hz));
    while b > 0 {
        (a, b) = (b, a % b);
    }
    (u64::from(RATE_HZ) / a, u64::from(rate_hz) / a)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::audio::{Waveform, decode_at_rate, encode_wav};

    /// How far samples of pieces may lie from those of the whole, which the resampler reads in other blocks.
    const TOLERANCE: f32 = 1e-4;

    fn wav(n_samples: usize, rate_hz: u32) -> Vec<u8> {
        let sample = |idx: usize| {
            let t = idx as f32 / rate_hz as f32;
            0.5 * (t * 2764.6).sin() + 0.2 * (t * t * 700.0).sin()
        };
        encode_wav(&Waveform { samples: (0..n_samples).map(sample).collect(), rate_hz }).expect("a sound")
    }

    fn pieces(bytes: &[u8], heard: usize, overlap: usize) -> Vec<SoundPiece> {
        let lengths = PieceLengths { heard, overlap };
        let mut pieces = SoundPieces::open(Box::new(Cursor::new(bytes)), "wav", lengths).expect("a sound");
        std::iter::from_fn(|| pieces.read().expect("it is whole")).collect()
    }

    #[test]
    fn every_sample_is_kept_once_and_is_that_of_the_whole() {
        for rate_hz in [16_000, 8000, 44_100, 22_050, 48_000, 11_025] {
            for duration_s in [0.1, 1.0, 3.0, 5.3, 7.0] {
                let bytes = wav((duration_s * f64::from(rate_hz)) as usize, rate_hz);
                let whole = decode_at_rate(&bytes, "wav", 100.0).expect("a sound");
                for (heard, overlap) in [(16_000, 0), (20_000, 1600), (32_000, 8000)] {
                    let pieces = pieces(&bytes, heard, overlap);
                    let mut joined = Vec::new();
                    for (idx, piece) in pieces.iter().enumerate() {
                        assert!(piece.samples.len() <= heard + 1, "{rate_hz} Hz");
                        assert_eq!(piece.start + piece.kept.start as u64, joined.len() as u64);
                        let is_inner = idx > 0;
                        assert_eq!(piece.kept.start, if is_inner { overlap } else { 0 });
                        joined.extend_from_slice(&piece.samples[piece.kept.clone()]);
                    }
                    assert!(joined.len().abs_diff(whole.len()) <= 1, "{rate_hz} Hz, {duration_s} s");
                    // the last of a sound rings where it is cut off
                    let n = whole.len().min(joined.len());
                    for (idx, (got, expected)) in joined.iter().zip(&whole).take(n).enumerate() {
                        let apart = (got - expected).abs();
                        assert!(apart <= TOLERANCE, "{rate_hz} Hz, {duration_s} s, sample {idx}: {apart}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_sound_that_fits_is_the_whole_bit_for_bit() {
        for rate_hz in [16_000, 44_100] {
            let bytes = wav(rate_hz as usize * 2, rate_hz);
            let whole = decode_at_rate(&bytes, "wav", 100.0).expect("a sound");
            let pieces = pieces(&bytes, 3 * 16_000, 1600);
            assert_eq!((pieces.len(), &pieces[0].samples, pieces[0].start), (1, &whole, 0));
            assert_eq!(pieces[0].kept, 0..whole.len());
        }
    }

    #[test]
    fn memory_does_not_grow_with_the_sound() {
        let bytes = wav(44_100 * 60, 44_100);
        let lengths = PieceLengths { heard: 32_000, overlap: 1600 };
        let mut pieces = SoundPieces::open(Box::new(Cursor::new(&bytes)), "wav", lengths).expect("a sound");
        let mut most = 0;
        while pieces.read().expect("it is whole").is_some() {
            most = most.max(pieces.buffer.capacity());
        }
        // two seconds, the margins, and what the decoder gives at once
        assert!(most < 44_100 * 8, "{most} samples");
    }

    #[test]
    fn cut_off_and_empty_sounds_are_told() {
        let open = |bytes: &'static [u8]| {
            let lengths = PieceLengths { heard: 100, overlap: 0 };
            SoundPieces::open(Box::new(Cursor::new(bytes)), "wav", lengths).map(|_| ())
        };
        assert!(matches!(open(b""), Err(AudioError::UnknownFormat { .. })));
        assert!(matches!(open(b"nothing of that kind"), Err(AudioError::UnknownFormat { .. })));
        assert!(PieceLengths { heard: 4, overlap: 2 }.check().is_err());
    }
}
