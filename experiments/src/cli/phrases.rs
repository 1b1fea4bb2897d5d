//! Files of words and phrases, one a line: hot words, and the only words that may be written.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use triptych_datasets::text::{Tokenizer, TokenizerKind, UNK, normalise};
use triptych_tasks::decode::{Constraint, DecodeError, Phrases};

/// Larger files are no lists of words.
const MAX_BYTES: u64 = 16 << 20;

/// A list of phrases that cannot be used.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{}: {problem}", path.display())]
pub(super) struct PhrasesError {
    pub(super) path: PathBuf,
    pub(super) problem: String,
}

/// A phrase and the line that it stands on, from 1.
pub(super) struct Line {
    pub(super) number: usize,
    /// In the way that the tokenizer writes texts.
    pub(super) phrase: String,
    /// What stands behind a tab.
    pub(super) value: Option<String>,
}

/// Reads the lines that are not blank.
///
/// # Errors
/// A file that cannot be read, is no text or too large, or holds no phrase.
pub(super) fn read(path: &Path) -> Result<Vec<Line>, PhrasesError> {
    let fault = |problem: String| PhrasesError { path: path.to_owned(), problem };
    let text = content(path)?;
    let lines = text.lines().enumerate().map(|(place, line)| {
        let (phrase, value) = match line.split_once('\t') {
            Some((phrase, value)) => (phrase, Some(value.trim().to_owned())),
            None => (line, None),
        };
        Line { number: place + 1, phrase: normalise(phrase), value }
    });
    let lines = lines.filter(|line| !line.phrase.is_empty()).collect::<Vec<_>>();
    if lines.is_empty() {
        return Err(fault("expected a phrase on each line, got none".to_owned()));
    }
    Ok(lines)
}

/// The lines of a file that are not blank, as they stand.
///
/// # Errors
/// As [`read`].
pub(super) fn lines_of(path: &Path) -> Result<Vec<String>, PhrasesError> {
    let text = content(path)?;
    let lines =
        text.lines().filter(|line| !line.trim().is_empty()).map(ToOwned::to_owned).collect::<Vec<_>>();
    if lines.is_empty() {
        let problem = "expected a text on each line, got none".to_owned();
        return Err(PhrasesError { path: path.to_owned(), problem });
    }
    Ok(lines)
}

fn content(path: &Path) -> Result<String, PhrasesError> {
    let fault = |problem: String| PhrasesError { path: path.to_owned(), problem };
    let mut text = String::new();
    let file = File::open(path).map_err(|error| fault(format!("cannot be read: {error}")))?;
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| fault(format!("cannot be read: {error}")))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(fault(format!("expected a list of words of at most {MAX_BYTES} bytes")));
    }
    Ok(text)
}

/// Texts that consist of the phrases of a file.
///
/// # Errors
/// As [`read`], and phrases that the vocabulary cannot write.
pub(super) fn only(path: &Path, tokenizer: &Tokenizer) -> Result<Constraint, PhrasesError> {
    let fault = |problem: String| PhrasesError { path: path.to_owned(), problem };
    let mut phrases = Vec::new();
    for Line { number, phrase, .. } in read(path)? {
        let ids = tokenizer.encode(&phrase);
        if ids.contains(&UNK) {
            return Err(fault(format!("line {number}: {phrase:?} has a character that the model never saw")));
        }
        phrases.push(ids);
    }
    let space = |id: &u32| tokenizer.token(*id).as_deref() == Some(" ");
    // pieces say themselves that a word starts
    let separator = match tokenizer.kind() {
        TokenizerKind::Characters => (0..tokenizer.n_tokens() as u32).find(space),
        TokenizerKind::Bpe | TokenizerKind::WordPiece | TokenizerKind::Unigram | TokenizerKind::Published => {
            None
        }
    };
    let separator = separator.into_iter().collect::<Vec<_>>();
    let tree =
        Phrases::any_of(&phrases, &separator).map_err(|error: DecodeError| fault(error.to_string()))?;
    Ok(Constraint::Phrases(tree))
}
