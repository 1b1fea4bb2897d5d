//! Rules by which CTC has a say in what is written token by token.

use std::cell::RefCell;
use std::collections::HashMap;

use super::ctc::{Frames, PrefixScorer, PrefixState};
use super::{DecodeError, next_token::Rules};

/// Scores of other rules, mixed with those of CTC for the text that is begun: a token that is added changes
/// `ctc_weight · log p(the sound begins with this text)`, and the end mark makes it that of the whole text.
pub(super) struct JointRules<'a, R> {
    rules: &'a R,
    rows: Vec<PrefixScorer>,
    end: usize,
    ctc_weight: f64,
    /// What is known of the texts that stand in the beams, by row and text.
    known: RefCell<HashMap<(usize, Vec<u32>), Known>>,
}

/// A text that is begun.
#[derive(Clone)]
struct Known {
    state: PrefixState,
    score: f64,
    /// Of the text with each label behind it.
    extensions: Vec<f64>,
}

impl<'a, R: Rules> JointRules<'a, R> {
    /// # Errors
    /// A weight outside 0 to 1, and a blank that is no label.
    pub(super) fn new(
        rules: &'a R,
        frames: &[Frames<'_>],
        end: u32,
        blank: u32,
        ctc_weight: f64,
    ) -> Result<Self, DecodeError> {
        DecodeError::check("ctc_weight", "0 to 1", (0.0..=1.0).contains(&ctc_weight), ctc_weight)?;
        let scorer = |frames| {
            PrefixScorer::new(frames, blank).map_err(|_| DecodeError::Labels {
                expected: format!("labels of which {blank} is the blank"),
                got: format!("{} labels", frames.n_labels()),
            })
        };
        let rows = frames.iter().map(scorer).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { rules, rows, end: end as usize, ctc_weight, known: RefCell::default() })
    }

    /// That there are frames for every row and a label for every token.
    ///
    /// # Errors
    /// When there are not.
    pub(super) fn check(&self, n_rows: usize, n_vocab: usize) -> Result<(), DecodeError> {
        if self.rows.len() != n_rows {
            return Err(DecodeError::Labels {
                expected: format!("{n_rows} rows"),
                got: format!("{}", self.rows.len()),
            });
        }
        match self.rows.iter().find(|row| row.n_labels() != n_vocab) {
            Some(row) => Err(DecodeError::Labels {
                expected: format!("{n_vocab} tokens"),
                got: format!("{}", row.n_labels()),
            }),
            None => Ok(()),
        }
    }

    /// Of a text, from what is known of the text without its last token.
    fn learn(&self, row: usize, written: &[u32]) -> Known {
        let known = self.known.borrow();
        if let Some(known) = known.get(&(row, written.to_vec())) {
            return known.clone();
        }
        let scorer = &self.rows[row];
        let (state, score) = match written.split_last() {
            None => (scorer.begin(), 0.0),
            Some((&last, before)) => match known.get(&(row, before.to_vec())) {
                Some(before) => (scorer.extend(&before.state, last), before.extensions[last as usize]),
                // texts grow by one token: this is a text that no search has begun
                None => written.iter().fold((scorer.begin(), 0.0), |(state, _), &label| {
                    let score = scorer.extensions(&state)[label as usize];
                    (scorer.extend(&state, label), score)
                }),
            },
        };
        let extensions = scorer.extensions(&state);
        Known { state, score, extensions }
    }
}

impl<R: Rules> Rules for JointRules<'_, R> {
    fn score(&self, written: &[u32], n_left: usize, logits: &mut [f32]) {
        self.rules.score(written, n_left, logits);
    }

    fn score_row(&self, row: usize, written: &[u32], n_left: usize, logits: &mut [f32]) {
        self.rules.score_row(row, written, n_left, logits);
        let known = self.learn(row, written);
        let end = self.rows[row].end(&known.state);
        let weight = self.ctc_weight;
        for (id, logit) in logits.iter_mut().enumerate().filter(|(_, logit)| **logit > f32::NEG_INFINITY) {
            let next = if id == self.end { end } else { known.extensions[id] };
            // with a weight of 0, what CTC finds impossible is possible
            let by_ctc = if weight > 0.0 { weight * (next - known.score) } else { 0.0 };
            *logit = ((1.0 - weight) * f64::from(*logit) + by_ctc) as f32;
        }
        let mut all = self.known.borrow_mut();
        // what is two tokens shorter is in no beam any more
        all.retain(|(other, text), _| *other != row || text.len() + 1 >= written.len());
        all.insert((row, written.to_vec()), known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever is asked, the same logits.
    struct Fixed([f32; 4]);

    impl Rules for Fixed {
        fn score(&self, _: &[u32], _: usize, logits: &mut [f32]) {
            logits.copy_from_slice(&self.0);
        }
    }

    const ATTENTION: Fixed = Fixed([f32::NEG_INFINITY, -0.5, -1.5, -2.0]);
    const END: u32 = 1;

    fn log_p() -> Vec<f32> {
        let scores = (0..20).map(|i| (i as f32 * 2.3).sin() * 2.0).collect::<Vec<_>>();
        let rows = scores.chunks(4).flat_map(|row| {
            let total = row.iter().map(|value| value.exp()).sum::<f32>().ln();
            row.iter().map(move |value| value - total)
        });
        rows.collect()
    }

    /// Of a text with its end, by adding up what every token scores.
    fn total(rules: &JointRules<'_, Fixed>, text: &[u32]) -> f32 {
        let step = |place: usize| {
            let mut logits = [0.0; 4];
            rules.score_row(0, &text[..place], 9, &mut logits);
            logits[text.get(place).map_or(END as usize, |id| *id as usize)]
        };
        (0..=text.len()).map(step).sum()
    }

    #[test]
    fn a_text_scores_what_attention_and_ctc_give_it() {
        let log_p = log_p();
        let frames = [Frames::new(&log_p, 4).unwrap()];
        for weight in [0.0, 0.3, 1.0] {
            let rules = JointRules::new(&ATTENTION, &frames, END, 0, weight).unwrap();
            for text in [vec![], vec![2], vec![3, 2], vec![2, 2]] {
                let scorer = PrefixScorer::new(&frames[0], 0).unwrap();
                let state = text.iter().fold(scorer.begin(), |state, &label| scorer.extend(&state, label));
                let attention = text.iter().map(|&id: &u32| ATTENTION.0[id as usize]).sum::<f32>() - 0.5;
                let expected = (1.0 - weight) * f64::from(attention) + weight * scorer.end(&state);
                let found = total(&rules, &text);
                assert!((f64::from(found) - expected).abs() < 1e-5, "{text:?}: {found}, not {expected}");
            }
            assert!(rules.known.borrow().len() <= 3, "texts that are gone are forgotten");
        }
    }

    #[test]
    fn what_may_not_be_written_stays_so_and_odd_settings_are_refused() {
        let log_p = log_p();
        let frames = [Frames::new(&log_p, 4).unwrap()];
        let rules = JointRules::new(&ATTENTION, &frames, END, 0, 0.5).unwrap();
        let mut logits = [0.0; 4];
        rules.score_row(0, &[], 9, &mut logits);
        assert_eq!(logits[0], f32::NEG_INFINITY);
        let message = |result: Result<(), DecodeError>| result.unwrap_err().to_string();
        assert_eq!(message(rules.check(2, 4)), "expected label scores of 2 rows, got 1");
        assert_eq!(message(rules.check(1, 9)), "expected label scores of 9 tokens, got 4");
        let refused = JointRules::new(&ATTENTION, &frames, END, 0, 1.5).err().unwrap().to_string();
        assert_eq!(refused, "ctc_weight: expected 0 to 1, got 1.5");
        assert!(JointRules::new(&ATTENTION, &frames, END, 4, 0.5).is_err());
    }
}
