//! Questions of a hold-out: which there are, what a model answers to them, and what one would that never looked.

use std::collections::{BTreeMap, HashMap};

use triptych_datasets::loader::Selection;
use triptych_datasets::sample::{Question, Split};
use triptych_datasets::shard::{Corpus, Entry};
use triptych_encoders::{Modality, TokenSequence};
use triptych_tasks::metrics::normalise_answer;

use super::inference::{Inference, InferenceError};

/// What a model answered to a question.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Given {
    pub(crate) answer: String,
    /// Mean log-probability of its tokens.
    pub(crate) confidence: f32,
}

/// The selected entries that have questions about their picture, or their sound.
pub(crate) fn asked(corpus: &Corpus, selection: Option<&Selection>, modality: Modality) -> Vec<usize> {
    let Some(selection) = selection else { return Vec::new() };
    let is_asked =
        |entry: &Entry| has(entry, modality) && questions(entry).next().is_some() && selection.matches(entry);
    let entries = corpus.entries().iter().enumerate();
    entries.filter(|(_, entry)| is_asked(entry)).map(|(idx, _)| idx).collect()
}

/// The questions about a sample that have an answer.
pub(crate) fn questions(entry: &Entry) -> impl Iterator<Item = &Question> {
    entry.questions.iter().filter(|asked| !asked.answers.is_empty())
}

fn has(entry: &Entry, modality: Modality) -> bool {
    match modality {
        Modality::Image => entry.image.is_some(),
        Modality::Audio => entry.audio.is_some(),
        Modality::Text => false,
    }
}

/// Answers all questions about rows that are encoded, at most `n_rows` at a time: for each row, which is of `entries`, in the
/// order of its questions.
///
/// # Errors
/// Scores that are NaN.
pub(crate) fn answer_all(
    inference: &Inference<'_>,
    encoded: &TokenSequence,
    entries: &[&Entry],
    n_rows: usize,
) -> Result<Vec<Vec<Given>>, InferenceError> {
    let asked = entries.iter().enumerate();
    let asked = asked.flat_map(|(row, entry)| questions(entry).map(move |asked| (row, asked)));
    let mut given = vec![Vec::new(); entries.len()];
    for chunk in asked.collect::<Vec<_>>().chunks(n_rows) {
        let rows = chunk.iter().map(|(row, _)| *row).collect::<Vec<_>>();
        let texts = chunk.iter().map(|(_, asked)| asked.question.as_str()).collect::<Vec<_>>();
        let answers = inference.answer(&inference.rows_of(encoded, &rows), &texts)?;
        for (row, (answer, confidence)) in rows.into_iter().zip(answers) {
            given[row].push(Given { answer, confidence });
        }
    }
    Ok(given)
}

/// What is usually answered in training: what a model says that knows the question and nothing else.
pub(crate) struct Habits {
    by_question: HashMap<String, String>,
    overall: Option<String>,
}

impl Habits {
    /// Of the training samples with a picture, or with a sound.
    pub(crate) fn of(corpus: &Corpus, modality: Modality) -> Self {
        let mut counts: HashMap<String, BTreeMap<&str, usize>> = HashMap::new();
        let mut all: BTreeMap<&str, usize> = BTreeMap::new();
        let seen = |entry: &&Entry| entry.split == Split::Train && has(entry, modality);
        for asked in corpus.entries().iter().filter(seen).flat_map(questions) {
            let of_question = counts.entry(normalise_answer(&asked.question)).or_default();
            for answer in &asked.answers {
                *of_question.entry(answer).or_default() += 1;
                *all.entry(answer).or_default() += 1;
            }
        }
        let by_question = counts.into_iter();
        let by_question = by_question.filter_map(|(question, counts)| Some((question, most(&counts)?)));
        Self { by_question: by_question.collect(), overall: most(&all) }
    }

    /// The usual answer to a question; to one that was never asked, the most usual of all.
    pub(crate) fn answer(&self, question: &str) -> Option<&str> {
        self.by_question.get(&normalise_answer(question)).or(self.overall.as_ref()).map(String::as_str)
    }
}

/// The most frequent, the first of several.
fn most(counts: &BTreeMap<&str, usize>) -> Option<String> {
    let best = counts.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)));
    best.map(|(answer, _)| (*answer).to_owned())
}

#[cfg(test)]
mod tests {
    use triptych_datasets::sample::{Media, Sample};
    use triptych_datasets::shard::ShardWriter;

    use super::*;

    fn sample(id: &str, split: Split, has_image: bool, questions: &[(&str, &[&str])]) -> Sample {
        let question = |(question, answers): &(&str, &[&str])| Question {
            question: (*question).to_owned(),
            answers: answers.iter().map(|&answer| answer.to_owned()).collect(),
        };
        let image = has_image.then(|| Media { bytes: b"<svg/>".to_vec(), extension: "svg".to_owned() });
        let questions = questions.iter().map(question).collect();
        Sample {
            id: id.to_owned(),
            group: id.to_owned(),
            split,
            image,
            questions,
            texts: vec![id.to_owned()],
            ..Sample::default()
        }
    }

    #[test]
    fn habits_are_of_training_and_of_the_question_where_it_was_asked() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = ShardWriter::create(folder.path(), "asked").unwrap();
        for sample in [
            sample(
                "a",
                Split::Train,
                true,
                &[("What is it?", &["cat", "dog", "dog"]), ("How many?", &["2"])],
            ),
            sample(
                "b",
                Split::Train,
                true,
                &[("what is it", &["cat"]), ("How many?", &["3", "3", "3", "3"])],
            ),
            sample("c", Split::Test, true, &[("What is it?", &["bird"; 9])]),
            sample("d", Split::Test, false, &[("What is it?", &["bird"])]),
            sample("e", Split::Test, true, &[]),
        ] {
            writer.push(sample).unwrap();
        }
        let corpus = writer.finish(&[]).unwrap();
        let habits = Habits::of(&corpus, Modality::Image);
        assert_eq!(habits.answer("What is it"), Some("cat"));
        assert_eq!(habits.answer("Why?"), Some("3"));
        assert_eq!(Habits::of(&corpus, Modality::Audio).answer("What is it?"), None);
        let test = Selection::of_split(Split::Test);
        assert_eq!(asked(&corpus, Some(&test), Modality::Image), [2]);
        assert!(asked(&corpus, Some(&test), Modality::Audio).is_empty());
        assert!(asked(&corpus, None, Modality::Image).is_empty());
    }
}
