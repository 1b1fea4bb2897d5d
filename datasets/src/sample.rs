//! The one currency between raw files and everything else: bytes and strings, no tensors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One item of a corpus: any subset of a picture, a sound and texts that belong together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Unique within the corpus; the key of its members in a shard.
    pub id: String,
    /// Where it came from: a file, an archive member, a row. For messages.
    pub source: String,
    /// Samples of one group share their meaning (the drawings and the recordings of one concept), so that a
    /// loader may pair a picture of one with the sound of another. By itself a sample is its own group.
    pub group: String,
    /// Where it may be used.
    pub split: Split,
    /// Encoded picture, as in its file.
    pub image: Option<Media>,
    /// Encoded sound, as in its file.
    pub audio: Option<Media>,
    /// Captions or transcripts; the first is the one that a model learns to write.
    pub texts: Vec<String>,
    /// What may be asked about its picture or its sound.
    pub questions: Vec<Question>,
    /// Whatever else is known: speaker, style, language. Evaluations select and slice by these.
    pub tags: BTreeMap<String, String>,
}

/// A question about a picture or a sound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The words that it is asked in.
    pub question: String,
    /// What people answered, one each; several may say the same.
    #[serde(default)]
    pub answers: Vec<String>,
}

impl Question {
    /// Takes out answers without a word, and spaces around others; whether a question with an answer is left.
    pub(crate) fn tidied(&mut self) -> bool {
        for text in self.texts_mut() {
            let trimmed = text.trim();
            if trimmed.len() < text.len() {
                *text = trimmed.to_owned();
            }
        }
        self.answers.retain(|answer| !answer.is_empty());
        !self.question.is_empty() && !self.answers.is_empty()
    }

    /// The question, then its answers.
    pub fn texts(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.question).chain(&self.answers)
    }

    /// The same, to be changed.
    pub fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        std::iter::once(&mut self.question).chain(&mut self.answers)
    }
}

/// An encoded picture or sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// The file's content.
    pub bytes: Vec<u8>,
    /// The file name's ending without the dot, lower case: `png`, `wav`.
    pub extension: String,
}

/// What a sample may be used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Seen in training.
    #[default]
    Train,
    /// Used to choose between models, never trained on.
    Validation,
    /// Used to report figures, never trained on.
    Test,
}
