//! What can be wrong with a config, each with the place where it was written.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

/// Why an experiment cannot be read.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ConfigError {
    /// A config file that is missing or unreadable.
    #[error("cannot read config {}: {source}", path.display())]
    #[diagnostic(help("`triptych config list` names the built-in configs"))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Neither a path nor the name of a built-in config.
    #[error("there is no built-in config `{name}`")]
    UnknownName {
        /// What was asked for.
        name: String,
        /// The nearest name, or all of them.
        #[help]
        hint: String,
    },
    /// Something at a line and column of a file or of a `--set` argument.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Located(#[from] Box<Problem>),
    /// Values that TOML cannot hold, such as a unit in an array.
    #[error("the resolved config cannot be written as TOML: {0}")]
    Unwritable(#[from] toml::ser::Error),
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        ConfigError::Located(Box::new(problem))
    }
}

/// Something wrong at a known place of a text.
#[derive(Clone, Debug)]
pub struct Problem {
    source: NamedSource<String>,
    span: Range<usize>,
    message: String,
    label: String,
    hint: Option<String>,
}

impl Problem {
    pub(super) fn new(name: &str, text: &str, span: Range<usize>) -> Self {
        Problem {
            source: NamedSource::new(name, text.to_owned()),
            span: span.start.min(text.len())..span.end.min(text.len()),
            message: String::new(),
            label: String::new(),
            hint: None,
        }
    }

    pub(super) fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    pub(super) fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names the nearest of the `valid` words in the place of `word`, and all of them behind an `introduction`.
    pub(super) fn with_suggestion(self, word: &str, valid: &[&str], introduction: &str) -> Self {
        let problem = match nearest(word, valid) {
            Some(name) => self.with_label(format!("did you mean `{name}`?")),
            None => self.with_label("not known"),
        };
        match valid {
            [] => problem.with_hint("nothing may be set here"),
            _ => problem.with_hint(format!("{introduction}: {}", valid.join(", "))),
        }
    }

    /// The file (or `--set`), line and column, both from 1.
    pub fn position(&self) -> (&str, usize, usize) {
        let (line, column) = line_and_column(self.source.inner(), self.span.start);
        (self.source.name(), line, column)
    }
}

/// Line and column, from 1, of a byte; the column counts characters.
pub(super) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.hint.as_ref().map(|hint| Box::new(hint) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = Some(self.label.clone()).filter(|label| !label.is_empty());
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(label, self.span.clone()))))
    }
}

/// The candidate that `word` most likely meant, where one is near enough.
pub(super) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    // names shorter than this are near to almost anything
    const MIN_SIMILARITY: f64 = 0.75;
    let similarity = |candidate: &str| {
        let edits = strsim::normalized_damerau_levenshtein(word, candidate);
        edits.max(strsim::jaro_winkler(word, candidate))
    };
    let scored = candidates.iter().map(|candidate| (similarity(candidate), *candidate));
    let best = scored.max_by(|(left, _), (right, _)| left.total_cmp(right))?;
    (best.0 >= MIN_SIMILARITY).then_some(best.1)
}
