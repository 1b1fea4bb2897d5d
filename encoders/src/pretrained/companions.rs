//! The files that belong to a checkpoint's weights: its tokenizer and the settings of its preprocessing.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{CheckpointError, quoted};
use super::folder::PublishedFolder;

/// What is taken along if it is there, some in folders of their own.
const NAMES: [&str; 20] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "normalizer.json",
    "spiece.model",
    "preprocessor_config.json",
    "processor_config.json",
    "generation_config.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
    "2_Normalize/config.json",
    "README.md",
    "LICENSE",
    "LICENSE.txt",
];

/// The most that one of them may take; the largest vocabulary that we know of takes 33 MB.
const MAX_BYTES: u64 = 128 << 20;

/// A file as it was when the checkpoint was imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// Its size.
    pub bytes: u64,
    /// Hash of its content; none of the weights, which are large and checked by their own header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blake3: Option<String>,
}

/// Copies what belongs to the checkpoint in `source` into `folder` and gives a record of each file.
///
/// # Errors
/// When a file cannot be read or written, is too large or leads elsewhere.
pub(super) fn copy(
    source: &PublishedFolder,
    folder: &Path,
) -> Result<BTreeMap<String, FileRecord>, CheckpointError> {
    let mut records = BTreeMap::new();
    for name in NAMES {
        let Some(bytes) = read(source, name)? else { continue };
        write(folder, name, &bytes)?;
        records.insert(name.to_owned(), record(&bytes));
    }
    Ok(records)
}

/// Copies recorded files on, each checked.
///
/// # Errors
/// As [`copy`], and where a file is not what was recorded.
pub(super) fn copy_recorded(
    source: &PublishedFolder,
    records: &BTreeMap<String, FileRecord>,
    folder: &Path,
) -> Result<(), CheckpointError> {
    for (name, record) in records.iter().filter(|(_, record)| record.blake3.is_some()) {
        let bytes = check(source, name, record)?;
        write(folder, name, &bytes)?;
    }
    Ok(())
}

/// The content of a file that is as it was recorded.
///
/// # Errors
/// When it is absent or another.
pub(super) fn check(
    source: &PublishedFolder,
    name: &str,
    expected: &FileRecord,
) -> Result<Vec<u8>, CheckpointError> {
    let path = source.path().join(name);
    let Some(bytes) = read(source, name)? else {
        return Err(CheckpointError::content(
            source.path(),
            format!("file {}", quoted(name)),
            "the one of import",
            "none",
        )
        .with_hint(HINT));
    };
    let got = record(&bytes);
    if got == *expected {
        return Ok(bytes);
    }
    let shown = |record: &FileRecord| {
        format!("{} bytes of blake3 {}", record.bytes, record.blake3.as_deref().unwrap_or("unknown"))
    };
    Err(CheckpointError::content(&path, "itself", shown(expected), shown(&got)).with_hint(HINT))
}

const HINT: &str = "it is not the file that the weights were imported with: import the checkpoint again";

fn record(bytes: &[u8]) -> FileRecord {
    FileRecord { bytes: bytes.len() as u64, blake3: Some(blake3::hash(bytes).to_hex().to_string()) }
}

fn read(source: &PublishedFolder, name: &str) -> Result<Option<Vec<u8>>, CheckpointError> {
    let found = match name.split_once('/') {
        None => source.find(name)?,
        Some((folder, file)) => match source.subfolder(folder)? {
            Some(folder) => folder.find(file)?,
            None => None,
        },
    };
    let Some(path) = found else { return Ok(None) };
    let file = File::open(&path).map_err(|e| CheckpointError::io("open", &path, e))?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|e| CheckpointError::io("read", &path, e))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(CheckpointError::content(&path, "itself", format!("at most {MAX_BYTES} bytes"), "more"));
    }
    Ok(Some(bytes))
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), CheckpointError> {
    let path = folder.join(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|e| CheckpointError::io("write", parent, e))?;
    }
    fs::write(&path, bytes).map_err(|e| CheckpointError::io("write", &path, e))
}

/// Checks that a model of `n_vocab` token ids has a row for every token of the folder's tokenizer, if it has one.
///
/// # Errors
/// When a token lies beyond, or the file is no tokenizer.
pub(super) fn check_tokenizer(source: &PublishedFolder, n_vocab: usize) -> Result<(), CheckpointError> {
    let Some(tokenizer) = source.json("tokenizer.json")? else { return check_vocabulary(source, n_vocab) };
    let path = source.path().join("tokenizer.json");
    let wrong = |place: &str, expected: &str, got: &Value| {
        CheckpointError::content(&path, place, expected, quoted(&got.to_string()))
    };
    let vocabulary = &tokenizer["model"]["vocab"];
    let largest = match vocabulary {
        Value::Object(tokens) => largest(tokens.iter().map(|(token, id)| (token.as_str(), id.as_u64()))),
        // Unigram: a list of tokens with their scores
        Value::Array(tokens) => tokens
            .len()
            .checked_sub(1)
            .map(|last| (tokens[last][0].as_str().unwrap_or_default(), last as u64)),
        other => return Err(wrong("key `model.vocab`", "a vocabulary", other)),
    };
    let added = tokenizer["added_tokens"].as_array().map(Vec::as_slice).unwrap_or_default();
    let added = largest_of(added);
    match largest.into_iter().chain(added).max_by_key(|&(_, id)| id) {
        None => Err(wrong("key `model.vocab`", "at least one token", vocabulary)),
        Some((token, id)) if id >= n_vocab as u64 => Err(CheckpointError::content(
            &path,
            format!("token {}", quoted(token)),
            format!("a number below {n_vocab}, the `vocab_size` of config.json"),
            id.to_string(),
        )
        .with_hint("it is the tokenizer of another checkpoint")),
        Some(_) => Ok(()),
    }
}

/// The same of a vocabulary in an older form.
fn check_vocabulary(source: &PublishedFolder, n_vocab: usize) -> Result<(), CheckpointError> {
    let (name, n_tokens) = if let Some(bytes) = read(source, "vocab.txt")? {
        // the last line may end or not
        let lines = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        ("vocab.txt", 1 + lines.iter().filter(|&&byte| byte == b'\n').count() as u64)
    } else {
        let mut most = 0;
        for name in ["vocab.json", "added_tokens.json"] {
            if let Some(Value::Object(tokens)) = source.json(name)? {
                let entries = tokens.iter().map(|(token, id)| (token.as_str(), id.as_u64()));
                most = most.max(largest(entries).map_or(0, |(_, id)| id.saturating_add(1)));
            }
        }
        ("vocab.json", most)
    };
    if n_tokens <= n_vocab as u64 {
        return Ok(());
    }
    let expected = format!("at most {n_vocab} tokens, the `vocab_size` of config.json");
    let path = source.path().join(name);
    Err(CheckpointError::content(&path, "itself", expected, n_tokens.to_string())
        .with_hint("it is the tokenizer of another checkpoint"))
}

fn largest<'a>(tokens: impl Iterator<Item = (&'a str, Option<u64>)>) -> Option<(&'a str, u64)> {
    // what is no number lies beyond every vocabulary
    tokens.map(|(token, id)| (token, id.unwrap_or(u64::MAX))).max_by_key(|&(_, id)| id)
}

fn largest_of(added: &[Value]) -> Option<(&str, u64)> {
    largest(added.iter().map(|token| (token["content"].as_str().unwrap_or_default(), token["id"].as_u64())))
}
