//! What can stop a probe.

use miette::Diagnostic;
use triptych_tasks::heads::linear_probe::ProbeError;
use triptych_tasks::metrics::MetricError;

/// Why there is no probe.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum ProbeFailure {
    /// No sample has the label.
    #[error("none of {n} {what} has {label}")]
    #[diagnostic(help("{tags}"))]
    NoLabel {
        /// Samples.
        n: usize,
        /// What they are: `training samples`.
        what: String,
        /// What the class would be.
        label: String,
        /// Which tags there are.
        tags: String,
    },
    /// Some samples lack the label.
    #[error("{n_without} of {n} {what} have no {label}, such as {id:?}")]
    #[diagnostic(help("`--skip-unlabelled` leaves them out; `--train` and `--test` select by tags"))]
    Unlabelled {
        /// Those without.
        n_without: usize,
        /// Samples.
        n: usize,
        /// What they are.
        what: String,
        /// What their class would be.
        label: String,
        /// One of them.
        id: String,
    },
    /// Nothing to tell apart.
    #[error(
        "expected training samples of at least two classes by {label}, got {n} of the class {class:?} alone"
    )]
    #[diagnostic(help(
        "another `--label` or a wider `--train` has more; `--least` may have left others out"
    ))]
    SingleClass {
        /// What the class is.
        label: String,
        /// Samples.
        n: usize,
        /// The class.
        class: String,
    },
    /// Every class is rarer than it should be.
    #[error(
        "expected classes of at least {least} training samples by {label}, got {n_most} in the largest, {class:?}"
    )]
    #[diagnostic(help("lower `--least`"))]
    AllRare {
        /// `--least`
        least: usize,
        /// What the class is.
        label: String,
        /// Samples of the largest class.
        n_most: usize,
        /// The largest class.
        class: String,
    },
    /// Fewer samples of a class than folds.
    #[error(
        "class {class:?}: expected {n_folds} training samples or more, one for each fold that chooses C, got {n}{}",
        if *n_others > 0 { format!(" (other classes with too few: {n_others})") } else { String::new() }
    )]
    #[diagnostic(help(
        "`--least {n_folds}` leaves such classes out, `--folds 2` asks for less, `--c 1` asks for no folds at all"
    ))]
    Folds {
        /// The class.
        class: String,
        /// Its samples.
        n: usize,
        /// Folds.
        n_folds: usize,
        /// Other classes with too few.
        n_others: usize,
    },
    /// Classes that the probe was not fitted to.
    #[error(
        "test set `{test}`: {n_samples} of {n} samples are of classes that the training samples lack ({n_classes} in all), such as {class:?} ({id:?})"
    )]
    #[diagnostic(help(
        "a probe names only classes that it was fitted to: choose another `--test` or `--label`, or widen `--train`"
    ))]
    OtherClasses {
        /// The test set.
        test: String,
        /// Samples of such classes.
        n_samples: usize,
        /// All samples.
        n: usize,
        /// Such classes.
        n_classes: usize,
        /// One of them.
        class: String,
        /// A sample of it.
        id: String,
    },
    /// No hold-out that can be tested on.
    #[error("no hold-out of the run can be tested on with {label}: {reasons}")]
    #[diagnostic(help("name what to test on, such as `--test split=test` or `--test style=twemoji`"))]
    NoTest {
        /// What the class is.
        label: String,
        /// Why not, hold-out by hold-out.
        reasons: String,
    },
    /// Samples to test on that the probe is fitted to.
    #[error("test set `{test}`: {n_shared} of {n} samples are training samples too, such as {id:?}")]
    #[diagnostic(help(
        "select others by `--train` or `--test`; without `split=all` they are of different splits"
    ))]
    Shared {
        /// The test set.
        test: String,
        /// Samples of both.
        n_shared: usize,
        /// Samples of the test set.
        n: usize,
        /// One of both.
        id: String,
    },
    /// Texts to test on that are all trained on.
    #[error("test set `{test}`: all of its {n} texts are training texts too, such as {text:?}")]
    #[diagnostic(help("a text tells nothing new of itself: select others by `--train` or `--test`"))]
    SharedTexts {
        /// The test set.
        test: String,
        /// Texts.
        n: usize,
        /// One of them.
        text: String,
    },
    /// A feature that is no number.
    #[error(
        "the {modality} {features} gives {value} for sample {id:?} (feature {column}): expected a finite number"
    )]
    #[diagnostic(help(
        "the weights of the newest checkpoint are broken: remove it to use the one before, or train again with a lower rate"
    ))]
    NotFinite {
        /// The modality.
        modality: &'static str,
        /// What was read out.
        features: &'static str,
        /// What came.
        value: f32,
        /// The sample.
        id: String,
        /// The feature's place.
        column: usize,
    },
    /// What the library refuses.
    #[error("probe: {0}")]
    Probe(#[from] ProbeError),
    /// A figure that is undefined.
    #[error("test set `{test}`: {problem}")]
    Figure {
        /// The test set.
        test: String,
        /// Why.
        problem: MetricError,
    },
}
