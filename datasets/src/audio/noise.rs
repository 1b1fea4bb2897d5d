//! Noise at a ratio of powers: made, or cut from recordings.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use realfft::RealFftPlanner;
use serde::{Deserialize, Serialize};

use super::{AudioError, RATE_HZ, decode_at_rate};
use crate::draw::Draw;

/// Longer recordings of noise are refused.
const MAX_CLIP_S: f64 = 600.0;
/// Ten minutes of 24 bits at 48 kHz in stereo, and some.
const MAX_CLIP_BYTES: u64 = 256 << 20;
/// All of them lie decoded in memory: 6 hours take 1.4 GB.
const MAX_FOLDER_S: f64 = 6.0 * 3600.0;

/// The spectrum of noise that is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseColour {
    /// From white to one that leans to low frequencies, another for each sample.
    #[default]
    Leaning,
    /// The same power in every hertz.
    White,
    /// The same power in every octave: 3 dB less with each.
    Pink,
}

impl NoiseColour {
    /// Noise of any power.
    ///
    /// # Shapes
    /// Returns `[n_samples]`.
    pub(super) fn make(self, n_samples: usize, draw: &mut Draw) -> Vec<f32> {
        match self {
            Self::Leaning => {
                let memory = draw.range(0.0, 0.95);
                leaning(n_samples, memory, draw)
            }
            Self::White => leaning(n_samples, 0.0, draw),
            Self::Pink => pink(n_samples, draw),
        }
    }
}

/// White noise through a filter of one pole.
fn leaning(n_samples: usize, memory: f32, draw: &mut Draw) -> Vec<f32> {
    let mut noise = Vec::with_capacity(n_samples + 4);
    let mut state = 0.0f32;
    while noise.len() < n_samples {
        // four even draws from one: for noise the sixteen bits of each are plenty
        let bits = draw.next_u64();
        for part in 0..4 {
            let white = f32::from((bits >> (16 * part)) as u16) * (2.0 / 65535.0) - 1.0;
            state = memory * state + white;
            noise.push(state);
        }
    }
    noise.truncate(n_samples);
    noise
}

/// White noise with each frequency divided by its square root.
fn pink(n_samples: usize, draw: &mut Draw) -> Vec<f32> {
    // powers of two transform the fastest
    let n_fft = n_samples.next_power_of_two().max(2);
    let mut noise = leaning(n_fft, 0.0, draw);
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, inverse) = (planner.plan_fft_forward(n_fft), planner.plan_fft_inverse(n_fft));
    let mut spectrum = forward.make_output_vec();
    forward.process(&mut noise, &mut spectrum).expect("the buffers were made for the plan");
    spectrum[0] = Default::default();
    for (bin, value) in spectrum.iter_mut().enumerate().skip(1) {
        *value *= 1.0 / (bin as f32).sqrt();
    }
    inverse.process(&mut spectrum, &mut noise).expect("the buffers were made for the plan");
    noise.truncate(n_samples);
    noise
}

/// Adds noise so that the signal's power over the noise's is the ratio in decibels. To silence nothing is added.
pub(super) fn add(samples: &mut [f32], noise: &[f32], snr_db: f32) {
    let power = |values: &[f32]| values.iter().map(|v| v * v).sum::<f32>() / values.len().max(1) as f32;
    let target = power(samples) / 10f32.powf(snr_db / 10.0);
    let scale = (target / power(noise).max(f32::MIN_POSITIVE)).sqrt();
    for (sample, noise) in samples.iter_mut().zip(noise) {
        *sample += scale * noise;
    }
}

/// Recordings of noise at 16 kHz; clones share them.
#[derive(Clone, Debug)]
pub struct NoiseClips {
    clips: Arc<[Vec<f32>]>,
}

/// A folder that gives no noise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoiseError {
    /// It cannot be read.
    #[error("cannot read {}: {problem}", path.display())]
    Read {
        /// The folder, or a file in it.
        path: PathBuf,
        /// The system's words.
        problem: std::io::Error,
    },
    /// A file is no recording.
    #[error("{}: {problem}", path.display())]
    Sound {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: AudioError,
    },
    /// A file is too large for a recording of noise.
    #[error("{}: expected a recording of at most {MAX_CLIP_BYTES} bytes, got {n_bytes}", path.display())]
    Huge {
        /// The file.
        path: PathBuf,
        /// Its size.
        n_bytes: u64,
    },
    /// There is more than is kept in memory.
    #[error("{}: expected at most {MAX_FOLDER_S} seconds of recordings in all, got more", folder.display())]
    TooMuch {
        /// The folder.
        folder: PathBuf,
    },
    /// A link that leads out of the folder.
    #[error("{}: expected a file within the folder, got a link out of it", path.display())]
    Outside {
        /// The link.
        path: PathBuf,
    },
    /// There is nothing that could be heard.
    #[error("expected at least one recording with sound in it, got none")]
    Silent,
    /// The same of a folder.
    #[error("{}: expected at least one recording with sound in it, got none", folder.display())]
    SilentFolder {
        /// The folder.
        folder: PathBuf,
    },
}

impl NoiseClips {
    /// Takes recordings of 16 kHz; those in which nothing is heard are left out.
    ///
    /// # Errors
    /// When nothing is heard in any.
    pub fn new(clips: Vec<Vec<f32>>) -> Result<Self, NoiseError> {
        let is_heard = |clip: &Vec<f32>| clip.iter().any(|sample| *sample != 0.0);
        let clips: Vec<_> = clips.into_iter().filter(is_heard).collect();
        if clips.is_empty() {
            return Err(NoiseError::Silent);
        }
        Ok(Self { clips: clips.into() })
    }

    /// Reads every file of a folder, in the order of their names; folders within are left out, and files whose name begins
    /// with a dot.
    ///
    /// # Errors
    /// A file that cannot be read or decoded, is longer than ten minutes or lies elsewhere, more than six hours in all, and
    /// a folder without sound.
    pub fn load(folder: &Path) -> Result<Self, NoiseError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |problem| NoiseError::Read { path, problem }
        };
        let within = folder.canonicalize().map_err(failed(folder))?;
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed(folder))? {
            let path = entry.map_err(failed(folder))?.path();
            let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if !is_hidden && path.is_file() {
                paths.push(path);
            }
        }
        // the system lists them in any order
        paths.sort();
        let (mut clips, mut n_samples) = (Vec::new(), 0);
        for path in paths {
            if !path.canonicalize().map_err(failed(&path))?.starts_with(&within) {
                return Err(NoiseError::Outside { path });
            }
            let n_bytes = fs::metadata(&path).map_err(failed(&path))?.len();
            if n_bytes > MAX_CLIP_BYTES {
                return Err(NoiseError::Huge { path, n_bytes });
            }
            let bytes = fs::read(&path).map_err(failed(&path))?;
            let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
            let clip = decode_at_rate(&bytes, &extension, MAX_CLIP_S);
            let clip = clip.map_err(|problem| NoiseError::Sound { path, problem })?;
            n_samples += clip.len();
            if n_samples as f64 > MAX_FOLDER_S * f64::from(RATE_HZ) {
                return Err(NoiseError::TooMuch { folder: folder.to_owned() });
            }
            clips.push(clip);
        }
        Self::new(clips).map_err(|_| NoiseError::SilentFolder { folder: folder.to_owned() })
    }

    /// A stretch of one of them, from a random place on; a short one is repeated.
    ///
    /// # Shapes
    /// Returns `[n_samples]`.
    pub(super) fn stretch(&self, n_samples: usize, draw: &mut Draw) -> Vec<f32> {
        let clip = &self.clips[draw.below(self.clips.len())];
        let start = draw.below(clip.len());
        clip.iter().copied().cycle().skip(start).take(n_samples).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Waveform, encode_wav};

    fn tone() -> Vec<f32> {
        (0..16_000).map(|i| (i as f32 * 0.2).sin() * 0.3).collect()
    }

    fn power(values: impl Iterator<Item = f32>) -> f32 {
        values.map(|v| v * v).sum()
    }

    #[test]
    fn noise_has_the_power_asked_for() {
        for colour in [NoiseColour::Leaning, NoiseColour::White, NoiseColour::Pink] {
            for snr_db in [0.0, 10.0, 30.0] {
                let mut noisy = tone();
                let noise = colour.make(noisy.len(), &mut Draw::new(2, 0, "", ""));
                add(&mut noisy, &noise, snr_db);
                let added = power(noisy.iter().zip(tone()).map(|(a, b)| a - b));
                let got_db = 10.0 * (power(tone().into_iter()) / added).log10();
                assert!((got_db - snr_db).abs() < 0.1, "expected {snr_db} dB, got {got_db} of {colour:?}");
            }
        }
    }

    #[test]
    fn noise_on_silence_stays_silent() {
        let mut silence = vec![0.0; 1000];
        add(&mut silence, &NoiseColour::Leaning.make(1000, &mut Draw::new(2, 0, "", "")), 10.0);
        assert!(silence.iter().all(|v| *v == 0.0));
    }

    #[test]
    fn pink_noise_has_the_same_power_in_every_octave_and_white_twice_as_much() {
        for (colour, expected) in [(NoiseColour::White, 2.0f32), (NoiseColour::Pink, 1.0)] {
            let mut noise = colour.make(1 << 15, &mut Draw::new(4, 0, "", ""));
            let forward = RealFftPlanner::<f32>::new().plan_fft_forward(noise.len());
            let mut spectrum = forward.make_output_vec();
            forward.process(&mut noise, &mut spectrum).expect("the buffers were made for the plan");
            let octave = |first: usize| spectrum[first..2 * first].iter().map(|v| v.norm_sqr()).sum::<f32>();
            for first in [512, 1024, 2048, 4096] {
                let ratio = octave(2 * first) / octave(first);
                assert!((ratio / expected - 1.0).abs() < 0.15, "{ratio} from {first} of {colour:?}");
            }
        }
    }

    #[test]
    fn any_length_is_made_by_the_key() {
        for colour in [NoiseColour::Leaning, NoiseColour::White, NoiseColour::Pink] {
            for n_samples in [0, 1, 2, 3, 1000] {
                let make = || colour.make(n_samples, &mut Draw::new(1, 2, "a", "audio"));
                assert_eq!(make().len(), n_samples);
                assert_eq!(make(), make());
            }
        }
    }

    #[test]
    fn stretches_of_clips_are_repeated_and_of_the_key() {
        let clips = NoiseClips::new(vec![vec![0.0; 9], vec![1.0, 2.0, 3.0]]).expect("one is heard");
        let stretch = |id: &str| clips.stretch(7, &mut Draw::new(1, 0, id, "audio"));
        assert_eq!(stretch("a"), stretch("a"));
        let found = stretch("a");
        assert!(found.windows(2).all(|pair| pair[1] == pair[0] % 3.0 + 1.0), "{found:?}");
        assert!(matches!(NoiseClips::new(vec![vec![0.0; 9], vec![]]), Err(NoiseError::Silent)));
    }

    #[test]
    fn folders_are_read_and_bad_files_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert!(matches!(NoiseClips::load(folder.path()), Err(NoiseError::SilentFolder { .. })));
        fs::write(folder.path().join(".listing"), "left by a file manager").expect("the folder is writable");
        let wav = encode_wav(&Waveform { samples: vec![0.5; 8000], rate_hz: 8000 }).expect("it is short");
        fs::write(folder.path().join("a.wav"), wav).expect("the folder is writable");
        let clips = NoiseClips::load(folder.path()).expect("it is a recording");
        assert_eq!((clips.clips.len(), clips.clips[0].len()), (1, 16_000));
        fs::write(folder.path().join("b.txt"), "words").expect("the folder is writable");
        let message = NoiseClips::load(folder.path()).expect_err("one is none").to_string();
        assert!(message.contains("b.txt: expected WAV") && message.contains("got text"), "{message}");
        fs::remove_file(folder.path().join("b.txt")).expect("it was written");
        let huge = fs::File::create(folder.path().join("huge.wav")).expect("the folder is writable");
        huge.set_len(MAX_CLIP_BYTES + 1).expect("files may have holes");
        let message = NoiseClips::load(folder.path()).expect_err("it is too large").to_string();
        assert!(message.contains("huge.wav: expected a recording of at most"), "{message}");
        let message = NoiseClips::load(&folder.path().join("none")).expect_err("it is not there").to_string();
        assert!(message.starts_with("cannot read "), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn links_out_of_the_folder_are_refused() {
        let (folder, other) = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder")).into();
        let wav = encode_wav(&Waveform { samples: vec![0.5; 8000], rate_hz: 16_000 }).expect("it is short");
        fs::write(other.path().join("a.wav"), wav).expect("the folder is writable");
        std::os::unix::fs::symlink(other.path().join("a.wav"), folder.path().join("b.wav"))
            .expect("the system has links");
        let message = NoiseClips::load(folder.path()).expect_err("it lies elsewhere").to_string();
        assert!(message.contains("b.wav: expected a file within the folder"), "{message}");
    }
}
