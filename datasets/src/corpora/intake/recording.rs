//! Spans cut out of recordings. Rows mostly come in the order of time, so a recording stays open and is decoded once.

use crate::audio::{SoundStream, Waveform, encode_wav};
use crate::sample::Media;

use super::Source;
use super::source::extension;

/// Longer spans are not held in memory.
const MAX_SPAN_S: f64 = 3600.0;

/// Cuts spans, one after the other.
#[derive(Default)]
pub(crate) struct Cutter {
    open: Option<OpenRecording>,
}

struct OpenRecording {
    path: String,
    stream: SoundStream<'static>,
    /// Decoded samples, from `first_sample` of the recording on.
    samples: Vec<f32>,
    first_sample: u64,
    is_at_end: bool,
    is_broken: bool,
}

impl Cutter {
    /// The span from `start_s` to `end_s` of a file, or to its end, as a WAV file, and its length in seconds.
    ///
    /// # Errors
    /// In words: a file that cannot be decoded, a span that is not in it.
    pub(crate) fn cut(
        &mut self,
        source: &Source,
        path: &str,
        start_s: f64,
        end_s: Option<f64>,
    ) -> Result<(Media, f64), String> {
        check_span(start_s, end_s)?;
        // whatever goes wrong, the next span begins anew
        let mut recording = match self.open.take() {
            Some(open) if open.path == path && open.reaches(start_s) => open,
            _ => OpenRecording::open(source, path)?,
        };
        let cut = recording.cut(start_s, end_s);
        self.open = (!recording.is_broken).then_some(recording);
        cut
    }
}

impl OpenRecording {
    fn open(source: &Source, path: &str) -> Result<Self, String> {
        let file = source.open_file(path)?;
        if file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            return Err(format!("expected a sound, {path:?} is empty"));
        }
        let stream = SoundStream::open(Box::new(file), &extension(path)).map_err(|e| e.to_string())?;
        Ok(Self {
            path: path.to_owned(),
            stream,
            samples: Vec::new(),
            first_sample: 0,
            is_at_end: false,
            is_broken: false,
        })
    }

    /// Whether a span that begins there is not gone by yet.
    fn reaches(&self, start_s: f64) -> bool {
        self.stream.rate_hz().is_none_or(|rate_hz| start_s * f64::from(rate_hz) >= self.first_sample as f64)
    }

    fn cut(&mut self, start_s: f64, end_s: Option<f64>) -> Result<(Media, f64), String> {
        if self.stream.rate_hz().is_none() {
            self.decode()?;
        }
        let Some(rate_hz) = self.stream.rate_hz() else {
            return Err("expected a sound, it has no samples".into());
        };
        let place = |seconds: f64| (seconds * f64::from(rate_hz)).round() as u64;
        let start = place(start_s);
        let end = place(end_s.unwrap_or(start_s + MAX_SPAN_S));
        while !self.is_at_end && self.n_decoded() < end {
            self.forget(start);
            self.decode()?;
        }
        self.forget(start);
        let duration_s = self.n_decoded() as f64 / f64::from(rate_hz);
        // transcripts round their times, so the last tenth of a second may be missing
        let is_short = end_s.is_some_and(|end_s| end_s > duration_s + 0.1);
        if self.is_at_end && (is_short || start >= self.n_decoded()) {
            let end = end_s.map_or("its end".to_owned(), |end_s| format!("{end_s} s"));
            return Err(format!(
                "expected a span within {duration_s:.3} s of sound, got {start_s} s to {end}"
            ));
        }
        if end_s.is_none() && !self.is_at_end {
            return Err(format!("expected at most {MAX_SPAN_S} s of sound after {start_s} s, got more"));
        }
        let offset = (start - self.first_sample) as usize;
        let length = (end.min(self.n_decoded()) - start) as usize;
        let samples = self.samples[offset..offset + length].to_vec();
        if samples.is_empty() {
            return Err(format!("expected some sound after {start_s} s, got less than one sample"));
        }
        let waveform = Waveform { samples, rate_hz };
        let duration_s = waveform.duration_s();
        let bytes = encode_wav(&waveform).map_err(|e| e.to_string())?;
        Ok((Media { bytes, extension: "wav".to_owned() }, duration_s))
    }

    fn n_decoded(&self) -> u64 {
        self.first_sample + self.samples.len() as u64
    }

    fn decode(&mut self) -> Result<(), String> {
        let read = self.stream.read(&mut self.samples).map_err(|e| {
            self.is_broken = true;
            e.to_string()
        })?;
        self.is_at_end = !read;
        Ok(())
    }

    /// Drops what lies before a sample that is asked for.
    fn forget(&mut self, start: u64) {
        let n_gone = start.saturating_sub(self.first_sample).min(self.samples.len() as u64);
        self.samples.drain(..n_gone as usize);
        self.first_sample += n_gone;
    }
}

fn check_span(start_s: f64, end_s: Option<f64>) -> Result<(), String> {
    if !(start_s.is_finite() && start_s >= 0.0) {
        return Err(format!("expected start_s of 0 or more, got {start_s}"));
    }
    match end_s {
        Some(end_s) if !(end_s.is_finite() && end_s > start_s) => {
            Err(format!("expected end_s after start_s {start_s}, got {end_s}"))
        }
        Some(end_s) if end_s - start_s > MAX_SPAN_S => {
            Err(format!("expected a span of at most {MAX_SPAN_S} s, got {} s", end_s - start_s))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::audio::decode;

    /// A ramp, in which every sample tells where it lay.
    fn ramp(n_samples: usize) -> Vec<f32> {
        (0..n_samples).map(|i| i as f32 / n_samples as f32).collect()
    }

    #[test]
    fn spans_are_the_samples_between_their_times_in_any_order() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let wav = encode_wav(&Waveform { samples: ramp(32_000), rate_hz: 8_000 }).expect("it is short");
        fs::write(dir.path().join("a.wav"), wav).expect("the folder is writable");
        let source = Source::open(dir.path()).expect("it is a folder");
        let mut cutter = Cutter::default();
        for (start_s, end_s) in
            [(0.0, Some(0.5)), (0.25, Some(1.0)), (3.0, None), (1.0, Some(1.001)), (3.5, Some(4.05))]
        {
            let (media, duration_s) = cutter.cut(&source, "a.wav", start_s, end_s).expect("it is in it");
            let cut = decode(&media.bytes, "wav", 10.0).expect("it was just made");
            let expected_s = end_s.unwrap_or(4.0).min(4.0) - start_s;
            assert_eq!(cut.samples.len(), (expected_s * 8_000.0_f64).round() as usize);
            assert!((duration_s - expected_s).abs() < 1e-3);
            let first = start_s as f32 / 4.0;
            assert!((cut.samples[0] - first).abs() < 1e-3, "{} at {start_s} s", cut.samples[0]);
        }
        for (start_s, end_s) in [
            (4.0, None),
            (3.0, Some(5.0)),
            (-1.0, None),
            (f64::NAN, None),
            (1.0, Some(1.0)),
            (0.0, Some(1e9)),
        ] {
            assert!(cutter.cut(&source, "a.wav", start_s, end_s).is_err(), "{start_s} {end_s:?}");
        }
        assert!(cutter.cut(&source, "b.wav", 0.0, None).is_err());
        assert!(cutter.cut(&source, "a.wav", 0.0, Some(1.0)).is_ok());
    }
}
