//! What a report is made of. Every part may be empty: its section is then left out.

use serde::{Deserialize, Serialize};

use super::Media;
use crate::evaluate::{ClassOutcome, Confusion, ScoreRow};

/// Everything that a report shows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReportInputs {
    /// Which run this is.
    pub run: RunFacts,
    /// The key figures, best six to eight; chosen from `scores` when empty.
    pub headline: Vec<Headline>,
    /// What the run ran on.
    pub machine: Machine,
    /// How long each stage took, in order.
    pub stages: Vec<Stage>,
    /// The most memory that the process held, in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// The resolved config, as TOML.
    pub config_toml: String,
    /// Losses against the step, one series an objective, unsmoothed.
    pub losses: Vec<Series>,
    /// Other quantities against the step: learning rate, samples a second, gradient norm.
    pub progress: Vec<Series>,
    /// Every figure of the evaluation.
    pub scores: Vec<ScoreRow>,
    /// Samples told apart, class by class.
    pub classes: Vec<ClassTable>,
    /// Captions written, good and bad.
    pub captions: Gallery<CaptionItem>,
    /// Speech transcribed, good and bad.
    pub transcripts: Gallery<TranscriptItem>,
    /// Questions answered, well and badly.
    pub answers: Gallery<AnswerItem>,
    /// Searches and what they found.
    pub searches: Gallery<SearchExample>,
    /// Where the data come from and under which licence.
    pub ledger: Vec<LedgerRow>,
    /// Things that a reader must know, one paragraph each.
    pub notes: Vec<String>,
    /// Commands worth trying next.
    pub next_steps: Vec<NextStep>,
}

/// Which run the report is about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunFacts {
    /// The run's name, as in its folder.
    pub name: String,
    /// The page's heading.
    pub title: String,
    /// What the model does and how it came about, in a paragraph.
    pub summary: String,
    /// Short facts for the line under the summary: steps, parameters, revision, date.
    pub facts: Vec<Fact>,
}

/// A labelled fact.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// What it is: `parameters`.
    pub label: String,
    /// Its value, ready to read: `2.1 M`.
    pub value: String,
}

/// A key figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Headline {
    /// What the figure says, in words: `finds the caption of a picture in an unseen style`.
    pub label: String,
    /// The figure.
    pub score: ScoreRow,
}

/// The computer. Empty or absent fields are left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Machine {
    /// The processor's model name.
    pub cpu: String,
    /// Number of cores that the process could use.
    pub cores: Option<usize>,
    /// Installed memory, in bytes.
    pub memory_bytes: Option<u64>,
    /// Operating system and architecture.
    pub os: String,
    /// The device that computed: `cpu`, `cuda:0`, with its name.
    pub device: String,
    /// Number of threads used.
    pub threads: Option<usize>,
}

/// A stage of the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// `prepare`, `train`, `evaluate`, `report`.
    pub name: String,
    /// Wall-clock time, in seconds.
    pub seconds: f64,
}

/// A quantity against the training step. Points that are not finite are left out of the plot and counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// What is plotted.
    pub name: String,
    /// Its unit, or empty.
    #[serde(default)]
    pub unit: String,
    /// `(step, value)`, by rising step.
    pub points: Vec<(f64, f64)>,
}

/// Samples told apart, by the names of classes or by a probe.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassTable {
    /// The task, as in [`ScoreRow::task`].
    pub task: String,
    /// The hold-out, as in [`ScoreRow::holdout`].
    pub holdout: String,
    /// What was looked at: `image`, `image encoder`.
    pub query: String,
    /// What the classes are: `category`.
    pub target: String,
    /// How they were told apart, in a line.
    pub remark: String,
    /// Every class.
    pub classes: Vec<ClassOutcome>,
    /// What was taken for what, the most frequent first.
    pub confusions: Vec<Confusion>,
    /// Strengths of a probe's regularisation that were tried, if any.
    pub strengths: Vec<TriedStrength>,
}

/// A strength of regularisation that was tried.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriedStrength {
    /// C, its inverse.
    pub c: f64,
    /// Right ones of the samples held out, in percent.
    pub accuracy: f64,
    /// Their mean loss, in nats.
    pub loss: f64,
    /// Whether it was chosen.
    pub is_chosen: bool,
}

/// Examples, and how many there were to choose from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gallery<T> {
    /// The examples; a report shows at most a fixed number of them, taken evenly over hold-outs and outcomes.
    pub items: Vec<T>,
    /// The number of predictions that the examples were taken from.
    pub total: usize,
}

impl<T> Default for Gallery<T> {
    fn default() -> Self {
        Self { items: Vec::new(), total: 0 }
    }
}

impl<T> From<Vec<T>> for Gallery<T> {
    fn from(items: Vec<T>) -> Self {
        Self { total: items.len(), items }
    }
}

/// A caption written for a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptionItem {
    /// The picture, a PNG.
    pub image: Media,
    /// What the model wrote.
    pub hypothesis: String,
    /// What would have been right.
    pub references: Vec<String>,
    /// The hold-out that the picture belongs to, as in [`ScoreRow::holdout`].
    pub holdout: String,
    /// Whether the caption counts as right.
    pub correct: bool,
    /// The caption's own score, if it has one.
    pub score: Option<ItemScore>,
}

/// An answer to a question about a picture or a sound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerItem {
    /// The picture, a PNG, where it is about one.
    pub image: Option<Media>,
    /// The sound, a WAV, where it is about one.
    pub audio: Option<Media>,
    /// What was asked.
    pub question: String,
    /// What the model wrote.
    pub hypothesis: String,
    /// What people answered, each answer once with how many gave it, the most frequent first.
    pub references: Vec<(String, usize)>,
    /// The hold-out that it belongs to, as in [`ScoreRow::holdout`].
    pub holdout: String,
    /// Whether the answer is one of theirs.
    pub correct: bool,
    /// The answer's own score, if it has one.
    pub score: Option<ItemScore>,
}

/// The score of one prediction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemScore {
    /// The metric's name.
    pub name: String,
    /// The figure.
    pub value: f64,
}

/// A transcript of speech.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranscriptItem {
    /// The sound, a WAV.
    pub audio: Media,
    /// What the model heard.
    pub hypothesis: String,
    /// What was said.
    pub reference: String,
    /// The hold-out that the sound belongs to, as in [`ScoreRow::holdout`].
    pub holdout: String,
    /// The voice's name.
    pub voice: String,
    /// Number of wrong words: substituted, missing or added.
    pub errors: usize,
    /// Whether a program spoke.
    pub synthetic: bool,
}

/// A search and what it found, best first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchExample {
    /// What was asked.
    pub query: SearchQuery,
    /// What was found, best first.
    pub results: Vec<SearchResult>,
    /// The hold-out that the search belongs to, as in [`ScoreRow::holdout`].
    pub holdout: String,
}

/// What a search asks with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SearchQuery {
    /// Written words.
    Text(String),
    /// Spoken words.
    Speech {
        /// The sound, a WAV.
        audio: Media,
        /// The words, for the reader; the model only heard them.
        text: String,
        /// Whether a program spoke.
        synthetic: bool,
    },
    /// A picture.
    Image {
        /// The picture, a PNG.
        image: Media,
        /// What it shows, for the reader; the model only saw it.
        text: String,
    },
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchResult {
    /// The picture found, a PNG, if pictures were searched.
    pub image: Option<Media>,
    /// The caption of what was found.
    pub caption: String,
    /// The similarity that ranked it.
    pub similarity: f64,
    /// Whether it is a right answer.
    pub correct: bool,
}

/// One source of data.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerRow {
    /// Which part of the data it gave.
    pub part: String,
    /// Where it comes from.
    pub source: String,
    /// The version taken.
    pub version: String,
    /// Its licence, by SPDX name where it has one.
    pub licence: String,
    /// Whom to name.
    pub attribution: String,
}

/// A command to try next.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NextStep {
    /// The command line.
    pub command: String,
    /// What it does.
    pub purpose: String,
}
