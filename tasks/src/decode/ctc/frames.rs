//! Label scores of one recording, checked once.

use super::CtcError;

/// A log-probability may be so far above 0 by rounding.
const ROUNDING: f32 = 1e-3;

/// Natural log-probabilities of every label in every frame: `[n_frames, n_labels]`, at least one frame, none of them NaN.
#[derive(Clone, Copy, Debug)]
pub struct Frames<'a> {
    values: &'a [f32],
    n_labels: usize,
}

impl<'a> Frames<'a> {
    /// # Errors
    /// No frame at all, values that are no log-probabilities, or a frame in which nothing is possible.
    pub fn new(values: &'a [f32], n_labels: usize) -> Result<Self, CtcError> {
        if values.is_empty() {
            return Err(CtcError::NoFrames);
        }
        if n_labels == 0 || !values.len().is_multiple_of(n_labels) {
            return Err(CtcError::FrameSize { n_labels, n_values: values.len() });
        }
        for (frame_idx, frame) in values.chunks_exact(n_labels).enumerate() {
            // false for NaN too
            if let Some(label) = frame.iter().position(|value| !(*value <= ROUNDING)) {
                return Err(CtcError::LogProbability { frame_idx, label, value: frame[label] });
            }
            if frame.iter().all(|value| *value == f32::NEG_INFINITY) {
                return Err(CtcError::ImpossibleFrame { frame_idx, n_labels });
            }
        }
        Ok(Self { values, n_labels })
    }

    /// Number of frames.
    pub fn len(&self) -> usize {
        self.values.len() / self.n_labels
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Labels of a frame, the blank included.
    pub fn n_labels(&self) -> usize {
        self.n_labels
    }

    /// In their order, `[n_labels]` each.
    pub fn iter(&self) -> impl Iterator<Item = &'a [f32]> {
        self.values.chunks_exact(self.n_labels)
    }

    /// Checks a label.
    pub(super) fn check(&self, label: u32) -> Result<(), CtcError> {
        if (label as usize) < self.n_labels {
            Ok(())
        } else {
            Err(CtcError::UnknownLabel { label, n_labels: self.n_labels })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_log_probability_is_named() {
        let message = |values: &[f32], n_labels| Frames::new(values, n_labels).unwrap_err().to_string();
        assert_eq!(message(&[], 2), "expected at least one frame, got none");
        assert_eq!(message(&[0.0; 5], 2), "expected frames of 2 labels, got 5 values");
        assert_eq!(message(&[0.0; 5], 0), "expected frames of 0 labels, got 5 values");
        let expected = "frame 1, label 0: expected a natural log-probability, got NaN\n  hint: ";
        assert!(message(&[-0.5, -1.0, f32::NAN, -1.0], 2).starts_with(expected));
        let expected = "frame 0, label 1: expected a natural log-probability, got 3.5\n  hint: ";
        assert!(message(&[-0.5, 3.5], 2).starts_with(expected));
        assert_eq!(
            message(&[f32::NEG_INFINITY; 2], 2),
            "frame 0: expected at least one possible label, got -inf for all 2"
        );
        assert_eq!(Frames::new(&[-0.1, f32::NEG_INFINITY], 2).unwrap().len(), 1);
    }
}
