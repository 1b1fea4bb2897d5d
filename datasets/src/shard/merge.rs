//! Merging corpora: their shards side by side under one index, without reading them again.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::atomic::{publish, temporary_beside, write_atomic};
use super::index::{FileRecord, Index, Licence};
use super::{
    CorpusError, CorpusStream, ENTRIES_FILE, FORMAT_VERSION, INDEX_FILE, LICENCES_FILE, ShardWriter,
};

const ZSTD_LEVEL: i32 = 3;

/// Makes one corpus of several, their samples in the order given. Shards are linked where the file system can, else
/// copied, and called after the new name. A corpus that lay in `dir` is removed.
///
/// # Errors
/// A part that cannot be opened, an identifier that two parts have (the message names both), a folder that cannot be
/// written.
pub fn merge_corpora(
    parts: &[PathBuf],
    dir: &Path,
    name: &str,
    recipe: &str,
) -> Result<CorpusStream, CorpusError> {
    check_ids(parts)?;
    // makes the folder, and takes away what lay there
    drop(ShardWriter::create(dir, name)?);
    let entries_path = dir.join(ENTRIES_FILE);
    let write_failed = |e: io::Error| CorpusError::io("write", &entries_path, e);
    let mut entries = EntriesFile::create(&entries_path)?;
    let mut shards: Vec<FileRecord> = Vec::new();
    let mut licences: Vec<Licence> = Vec::new();
    let mut n_samples = 0;
    for part in parts {
        let corpus = CorpusStream::open(part)?;
        let first_shard = shards.len();
        for entry in corpus.entries()? {
            let mut entry = entry?;
            entry.shard_idx += first_shard;
            let mut line = serde_json::to_vec(&entry)
                .map_err(|e| CorpusError::malformed(&entries_path, &entry.id, e.to_string()))?;
            line.push(b'\n');
            entries.write(&line).map_err(write_failed)?;
        }
        n_samples += corpus.len();
        for record in shards_of(part)? {
            let new = format!("{name}-{:06}.tar", shards.len());
            link(&part.join(&record.name), &dir.join(&new))?;
            shards.push(FileRecord { name: new, ..record });
        }
        for licence in corpus.licences()? {
            if !licences.contains(&licence) {
                licences.push(licence);
            }
        }
    }
    let entries = FileRecord { n_samples, ..entries.finish(&entries_path)? };
    let licences_path = dir.join(LICENCES_FILE);
    let ledger = to_json(&licences_path, &licences)?;
    write_atomic(&licences_path, &ledger).map_err(|e| CorpusError::io("write", &licences_path, e))?;
    let licences = FileRecord {
        name: LICENCES_FILE.to_owned(),
        n_bytes: ledger.len() as u64,
        blake3: blake3::hash(&ledger).to_hex().to_string(),
        n_samples: 0,
    };
    let mut index = Index {
        format_version: FORMAT_VERSION,
        name: name.to_owned(),
        recipe: recipe.to_owned(),
        n_samples,
        shards,
        entries,
        licences,
        content_hash: String::new(),
    };
    index.content_hash = index.compute_content_hash();
    let index_path = dir.join(INDEX_FILE);
    let text = to_json(&index_path, &index)?;
    write_atomic(&index_path, &text).map_err(|e| CorpusError::io("write", &index_path, e))?;
    CorpusStream::open(dir)
}

/// The list of a corpus's shards; that the index is whole was seen when it was opened.
fn shards_of(part: &Path) -> Result<Vec<FileRecord>, CorpusError> {
    let path = part.join(INDEX_FILE);
    let bytes = fs::read(&path).map_err(|e| CorpusError::io("read", &path, e))?;
    let index: Index = serde_json::from_slice(&bytes)
        .map_err(|e| CorpusError::malformed(&path, "whole file", e.to_string()))?;
    Ok(index.shards)
}

fn to_json<T: serde::Serialize>(path: &Path, value: &T) -> Result<Vec<u8>, CorpusError> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|e| CorpusError::malformed(path, "whole file", e.to_string()))?;
    text.push(b'\n');
    Ok(text)
}

/// No identifier twice. Holds 20 bytes a sample.
pub(crate) fn check_ids(parts: &[PathBuf]) -> Result<(), CorpusError> {
    let mut seen: HashMap<[u8; 16], u32> = HashMap::new();
    for (part_idx, part) in parts.iter().enumerate() {
        for entry in CorpusStream::open(part)?.entries()? {
            let entry = entry?;
            let mut key = [0; 16];
            key.copy_from_slice(&blake3::hash(entry.id.as_bytes()).as_bytes()[..16]);
            if let Some(first) = seen.insert(key, part_idx as u32) {
                let (first, second) = (parts[first as usize].display(), part.display());
                let problem = format!(
                    "expected it in one corpus, got it in {first} and in {second} (from {})",
                    entry.source
                );
                return Err(CorpusError::BadSample { id: entry.id, problem });
            }
        }
    }
    Ok(())
}

/// A hard link, or a copy where there can be none.
fn link(from: &Path, to: &Path) -> Result<(), CorpusError> {
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    let failed = |e| CorpusError::io("write", to, e);
    let mut file = temporary_beside(to).map_err(failed)?;
    let mut source = fs::File::open(from).map_err(|e| CorpusError::io("open", from, e))?;
    io::copy(&mut source, &mut file).map_err(failed)?;
    publish(file, to).map_err(failed)
}

/// `entries.jsonl.zst`, line by line.
struct EntriesFile {
    encoder: zstd::stream::write::Encoder<'static, BufWriter<tempfile::NamedTempFile>>,
}

impl EntriesFile {
    fn create(path: &Path) -> Result<Self, CorpusError> {
        let failed = |e| CorpusError::io("create", path, e);
        let file = temporary_beside(path).map_err(failed)?;
        let encoder = zstd::stream::write::Encoder::new(BufWriter::new(file), ZSTD_LEVEL).map_err(failed)?;
        Ok(Self { encoder })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.encoder.write_all(line)
    }

    fn finish(self, path: &Path) -> Result<FileRecord, CorpusError> {
        let failed = |e| CorpusError::io("write", path, e);
        let file = self.encoder.finish().map_err(failed)?;
        let file = file.into_inner().map_err(|e| failed(e.into_error()))?;
        let mut hasher = blake3::Hasher::new();
        let written = fs::File::open(file.path()).map_err(failed)?;
        let n_bytes = written.metadata().map_err(failed)?.len();
        hasher.update_reader(written).map_err(failed)?;
        publish(file, path).map_err(failed)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(FileRecord { name, n_bytes, blake3: hasher.finalize().to_hex().to_string(), n_samples: 0 })
    }
}
