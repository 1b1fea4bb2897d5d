//! The index, the files that it lists, and the entries, read as far as they go.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::{AuditOptions, Findings};
use crate::shard::{
    CorpusError, ENTRIES_FILE, Entry, FORMAT_VERSION, FileRecord, INDEX_FILE, Index, SeenKeys,
};

/// No entry is longer.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// A shard as the audit knows it.
#[derive(Clone, Debug)]
pub(super) struct ShardRecord {
    pub(super) name: String,
    /// Size, hash and number of samples by the index, where that can be believed.
    pub(super) told: Option<FileRecord>,
}

/// Which files there should be.
#[derive(Debug)]
pub(super) struct Listing {
    /// Only where it matches its own hash.
    pub(super) index: Option<Index>,
    pub(super) index_bytes: u64,
    pub(super) shards: Vec<ShardRecord>,
}

impl Listing {
    /// Reads the index. Where it cannot be believed, the folder says which shards there are.
    ///
    /// # Errors
    /// A folder without an index.
    pub(super) fn read(dir: &Path, options: AuditOptions) -> Result<(Self, Findings), CorpusError> {
        let path = dir.join(INDEX_FILE);
        let mut findings = Findings::of(INDEX_FILE, options);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(CorpusError::NotACorpus { dir: dir.to_owned() });
            }
            Err(source) => return Err(CorpusError::Io { action: "read", path, source }),
        };
        let index = match parse(&bytes) {
            Ok(index) => Some(index),
            Err((byte, problem)) => {
                findings.add(None, byte, problem);
                None
            }
        };
        let shards = match &index {
            Some(index) => {
                let told =
                    |shard: &FileRecord| ShardRecord { name: shard.name.clone(), told: Some(shard.clone()) };
                index.shards.iter().map(told).collect()
            }
            None => shards_in(dir)?,
        };
        Ok((Self { index, index_bytes: bytes.len() as u64, shards }, findings))
    }
}

fn parse(bytes: &[u8]) -> Result<Index, (Option<u64>, String)> {
    let malformed = |e: serde_json::Error| (byte_of(bytes, &e), e.to_string());
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(malformed)?;
    let version = value.get("format_version").and_then(serde_json::Value::as_u64);
    if version.is_none_or(|version| version > u64::from(FORMAT_VERSION)) {
        return Err((None, format!("expected format_version {FORMAT_VERSION} or older, got {version:?}")));
    }
    let index: Index = serde_json::from_slice(bytes).map_err(malformed)?;
    let got = index.compute_content_hash();
    if got != index.content_hash {
        let expected = &index.content_hash;
        return Err((None, format!("expected content_hash {expected} as written in it, got {got}")));
    }
    for file in index.shards.iter().chain([&index.entries, &index.licences]) {
        if Path::new(&file.name).components().count() != 1 || file.name.contains("..") {
            return Err((None, format!("expected plain file names, got {:?}", file.name)));
        }
    }
    // spaces and escapes are not under the hash, but are always written alike
    let mut written = serde_json::to_vec_pretty(&value).map_err(malformed)?;
    written.push(b'\n');
    if written != bytes {
        let place =
            written.iter().zip(bytes).position(|(a, b)| a != b).unwrap_or(written.len().min(bytes.len()));
        return Err((Some(place as u64), "expected JSON laid out as this program writes it".to_owned()));
    }
    Ok(index)
}

fn byte_of(bytes: &[u8], error: &serde_json::Error) -> Option<u64> {
    let line_start: usize =
        bytes.split_inclusive(|b| *b == b'\n').take(error.line().checked_sub(1)?).map(<[u8]>::len).sum();
    Some((line_start + error.column().saturating_sub(1)) as u64)
}

fn shards_in(dir: &Path) -> Result<Vec<ShardRecord>, CorpusError> {
    let unreadable = |source| CorpusError::Io { action: "read", path: dir.to_owned(), source };
    let mut names = Vec::new();
    for item in fs::read_dir(dir).map_err(unreadable)? {
        let name = item.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".tar") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names.into_iter().map(|name| ShardRecord { name, told: None }).collect())
}

/// Compares a small file with its record; gives the bytes read.
pub(super) fn check_file(dir: &Path, record: &FileRecord, options: AuditOptions) -> (u64, Findings) {
    let mut findings = Findings::of(&record.name, options);
    let hashed = File::open(dir.join(&record.name)).and_then(|mut file| {
        let mut hasher = blake3::Hasher::new();
        let n_bytes = std::io::copy(&mut file, &mut hasher)?;
        Ok((n_bytes, hasher.finalize().to_hex()))
    });
    match hashed {
        Ok((n_bytes, got)) => {
            if n_bytes != record.n_bytes {
                findings.whole(format!("expected {} bytes, got {n_bytes}", record.n_bytes));
            } else if *got != *record.blake3 {
                findings.whole(format!("expected blake3 {}, got {got}", record.blake3));
            }
            (n_bytes, findings)
        }
        Err(e) => {
            findings.whole(format!("cannot read it: {e}"));
            (0, findings)
        }
    }
}

/// The entries, shard by shard, one shard's in memory at a time.
pub(super) struct EntryGroups {
    lines: Option<Box<dyn BufRead + Send>>,
    line_idx: u64,
    n_read: u64,
    n_shards: usize,
    n_expected: Option<usize>,
    ids: SeenKeys,
    /// Shards whose entries were handed over.
    done: HashSet<usize>,
    pending: Option<Entry>,
    findings: Findings,
}

impl EntryGroups {
    pub(super) fn open(
        dir: &Path,
        n_shards: usize,
        n_expected: Option<usize>,
        options: AuditOptions,
    ) -> Self {
        let mut findings = Findings::of(ENTRIES_FILE, options);
        let opened = File::open(dir.join(ENTRIES_FILE)).and_then(zstd::stream::read::Decoder::new);
        let lines = match opened {
            Ok(decoder) => Some(Box::new(BufReader::new(decoder)) as Box<dyn BufRead + Send>),
            Err(e) => {
                findings.whole(format!("cannot read it: {e}"));
                None
            }
        };
        Self {
            lines,
            line_idx: 0,
            n_read: 0,
            n_shards,
            n_expected,
            ids: SeenKeys::in_dir(&std::env::temp_dir()),
            done: HashSet::new(),
            pending: None,
            findings,
        }
    }

    pub(super) fn finish(mut self) -> Findings {
        if let Some(expected) = self.n_expected.filter(|expected| *expected as u64 != self.n_read) {
            self.findings.whole(format!("expected {expected} samples, got {}", self.n_read));
        }
        self.findings
    }

    /// The next entry that makes sense.
    fn next_entry(&mut self) -> Option<Entry> {
        loop {
            let lines = self.lines.as_mut()?;
            let mut line = Vec::new();
            let read = lines.as_mut().take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
            self.line_idx += 1;
            let place = format!("line {}", self.line_idx);
            match read {
                Ok(0) => self.lines = None,
                Ok(n) if n as u64 == MAX_LINE_BYTES && !line.ends_with(b"\n") => {
                    self.findings.whole(format!("{place}: expected at most {MAX_LINE_BYTES} bytes"));
                    self.lines = None;
                }
                Ok(_) if line == b"\n" => {}
                Ok(_) => match serde_json::from_slice::<Entry>(&line) {
                    Ok(entry) => {
                        self.n_read += 1;
                        if self.makes_sense(&entry, &place) {
                            return Some(entry);
                        }
                    }
                    Err(e) => self.findings.whole(format!("{place} column {}: {e}", e.column())),
                },
                Err(e) => {
                    self.findings.whole(format!("{place}: compressed data: {e}"));
                    self.lines = None;
                }
            }
        }
    }

    fn makes_sense(&mut self, entry: &Entry, place: &str) -> bool {
        let id = Some(entry.id.as_str());
        match self.ids.insert(&entry.id) {
            Ok(true) => {}
            Ok(false) => {
                let problem = format!("{place}: expected an identifier that no earlier line has");
                self.findings.add(id, None, problem);
            }
            Err(e) => {
                let problem =
                    format!("{place}: cannot tell whether it came before, the temporary folder fails: {e}");
                self.findings.add(id, None, problem);
            }
        }
        if entry.shard_idx >= self.n_shards {
            let (n_shards, got) = (self.n_shards, entry.shard_idx);
            self.findings.add(
                id,
                None,
                format!("{place}: expected one of {n_shards} shards, got number {got}"),
            );
            return false;
        }
        if self.done.contains(&entry.shard_idx) {
            self.findings.add(id, None, format!("{place}: expected the samples of a shard side by side"));
            return false;
        }
        true
    }
}

impl Iterator for EntryGroups {
    type Item = (usize, Vec<Entry>);

    fn next(&mut self) -> Option<Self::Item> {
        let first = self.pending.take().or_else(|| self.next_entry())?;
        let shard_idx = first.shard_idx;
        let mut group = vec![first];
        while let Some(entry) = self.next_entry() {
            if entry.shard_idx != shard_idx {
                self.pending = Some(entry);
                break;
            }
            group.push(entry);
        }
        self.done.insert(shard_idx);
        Some((shard_idx, group))
    }
}
