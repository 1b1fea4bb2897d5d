//! What can be wrong with the input of a CTC decoder.

/// Why CTC scores cannot be decoded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CtcError {
    /// There is no sound.
    #[error("expected at least one frame, got none")]
    NoFrames,
    /// The values do not make whole frames.
    #[error("expected frames of {n_labels} labels, got {n_values} values")]
    FrameSize {
        /// Labels of the vocabulary.
        n_labels: usize,
        /// Values given.
        n_values: usize,
    },
    /// A score that no probability has.
    #[error(
        "frame {frame_idx}, label {label}: expected a natural log-probability, got {value}\n  hint: scores become such by \
         log_softmax"
    )]
    LogProbability {
        /// The frame.
        frame_idx: usize,
        /// The label.
        label: usize,
        /// The score.
        value: f32,
    },
    /// A frame in which nothing is possible.
    #[error("frame {frame_idx}: expected at least one possible label, got -inf for all {n_labels}")]
    ImpossibleFrame {
        /// The frame.
        frame_idx: usize,
        /// Labels of the vocabulary.
        n_labels: usize,
    },
    /// A frame in which nothing is possible but labels that are never written.
    #[error("frame {frame_idx}: expected a possible label among the blank and those that are written")]
    DeadEnd {
        /// The frame.
        frame_idx: usize,
    },
    /// A vocabulary of another size than the scores.
    #[error("vocabulary does not match: it has {n_vocab} labels, the frames have {n_labels}")]
    VocabularySize {
        /// Labels of the vocabulary.
        n_vocab: usize,
        /// Labels of a frame.
        n_labels: usize,
    },
    /// A blank or another label outside the vocabulary.
    #[error("label {label}: expected one below {n_labels}")]
    UnknownLabel {
        /// The label.
        label: u32,
        /// Labels of a frame.
        n_labels: usize,
    },
    /// The blank where a written label is expected.
    #[error("label {label} at place {place}: expected a written label, got the blank")]
    WrittenBlank {
        /// The blank.
        label: u32,
        /// Its place.
        place: usize,
    },
    /// None of a language model's words can be written.
    #[error(
        "vocabulary does not match: none of the language model's {n_words} words can be written with its characters, {example:?} \
         for one\n  hint: is one in upper case and the other in lower case?"
    )]
    LanguageModel {
        /// Words of the language model.
        n_words: usize,
        /// One of them.
        example: String,
    },
    /// A hot word that can never be written.
    #[error("hot word {phrase:?} cannot be written with the vocabulary: it has no {character:?}")]
    HotWord {
        /// The phrase.
        phrase: String,
        /// The first character that no label has.
        character: char,
    },
    /// A setting that makes no sense.
    #[error("{setting}: expected {expected}, got {got}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// In words.
        expected: &'static str,
        /// As given.
        got: String,
    },
    /// More labels than frames can say.
    #[error(
        "expected at least {expected} frames for {n_labels} labels, of which {n_repeats} repeat the one before, got {got}"
    )]
    TooFewFrames {
        /// Labels to be aligned.
        n_labels: usize,
        /// Labels that need a blank before them.
        n_repeats: usize,
        /// Frames needed.
        expected: usize,
        /// Frames given.
        got: usize,
    },
    /// No alignment has a probability.
    #[error("the labels have no alignment of a probability above 0")]
    Impossible,
    /// The lattice does not fit.
    #[error(
        "{n_frames} frames x {n_states} states are more than an alignment holds: expected at most {limit} cells"
    )]
    TooLong {
        /// Frames.
        n_frames: usize,
        /// Labels and the blanks around them.
        n_states: usize,
        /// Cells that fit.
        limit: usize,
    },
}
