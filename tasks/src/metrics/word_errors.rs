//! Word and character error rates of transcripts, from corpus counts with each utterance's share kept for intervals.

use rayon::prelude::*;

use super::alignment::{Edit, EditCounts, align, edits};
use super::error::MetricError;
use super::figure::{self, Figure};
use super::interval::Resampling;
use super::normalizer::{Normalizer, is_space};
use super::score::{Metric, PERCENT, Score};

/// Word error rate.
pub const WER: Metric = Metric {
    name: "WER",
    unit: PERCENT,
    higher_is_better: false,
    about: "word errors per reference word over the corpus, (S + D + I) / (H + S + D), as jiwer 4",
};
/// Character error rate.
pub const CER: Metric = Metric {
    name: "CER",
    unit: PERCENT,
    higher_is_better: false,
    about: "errors per reference character, by code point with spaces, as jiwer 4",
};
/// Match error rate.
pub const MER: Metric = Metric {
    name: "MER",
    unit: PERCENT,
    higher_is_better: false,
    about: "word errors per aligned word, (S + D + I) / (H + S + D + I), as jiwer 4",
};
/// Word information lost.
pub const WIL: Metric = Metric {
    name: "WIL",
    unit: PERCENT,
    higher_is_better: false,
    about: "word information lost, 1 - (H / reference words) (H / hypothesis words), as jiwer 4",
};

/// Transcripts aligned with their references, utterance by utterance.
///
/// Words are what single spaces part once runs of white space are one space and the ends are trimmed: a lone tab is
/// part of a word, as in jiwer. Characters are code points of the trimmed text.
///
/// # Reference
/// jiwer 4.0 `process_words` and `process_characters` with their default transforms, after the normaliser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordErrors {
    normalizer: Normalizer,
    words: Vec<EditCounts>,
    characters: Vec<EditCounts>,
}

impl WordErrors {
    /// Normalises and aligns; `hypotheses[i]` is what was recognised where `references[i]` was said. Empty texts are
    /// legal on both sides.
    ///
    /// # Errors
    /// [`MetricError::Lengths`] when the lists do not pair up, [`MetricError::Empty`] without utterances.
    pub fn new<R, H>(normalizer: Normalizer, references: &[R], hypotheses: &[H]) -> Result<Self, MetricError>
    where
        R: AsRef<str> + Sync,
        H: AsRef<str> + Sync,
    {
        if references.len() != hypotheses.len() {
            return Err(MetricError::Lengths {
                what: "hypotheses",
                expected: references.len(),
                got: hypotheses.len(),
            });
        }
        if references.is_empty() {
            return Err(MetricError::Empty { what: "utterance" });
        }
        let (words, characters) = references
            .par_iter()
            .zip(hypotheses)
            .map(|(reference, hypothesis)| {
                let reference = normalizer.apply(reference.as_ref());
                let hypothesis = normalizer.apply(hypothesis.as_ref());
                (
                    align(&split_words(&reference), &split_words(&hypothesis)),
                    align(&characters(&reference), &characters(&hypothesis)),
                )
            })
            .unzip();
        Ok(Self { normalizer, words, characters })
    }

    /// What was done to the texts before they were compared: print it beside the figures.
    pub fn normalizer(&self) -> Normalizer {
        self.normalizer
    }

    /// How many utterances there are.
    pub fn n_utterances(&self) -> usize {
        self.words.len()
    }

    /// Word counts, one an utterance.
    pub fn words(&self) -> &[EditCounts] {
        &self.words
    }

    /// Character counts, one an utterance.
    pub fn characters(&self) -> &[EditCounts] {
        &self.characters
    }

    /// Word counts of the corpus.
    pub fn total_words(&self) -> EditCounts {
        self.words.iter().copied().sum()
    }

    /// Character counts of the corpus.
    pub fn total_characters(&self) -> EditCounts {
        self.characters.iter().copied().sum()
    }

    /// [`WER`], [`CER`], [`MER`] and [`WIL`] over utterances.
    pub fn figures(&self) -> Vec<Figure> {
        let words = Figure::of_sums(WER, self.words.iter().map(row), |sums| total(sums).error_rate());
        let characters = self.characters.iter().map(row);
        vec![
            words.clone(),
            Figure::of_sums(CER, characters, |sums| total(sums).error_rate()),
            words.with_sums(MER, |sums| total(sums).match_error_rate()),
            words.with_sums(WIL, |sums| total(sums).information_lost()),
        ]
    }

    /// The [`figures`](Self::figures) in percent, with intervals over utterances or their groups.
    ///
    /// # Errors
    /// As [`Resampling::interval`].
    pub fn scores(&self, resampling: &Resampling) -> Result<Vec<Score>, MetricError> {
        figure::scores(&self.figures(), resampling)
    }
}

/// Hits, substitutions, deletions, insertions.
fn row(counts: &EditCounts) -> [f64; 4] {
    [counts.hits, counts.substitutions, counts.deletions, counts.insertions].map(|count| count as f64)
}

/// The counts that rows add up to: whole numbers, far below where `f64` leaves some out.
fn total(sums: &[f64]) -> EditCounts {
    let count = |column: usize| sums[column] as u64;
    EditCounts { hits: count(0), substitutions: count(1), deletions: count(2), insertions: count(3) }
}

/// A hypothesis's words beside its reference's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordAlignment {
    reference: Vec<String>,
    hypothesis: Vec<String>,
    edits: Vec<Edit>,
}

/// A place in an alignment of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlignedWord<'a> {
    /// Said and recognised.
    Hit(&'a str),
    /// Said, then what was recognised in its place.
    Substitution(&'a str, &'a str),
    /// Said and not recognised.
    Deletion(&'a str),
    /// Recognised and not said.
    Insertion(&'a str),
}

impl WordAlignment {
    /// Aligns one pair of texts with the edits that [`WordErrors`] counts.
    pub fn new(normalizer: Normalizer, reference: &str, hypothesis: &str) -> Self {
        let (reference, hypothesis) = (normalizer.apply(reference), normalizer.apply(hypothesis));
        let (reference, hypothesis) = (split_words(&reference), split_words(&hypothesis));
        let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        Self {
            edits: edits(&reference, &hypothesis),
            reference: owned(&reference),
            hypothesis: owned(&hypothesis),
        }
    }

    /// Aligns all pairs; what is longer of the two lists is left out.
    pub fn of_all(
        normalizer: Normalizer,
        references: &[impl AsRef<str> + Sync],
        hypotheses: &[impl AsRef<str> + Sync],
    ) -> Vec<Self> {
        let pairs = references.par_iter().zip(hypotheses);
        pairs
            .map(|(reference, hypothesis)| Self::new(normalizer, reference.as_ref(), hypothesis.as_ref()))
            .collect()
    }

    /// The counts of the edits.
    pub fn counts(&self) -> EditCounts {
        self.edits.iter().copied().collect()
    }

    /// The words of both sides, from the beginning.
    pub fn words(&self) -> impl Iterator<Item = AlignedWord<'_>> {
        let (mut said, mut heard) = (self.reference.iter(), self.hypothesis.iter());
        // the edits use up both lists: no word is missing
        self.edits.iter().filter_map(move |edit| {
            Some(match edit {
                Edit::Hit => {
                    heard.next();
                    AlignedWord::Hit(said.next()?)
                }
                Edit::Substitution => AlignedWord::Substitution(said.next()?, heard.next()?),
                Edit::Deletion => AlignedWord::Deletion(said.next()?),
                Edit::Insertion => AlignedWord::Insertion(heard.next()?),
            })
        })
    }
}

/// The word counts of one pair of texts.
pub(crate) fn word_counts(reference: &str, hypothesis: &str) -> EditCounts {
    align(&split_words(reference), &split_words(hypothesis))
}

/// Parts at spaces and at runs of two or more white space characters.
fn split_words(text: &str) -> Vec<&str> {
    let text = text.trim_matches(is_space);
    let mut words = Vec::new();
    let mut word_start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((gap_start, c)) = chars.next() {
        if !is_space(c) {
            continue;
        }
        let mut gap_end = gap_start + c.len_utf8();
        let mut is_gap = c == ' ';
        while let Some((next_start, next)) = chars.next_if(|&(_, next)| is_space(next)) {
            gap_end = next_start + next.len_utf8();
            is_gap = true;
        }
        if is_gap {
            words.push(&text[word_start..gap_start]);
            word_start = gap_end;
        }
    }
    if word_start < text.len() {
        words.push(&text[word_start..]);
    }
    words
}

fn characters(text: &str) -> Vec<char> {
    text.trim_matches(is_space).chars().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_split_as_jiwer_splits_them() {
        assert_eq!(split_words("  a b\t c  d\te "), ["a", "b", "c", "d\te"]);
        assert_eq!(split_words("a\u{a0}b \u{1f}"), ["a\u{a0}b"]);
        assert!(split_words(" \t ").is_empty());
        assert!(split_words("").is_empty());
    }

    #[test]
    fn rates_come_from_corpus_counts_not_from_means() {
        let errors =
            WordErrors::new(Normalizer::None, &["a b c d e f g h", "a"], &["a b c d e f g h", "b"]).unwrap();
        let scores = errors.scores(&Resampling::default()).unwrap();
        assert_eq!(scores[0].name, "WER");
        assert!((scores[0].value - 100.0 / 9.0).abs() < 1e-12);
        assert_eq!((scores[0].n, scores[0].unit.as_str()), (2, "%"));
        let interval = scores[0].interval.unwrap();
        // the resamples are (1st, 1st), both, (2nd, 2nd)
        assert_eq!((interval.low, interval.high), (0.0, 100.0));
    }

    #[test]
    fn the_normaliser_decides_the_figure() {
        let rate = |normalizer| {
            WordErrors::new(normalizer, &["Hello, world."], &["hello world"]).unwrap().total_words()
        };
        assert_eq!(rate(Normalizer::None).error_rate(), 1.0);
        assert_eq!(rate(Normalizer::Basic).error_rate(), 0.0);
    }

    #[test]
    fn lists_that_do_not_pair_up_are_refused() {
        assert_eq!(
            WordErrors::new(Normalizer::None, &["a", "b"], &["a"]).unwrap_err().to_string(),
            "lists of different length: expected 2 hypotheses, one for each of the references, got 1"
        );
        let none: [&str; 0] = [];
        assert_eq!(
            WordErrors::new(Normalizer::None, &none, &none),
            Err(MetricError::Empty { what: "utterance" })
        );
    }

    proptest! {
        #[test]
        fn a_perfect_transcript_scores_zero(texts in prop::collection::vec("[a-d ]{0,12}", 1..6)) {
            let errors = WordErrors::new(Normalizer::Basic, &texts, &texts).unwrap();
            for score in errors.scores(&Resampling::default()).unwrap() {
                prop_assert_eq!(score.value, 0.0);
                if let Some(interval) = score.interval {
                    prop_assert_eq!((interval.low, interval.high), (0.0, 0.0));
                }
            }
        }

        #[test]
        fn the_order_of_utterances_does_not_change_the_corpus(
            pairs in prop::collection::vec(("[a-c ]{0,10}", "[a-c ]{0,10}"), 1..8),
            shift in 0..8usize,
        ) {
            let total = |pairs: &[(String, String)]| {
                let (references, hypotheses): (Vec<_>, Vec<_>) = pairs.iter().cloned().unzip();
                let errors = WordErrors::new(Normalizer::None, &references, &hypotheses).unwrap();
                (errors.total_words(), errors.total_characters())
            };
            let mut rotated = pairs.clone();
            rotated.rotate_left(shift % pairs.len());
            prop_assert_eq!(total(&pairs), total(&rotated));
        }
    }
}
