//! Masks over log-mel frames.

use serde::{Deserialize, Serialize};

use super::Frames;
use crate::draw::Draw;

/// How many stripes are hidden, and how wide they are.
///
/// # Reference
/// Park et al., "SpecAugment", 2019, without time warping; time masks are bounded by a part of the clip as in its
/// section 2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpecAugment {
    /// Number of horizontal stripes.
    pub n_mel_masks: usize,
    /// Their largest height as a part of all mel bands.
    pub mel_width: f32,
    /// Number of vertical stripes.
    pub n_time_masks: usize,
    /// Their largest width as a part of the clip.
    pub time_width: f32,
    /// Their largest width in frames.
    pub max_time_frames: usize,
    /// What the stripes are filled with.
    pub fill: MaskFill,
}

/// What a masked stripe holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MaskFill {
    /// The mean of the clip.
    #[default]
    Mean,
    /// Zero, which is what padding holds.
    Zero,
}

impl Default for SpecAugment {
    fn default() -> Self {
        Self {
            n_mel_masks: 0,
            mel_width: 0.2,
            n_time_masks: 0,
            time_width: 0.15,
            max_time_frames: 100,
            fill: MaskFill::Mean,
        }
    }
}

impl SpecAugment {
    /// What is wrong with the values, if anything.
    ///
    /// # Errors
    /// The first value out of its range, in words.
    pub fn check(&self) -> Result<(), String> {
        for (name, value) in [("mel_width", self.mel_width), ("time_width", self.time_width)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(format!("{name}: expected 0 to 1, got {value}"));
            }
        }
        Ok(())
    }

    /// Hides stripes of a clip in place.
    pub fn apply(&self, frames: &mut Frames, draw: &mut Draw) {
        let Frames { values, n_frames, n_mels } = frames;
        let (n_frames, n_mels) = (*n_frames, *n_mels);
        if n_frames == 0 {
            return;
        }
        let fill = match self.fill {
            MaskFill::Mean => {
                (values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len() as f64) as f32
            }
            MaskFill::Zero => 0.0,
        };
        for _ in 0..self.n_mel_masks {
            let (start, end) = stripe(n_mels, (self.mel_width * n_mels as f32) as usize, draw);
            for frame in values.chunks_exact_mut(n_mels) {
                frame[start..end].fill(fill);
            }
        }
        for _ in 0..self.n_time_masks {
            let widest = ((self.time_width * n_frames as f32) as usize).min(self.max_time_frames);
            let (start, end) = stripe(n_frames, widest, draw);
            values[start * n_mels..end * n_mels].fill(fill);
        }
    }
}

/// A width of `0..=widest`, then a place.
fn stripe(length: usize, widest: usize, draw: &mut Draw) -> (usize, usize) {
    let width = draw.below(widest.min(length) + 1);
    let start = draw.below(length - width + 1);
    (start, start + width)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip() -> Frames {
        Frames { values: (0..50 * 20).map(|i| i as f32).collect(), n_frames: 50, n_mels: 20 }
    }

    fn is_hidden<'a>(mut values: impl Iterator<Item = &'a f32>) -> bool {
        values.all(|value| *value == 0.0)
    }

    #[test]
    fn masks_stay_within_their_width() {
        let augment =
            SpecAugment { n_mel_masks: 1, n_time_masks: 1, fill: MaskFill::Zero, ..SpecAugment::default() };
        for key in 0..100 {
            let mut frames = Frames { values: vec![1.0; 50 * 20], ..clip() };
            augment.apply(&mut frames, &mut Draw::new(key, 0, "", ""));
            let n_time = frames.values.chunks(20).filter(|frame| is_hidden(frame.iter())).count();
            let n_mel = (0..20).filter(|mel| is_hidden(frames.values[*mel..].iter().step_by(20))).count();
            assert!(n_time <= 7 && n_mel <= 4, "{n_time} frames and {n_mel} bands");
        }
    }

    #[test]
    fn mean_fill_is_the_clips_mean() {
        let augment = SpecAugment { n_time_masks: 1, time_width: 1.0, ..SpecAugment::default() };
        let mut frames = clip();
        augment.apply(&mut frames, &mut Draw::new(5, 0, "", ""));
        let mean = (50 * 20 - 1) as f32 / 2.0;
        assert!(frames.values.iter().zip(clip().values).all(|(a, b)| *a == b || *a == mean));
        assert!(frames.values.contains(&mean));
    }

    #[test]
    fn no_masks_change_nothing() {
        let mut frames = clip();
        SpecAugment::default().apply(&mut frames, &mut Draw::new(5, 0, "", ""));
        assert_eq!(frames, clip());
    }
}
