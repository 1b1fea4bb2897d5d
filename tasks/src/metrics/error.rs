//! What can be wrong with the input of a metric. Nothing is scored as zero for lack of data.

use thiserror::Error;

/// Why a metric could not be computed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MetricError {
    /// There is nothing to average over.
    #[error("nothing to score: expected at least one {what}, got none")]
    Empty {
        /// What is counted: utterance, image, query, target.
        what: &'static str,
    },
    /// Two lists that must pair up do not.
    #[error(
        "lists of different length: expected {expected} {what}, one for each of the references, got {got}"
    )]
    Lengths {
        /// What is counted.
        what: &'static str,
        /// The length that was expected.
        expected: usize,
        /// The length that was found.
        got: usize,
    },
    /// An image without a reference caption.
    #[error("image {image_idx} has no reference caption: expected at least one")]
    NoReferences {
        /// The place in the list of references.
        image_idx: usize,
    },
    /// A question that nobody answered.
    #[error("question {question_idx} has no answer to compare with: expected at least one")]
    NoAnswers {
        /// The place in the list of references.
        question_idx: usize,
    },
    /// A hypothesis that belongs to nothing.
    #[error("unknown id {id:?}: a hypothesis has it, no reference does{hint}")]
    UnknownId {
        /// The id.
        id: String,
        /// Empty, or a hint that begins with a line break.
        hint: String,
    },
    /// A reference that nothing was predicted for.
    #[error(
        "no hypothesis for id {id:?}: expected one for each of {n_references} references, got {n_hypotheses}"
    )]
    MissingHypothesis {
        /// The first id that lacks one.
        id: String,
        /// How many ids have references.
        n_references: usize,
        /// How many hypotheses there are.
        n_hypotheses: usize,
    },
    /// An id that stands twice in the same list.
    #[error("id {id:?} stands twice among the {what}: expected every id once")]
    DuplicateId {
        /// The id.
        id: String,
        /// Which list: hypotheses or references.
        what: &'static str,
    },
    /// A similarity matrix of another size than its sides say.
    #[error("similarity matrix: expected {n_query} queries x {n_target} targets = {expected} values, got {got}",
        expected = n_query.saturating_mul(*n_target))]
    MatrixSize {
        /// Rows.
        n_query: usize,
        /// Columns.
        n_target: usize,
        /// The number of values found.
        got: usize,
    },
    /// A similarity that cannot be ranked.
    #[error("similarity of query {query_idx} and target {target_idx} is NaN: expected a number")]
    NanSimilarity {
        /// The row.
        query_idx: usize,
        /// The column.
        target_idx: usize,
    },
    /// A relevant target outside the matrix.
    #[error("query {query_idx} names target {target_idx} as relevant: expected a target below {n_target}")]
    UnknownTarget {
        /// The row.
        query_idx: usize,
        /// The target that was named.
        target_idx: usize,
        /// How many targets there are.
        n_target: usize,
    },
    /// The same relevant target twice.
    #[error("query {query_idx} names target {target_idx} as relevant twice: expected a set")]
    DuplicateTarget {
        /// The row.
        query_idx: usize,
        /// The target that was named twice.
        target_idx: usize,
    },
    /// A query that can never be answered.
    #[error("query {query_idx} has no relevant target: expected at least one")]
    NoRelevantTarget {
        /// The row.
        query_idx: usize,
    },
    /// A cut-off that no ranking has.
    #[error("recall at rank {k}: expected a rank from 1 on")]
    Cutoff {
        /// The cut-off asked for.
        k: usize,
    },
    /// A table of document frequencies that contradicts itself.
    #[error(
        "document frequency of {n_gram:?} is {frequency}: expected at most the {n_images} images counted"
    )]
    DocumentFrequency {
        /// The n-gram, its words joined by a space.
        n_gram: String,
        /// In how many images it is said to be.
        frequency: u64,
        /// How many images were counted.
        n_images: u64,
    },
    /// A resampled value that is not a number.
    #[error("bootstrap resample {resample_idx}: expected a finite value, got {value}")]
    NotFinite {
        /// Which resample.
        resample_idx: usize,
        /// What came out.
        value: String,
    },
    /// A sample that no class was predicted for.
    #[error("sample {sample_idx} has no predicted class: expected at least one")]
    NoClasses {
        /// The sample.
        sample_idx: usize,
    },
    /// A class that there is not.
    #[error("sample {sample_idx} names class {class_idx}: expected a class below {n_classes}")]
    UnknownClass {
        /// The sample.
        sample_idx: usize,
        /// The class that was named.
        class_idx: usize,
        /// How many classes there are.
        n_classes: usize,
    },
    /// A class score that cannot be ranked.
    #[error("score of sample {sample_idx} and class {class_idx} is NaN: expected a number")]
    NanScore {
        /// The sample.
        sample_idx: usize,
        /// The class.
        class_idx: usize,
    },
    /// Class scores that are no probabilities.
    #[error("probabilities of sample {sample_idx}: expected numbers from 0 to 1 that add up to 1, got {got}")]
    NoProbability {
        /// The sample.
        sample_idx: usize,
        /// What was found.
        got: String,
    },
    /// An attribute among ranked targets that the targets do not have.
    #[error("query {query_idx} ranks a target of attribute {attribute}: expected one that some target has")]
    UnknownAttribute {
        /// The query.
        query_idx: usize,
        /// The attribute.
        attribute: usize,
    },
    /// No resamples to take percentiles of.
    #[error("bootstrap of {n_resamples} resamples: expected at least 2")]
    Resamples {
        /// The number asked for.
        n_resamples: usize,
    },
}
