//! `predictions.json`: what a model wrote and found on the hold-outs, for the report and for anyone's own figures.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// Everything that a model wrote and found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predictions {
    /// Captions of pictures.
    pub captions: Vec<CaptionPrediction>,
    /// Transcripts of sounds.
    pub transcripts: Vec<TranscriptPrediction>,
    /// Answers to questions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<AnswerPrediction>,
    /// Searches, some of each hold-out.
    pub searches: Vec<SearchPrediction>,
    /// Samples told apart by the names of classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classifications: Vec<ClassificationPrediction>,
}

/// A caption.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptionPrediction {
    /// The hold-out.
    pub holdout: String,
    /// The picture's sample.
    pub id: String,
    /// What the model wrote.
    pub hypothesis: String,
    /// Mean log-probability of its tokens.
    pub confidence: f32,
    /// What would have been right.
    pub references: Vec<String>,
    /// Whether it is one of them.
    pub exact: bool,
}

/// A transcript.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranscriptPrediction {
    /// The hold-out.
    pub holdout: String,
    /// The sound's sample.
    pub id: String,
    /// What the model wrote on the causal segment.
    pub hypothesis: String,
    /// What CTC read off the audio span.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_ctc: Option<String>,
    /// What was said.
    pub reference: String,
    /// Words substituted, missing or added.
    pub errors: usize,
}

/// An answer to a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerPrediction {
    /// The hold-out.
    pub holdout: String,
    /// The picture or the sound that was asked about.
    pub about: Item,
    /// What was asked.
    pub question: String,
    /// What the model wrote.
    pub hypothesis: String,
    /// Mean log-probability of its tokens.
    pub confidence: f32,
    /// What people answered, one each.
    pub references: Vec<String>,
    /// Its share of the VQA accuracy, 0 to 1, where people enough answered for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Whether it is one of theirs.
    pub exact: bool,
}

/// A search and the best of what it found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchPrediction {
    /// The hold-out.
    pub holdout: String,
    /// What was asked with.
    pub query: Item,
    /// The best, best first.
    pub results: Vec<Found>,
    /// Rank of the first right answer, from 1.
    pub rank: f64,
}

/// A hold-out told apart by the names of classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassificationPrediction {
    /// The hold-out.
    pub holdout: String,
    /// `image` or `speech`.
    pub query: String,
    /// What the classes are: `tag:category`.
    pub label: String,
    /// Phrases around their names.
    pub templates: Vec<String>,
    /// Every class that there was to choose from.
    pub classes: Vec<ClassOutcome>,
    /// Every sample.
    pub samples: Vec<ClassifiedSample>,
}

/// How a class was recognised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassOutcome {
    /// Its name.
    pub name: String,
    /// Samples of it.
    pub n: usize,
    /// Those that were taken for it.
    pub n_right: usize,
    /// Samples of any class that were taken for it.
    pub n_predicted: usize,
}

/// What a sample was taken for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifiedSample {
    /// The sample.
    pub id: String,
    /// Its class.
    pub label: String,
    /// What it was taken for.
    pub predicted: String,
    /// The probability of that.
    pub confidence: f64,
}

/// Something found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// What.
    pub item: Item,
    /// Cosine similarity to the query.
    pub similarity: f32,
    /// Whether it is a right answer.
    pub correct: bool,
}

/// A text, or a sample's picture or sound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Item {
    /// Written words.
    Text(String),
    /// The picture of the sample of this id.
    Image(String),
    /// The sound of the sample of this id.
    Speech(String),
}

impl Item {
    /// The text, or the sample's id.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Text(name) | Self::Image(name) | Self::Speech(name) => name,
        }
    }
}

impl Predictions {
    /// File name in a run's folder.
    pub const FILE: &'static str = "predictions.json";

    /// Reads them from a run's folder.
    ///
    /// # Errors
    /// When the file cannot be read or is something else.
    pub fn read(folder: &Path) -> Result<Self, PredictionsError> {
        let path = folder.join(Self::FILE);
        let fault = |message: String| PredictionsError { path: path.clone(), message };
        let text = std::fs::read_to_string(&path).map_err(|error| fault(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| fault(error.to_string()))
    }
}

/// Why predictions could not be read.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{}: {message}", path.display())]
#[diagnostic(help("make them again with `triptych evaluate RUN`"))]
pub struct PredictionsError {
    path: std::path::PathBuf,
    message: String,
}
