//! Accuracy of answers to questions about pictures or sounds that several people answered.

mod normalise;

use std::collections::HashMap;

pub use normalise::normalise_answer;

use self::normalise::trimmed;
use super::error::MetricError;
use super::figure::{self, Figure};
use super::interval::Resampling;
use super::score::{Metric, PERCENT, Score};

/// Soft accuracy.
pub const VQA: Metric = Metric {
    name: "VQA",
    unit: PERCENT,
    higher_is_better: true,
    about: "answers that at least three of ten people gave too, fewer in part; as the VQA evaluation counts",
};

/// Exact match.
pub const EXACT_ANSWER: Metric = Metric {
    name: "exact answer",
    unit: PERCENT,
    higher_is_better: true,
    about: "answers equal to one that was given, both without articles, punctuation and case",
};

/// With fewer no answer reaches 100 percent of [`VQA`], as that leaves one out and asks for three others.
pub const MIN_ANSWERS: usize = 4;

/// An answer is right in full where so many agree with it.
const N_AGREEING: f64 = 3.0;

/// Answers of a system with those of people.
///
/// # Reference
/// Antol et al. 2015, "VQA: Visual question answering", section 3: `min(n / 3, 1)` for an answer that `n` people gave,
/// averaged over leaving out each of them; as `vqaEval.py` of github.com/GT-Vision-Lab/VQA computes it. It too compares
/// answers as they stand, but for spaces at their ends, where all people gave the same, and in the form of
/// [`normalise_answer`] elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    accuracies: Vec<f64>,
    are_exact: Vec<bool>,
    n_fewest: usize,
}

impl Answers {
    /// `references[i]` are what people answered to the question of `hypotheses[i]`, one each.
    ///
    /// # Errors
    /// [`MetricError::Lengths`] when the lists do not pair up, [`MetricError::Empty`] without questions,
    /// [`MetricError::NoAnswers`] for a question that nobody answered.
    pub fn new<H, R, L>(hypotheses: &[H], references: &[L]) -> Result<Self, MetricError>
    where
        H: AsRef<str>,
        R: AsRef<str>,
        L: AsRef<[R]>,
    {
        let (expected, got) = (references.len(), hypotheses.len());
        if expected != got {
            return Err(MetricError::Lengths { what: "answers", expected, got });
        }
        if expected == 0 {
            return Err(MetricError::Empty { what: "question" });
        }
        if let Some(question_idx) = references.iter().position(|given| given.as_ref().is_empty()) {
            return Err(MetricError::NoAnswers { question_idx });
        }
        let (mut accuracies, mut are_exact) = (Vec::with_capacity(got), Vec::with_capacity(got));
        // people say the same few things over and over
        let mut forms: HashMap<String, String> = HashMap::new();
        let mut form = |answer: &str| match forms.get(answer) {
            Some(form) => form.clone(),
            None => forms.entry(answer.to_owned()).or_insert(normalise_answer(answer)).clone(),
        };
        for (hypothesis, given) in hypotheses.iter().zip(references) {
            let hypothesis = trimmed(hypothesis.as_ref());
            let given = given.as_ref().iter().map(|answer| trimmed(answer.as_ref())).collect::<Vec<_>>();
            let own_form = form(&hypothesis);
            let n_alike = given.iter().filter(|answer| form(answer) == own_form).count();
            let n_agreeing = if given.iter().all(|answer| *answer == given[0]) {
                given.iter().filter(|answer| **answer == hypothesis).count()
            } else {
                n_alike
            };
            accuracies.push(accuracy(n_agreeing, given.len()));
            are_exact.push(n_alike > 0);
        }
        let n_fewest = references.iter().map(|given| given.as_ref().len()).min().unwrap_or(0);
        Ok(Self { accuracies, are_exact, n_fewest })
    }

    /// The soft accuracy of each answer, 0 to 1.
    pub fn accuracies(&self) -> &[f64] {
        &self.accuracies
    }

    /// Whether each answer is one that was given.
    pub fn exact_matches(&self) -> &[bool] {
        &self.are_exact
    }

    /// Whether every question was answered often enough for [`VQA`].
    pub fn has_accuracy(&self) -> bool {
        self.n_fewest >= MIN_ANSWERS
    }

    /// [`VQA`], where every question has [`MIN_ANSWERS`], and [`EXACT_ANSWER`].
    pub fn figures(&self) -> Vec<Figure> {
        let exact = self.are_exact.iter().map(|&is_exact| f64::from(u8::from(is_exact)));
        let mut figures = Vec::new();
        if self.has_accuracy() {
            figures.push(Figure::mean(VQA, self.accuracies.iter().copied()));
        }
        figures.push(Figure::mean(EXACT_ANSWER, exact));
        figures
    }

    /// The [`figures`](Self::figures) with intervals over questions or their groups.
    ///
    /// # Errors
    /// As [`Resampling::interval`].
    pub fn scores(&self, resampling: &Resampling) -> Result<Vec<Score>, MetricError> {
        figure::scores(&self.figures(), resampling)
    }
}

/// The mean over leaving out each of `n` people, of whom `n_agreeing` gave the answer.
fn accuracy(n_agreeing: usize, n: usize) -> f64 {
    let share = |n_others: usize| (n_others as f64 / N_AGREEING).min(1.0);
    let (agreeing, others) = (n_agreeing as f64, (n - n_agreeing) as f64);
    (agreeing * share(n_agreeing.saturating_sub(1)) + others * share(n_agreeing)) / n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_others_of_ten_make_an_answer_right_and_fewer_make_it_right_in_part() {
        for (n_agreeing, expected) in [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (9, 1.0)] {
            let given = (0..10).map(|idx| if idx < n_agreeing { "a dog" } else { "cat" }).collect::<Vec<_>>();
            let answers = Answers::new(&["Dog."], &[given]).expect("one question");
            assert!((answers.accuracies()[0] - expected).abs() < 1e-12, "{answers:?}");
            assert_eq!(answers.exact_matches(), [n_agreeing > 0]);
        }
    }

    #[test]
    fn where_all_agree_answers_are_compared_as_they_stand() {
        let given = vec!["yes"; 10];
        let answers = Answers::new(&[" yes\n", "Yes"], &[given.clone(), given]).expect("two questions");
        assert_eq!(answers.accuracies(), [1.0, 0.0]);
        assert_eq!(answers.exact_matches(), [true, true]);
    }

    #[test]
    fn a_single_answer_gives_no_soft_accuracy() {
        let scores = |given: &[Vec<&str>]| {
            let answers = Answers::new(&["red", "two"], given).expect("two questions");
            let scores = answers.scores(&Resampling::default()).expect("two can be resampled");
            scores.into_iter().map(|score| (score.name, score.value)).collect::<Vec<_>>()
        };
        assert_eq!(scores(&[vec!["Red"], vec!["3"]]), [("exact answer".to_owned(), 50.0)]);
        let many = scores(&[vec!["red"; 4], vec!["2", "2", "two", "3"]]);
        assert_eq!(many[0].0, "VQA");
        // three agree of four: each of them is left out once
        assert!((many[0].1 - 100.0 * (1.0 + 0.75) / 2.0).abs() < 1e-9, "{many:?}");
    }

    #[test]
    fn answers_that_do_not_pair_up_are_refused() {
        let message =
            |answers: &[&str], given: &[Vec<&str>]| Answers::new(answers, given).unwrap_err().to_string();
        assert!(message(&["a"], &[]).contains("expected 0 answers"));
        assert!(message(&[], &[]).contains("at least one question"));
        assert_eq!(
            message(&["a", "b"], &[vec!["a"], vec![]]),
            "question 1 has no answer to compare with: expected at least one"
        );
    }
}
