//! How likely CTC finds a text that is only begun, for a decoder that writes token by token.

use super::prefix::log_add;
use super::{CtcError, Frames};

/// Scores prefixes by the frames of one recording.
///
/// # Reference
/// Graves 2012, "Supervised sequence labelling with recurrent neural networks", section 7.5.2; Watanabe et al. 2017, "Hybrid
/// CTC/attention architecture for end-to-end speech recognition", algorithm 2.
#[derive(Clone, Debug)]
pub struct PrefixScorer {
    n_labels: usize,
    blank: u32,
    /// `[n_frames, n_labels]`, natural log-probabilities
    log_p: Vec<f64>,
    /// `[n_frames, n_labels]`
    p: Vec<f64>,
}

/// Where a prefix stands.
#[derive(Clone, Debug, PartialEq)]
pub struct PrefixState {
    last: Option<u32>,
    /// Log-probability that the frames up to each write the prefix, and the frame its last label.
    in_label: Vec<f64>,
    /// Likewise with a blank in the frame.
    in_blank: Vec<f64>,
}

impl PrefixScorer {
    /// # Errors
    /// A blank outside the vocabulary.
    pub fn new(frames: &Frames<'_>, blank: u32) -> Result<Self, CtcError> {
        frames.check(blank)?;
        let log_p = frames.iter().flatten().map(|value| f64::from(*value)).collect::<Vec<_>>();
        let p = log_p.iter().map(|value| value.exp()).collect();
        Ok(Self { n_labels: frames.n_labels(), blank, log_p, p })
    }

    /// Of the labels, the blank included.
    pub fn n_labels(&self) -> usize {
        self.n_labels
    }

    /// Nothing is written.
    pub fn begin(&self) -> PrefixState {
        let mut total = 0.0;
        let blanks = self.log_p.iter().skip(self.blank as usize).step_by(self.n_labels);
        let in_blank = blanks.map(|log_p| {
            total += log_p;
            total
        });
        let in_blank = in_blank.collect::<Vec<_>>();
        PrefixState { last: None, in_label: vec![f64::NEG_INFINITY; in_blank.len()], in_blank }
    }

    /// The log-probability that the text is the prefix and goes on with each label, whatever follows; negative infinity for the
    /// blank.
    ///
    /// # Shapes
    /// -> `[n_labels]`
    pub fn extensions(&self, state: &PrefixState) -> Vec<f64> {
        let n_frames = state.in_label.len();
        let mut scores = self.weighted(&(0..n_frames).map(|t| before(state, t, false)).collect::<Vec<_>>());
        if let Some(last) = state.last {
            // a label behind itself needs a blank between
            let parted = (0..n_frames).map(|t| before(state, t, true)).collect::<Vec<_>>();
            scores[last as usize] = self.weighted(&parted)[last as usize];
        }
        scores[self.blank as usize] = f64::NEG_INFINITY;
        scores
    }

    /// `ln Σ_t exp(weights[t]) p[t]`, of each label.
    fn weighted(&self, weights: &[f64]) -> Vec<f64> {
        let largest = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if largest == f64::NEG_INFINITY {
            return vec![f64::NEG_INFINITY; self.n_labels];
        }
        let mut totals = vec![0.0; self.n_labels];
        for (weight, p) in weights.iter().zip(self.p.chunks_exact(self.n_labels)) {
            let weight = (weight - largest).exp();
            if weight > 0.0 {
                totals.iter_mut().zip(p).for_each(|(total, p)| *total += weight * p);
            }
        }
        totals.into_iter().map(|total: f64| largest + total.ln()).collect()
    }

    /// The prefix with one more label.
    ///
    /// # Panics
    /// When there is no such label.
    pub fn extend(&self, state: &PrefixState, label: u32) -> PrefixState {
        let at = |t: usize, label: u32| self.log_p[t * self.n_labels + label as usize];
        let n_frames = state.in_label.len();
        let (mut in_label, mut in_blank) = (Vec::with_capacity(n_frames), Vec::with_capacity(n_frames));
        let (mut label_before, mut blank_before) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        for t in 0..n_frames {
            let enters = before(state, t, state.last == Some(label));
            let blank = log_add(blank_before, label_before) + at(t, self.blank);
            label_before = log_add(label_before, enters) + at(t, label);
            blank_before = blank;
            in_label.push(label_before);
            in_blank.push(blank_before);
        }
        PrefixState { last: Some(label), in_label, in_blank }
    }

    /// The log-probability that the prefix is the whole text.
    pub fn end(&self, state: &PrefixState) -> f64 {
        let last = |values: &[f64]| values.last().copied().unwrap_or(f64::NEG_INFINITY);
        log_add(last(&state.in_label), last(&state.in_blank))
    }
}

/// The log-probability that the frames before `frame` write the prefix, with a blank at their end if it `must_be_parted`.
fn before(state: &PrefixState, frame: usize, must_be_parted: bool) -> f64 {
    match frame.checked_sub(1) {
        None if state.last.is_none() => 0.0,
        None => f64::NEG_INFINITY,
        Some(t) if must_be_parted => state.in_blank[t],
        Some(t) => log_add(state.in_label[t], state.in_blank[t]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_and_the_end_share_out_what_a_prefix_has() {
        let scores = (0..24).map(|i| (f64::from(i) * 1.7).sin() * 2.0).collect::<Vec<_>>();
        let frames = scores.chunks(4).flat_map(|row| {
            let total = row.iter().map(|value| value.exp()).sum::<f64>().ln();
            row.iter().map(move |value| (value - total) as f32)
        });
        let frames = frames.collect::<Vec<_>>();
        let scorer = PrefixScorer::new(&Frames::new(&frames, 4).unwrap(), 0).unwrap();
        let (mut state, mut score) = (scorer.begin(), 0.0f64);
        for label in [2, 2, 3, 1] {
            let extensions = scorer.extensions(&state);
            let total = extensions.iter().copied().fold(scorer.end(&state), log_add);
            assert!((total - score).abs() < 1e-6, "{total}, not {score}");
            score = extensions[label as usize];
            state = scorer.extend(&state, label);
        }
    }

    #[test]
    fn a_text_that_does_not_fit_is_impossible_and_a_foreign_blank_refused() {
        let values = [0.5f32.ln(); 4];
        let frames = Frames::new(&values, 2).unwrap();
        let scorer = PrefixScorer::new(&frames, 0).unwrap();
        let once = scorer.extend(&scorer.begin(), 1);
        // two frames have no room for a label, a blank and the label again
        assert_eq!(scorer.extensions(&once), [f64::NEG_INFINITY; 2]);
        assert!((scorer.end(&once) - 0.75f64.ln()).abs() < 1e-6);
        assert!(PrefixScorer::new(&frames, 2).is_err());
    }
}
