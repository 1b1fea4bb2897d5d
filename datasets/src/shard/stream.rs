//! Walking through a corpus of any size: its index in memory, its entries one at a time.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::archive::{ArchiveSample, MAX_MEMBER_BYTES, SampleRecord, open_archive, walk};
use super::index::{FileRecord, Index, short_hash};
use super::{CorpusError, ENTRIES_FILE, Entry, FORMAT_VERSION, INDEX_FILE, LICENCES_FILE, Licence, Member};

/// A longer line is no entry: texts and tags of one sample.
const MAX_ENTRY_BYTES: u64 = 256 << 20;
/// Larger ones are not read into memory.
const MAX_LISTED_BYTES: u64 = 1 << 30;

/// A prepared corpus whose samples are read in their order. Unlike [`super::Corpus`], its memory does not grow with their
/// number.
#[derive(Clone, Debug)]
pub struct CorpusStream {
    dir: PathBuf,
    pub(super) index: Index,
}

impl CorpusStream {
    /// Opens a folder that [`super::ShardWriter`] made. Only the index is read and checked.
    ///
    /// # Errors
    /// A folder without an index, an index that is broken or of a newer format.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, CorpusError> {
        let dir = dir.as_ref();
        Ok(Self { dir: dir.to_owned(), index: read_index(dir, &dir.join(INDEX_FILE))? })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The name that it was made under.
    pub fn name(&self) -> &str {
        &self.index.name
    }

    /// Hash of whatever it was made from, empty where the maker gave none.
    pub fn recipe(&self) -> &str {
        &self.index.recipe
    }

    /// BLAKE3 over everything in it, in hexadecimal.
    pub fn content_hash(&self) -> &str {
        &self.index.content_hash
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.index.n_samples
    }

    /// Whether it has no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The archives in their order: path, size in bytes, number of samples.
    pub fn shards(&self) -> impl Iterator<Item = (PathBuf, u64, usize)> {
        self.index.shards.iter().map(|shard| (self.dir.join(&shard.name), shard.n_bytes, shard.n_samples))
    }

    /// The licence ledger, checked against its hash.
    ///
    /// # Errors
    /// A file that is absent, cut, changed or no ledger.
    pub fn licences(&self) -> Result<Vec<Licence>, CorpusError> {
        let path = self.dir.join(LICENCES_FILE);
        let bytes = read_listed(&self.dir, &self.index.licences)?;
        serde_json::from_slice(&bytes)
            .map_err(|e| CorpusError::malformed(&path, json_place(&e), e.to_string()))
    }

    /// The samples without their pictures and sounds, in their order. Their file is hashed first; that there are as many
    /// as the index says is checked behind the last.
    ///
    /// # Errors
    /// A file that is absent, cut or changed. Each item may be an error of its own, and is then the last.
    pub fn entries(&self) -> Result<Entries, CorpusError> {
        let path = check_listed(&self.dir, &self.index.entries)?;
        let file = File::open(&path).map_err(|e| CorpusError::io("open", &path, e))?;
        let decoder = zstd::stream::Decoder::new(file).map_err(|e| CorpusError::io("read", &path, e))?;
        Ok(Entries {
            path,
            lines: BufReader::new(decoder),
            n_read: 0,
            n_expected: self.len(),
            is_over: false,
        })
    }

    /// Hashes every byte again, and compares what the archives hold with the entries, member by member.
    ///
    /// # Errors
    /// The first difference.
    pub fn verify(&self) -> Result<(), CorpusError> {
        self.licences()?;
        for shard in &self.index.shards {
            check_listed(&self.dir, shard)?;
        }
        let mut entries = self.entries()?;
        for (shard_idx, shard) in self.index.shards.iter().enumerate() {
            let path = self.dir.join(&shard.name);
            let mut problem = None;
            walk(&path, &mut open_archive(&path)?, MAX_MEMBER_BYTES, |sample| {
                problem = compare(&path, shard_idx, sample, entries.next()).err();
                problem.is_none()
            })?;
            if let Some(problem) = problem {
                return Err(problem);
            }
        }
        match entries.next() {
            Some(Ok(entry)) => Err(CorpusError::malformed(
                &self.dir.join(ENTRIES_FILE),
                format!("sample {:?}", entry.id),
                "expected it in a shard, got none",
            )),
            Some(Err(error)) => Err(error),
            None => Ok(()),
        }
    }
}

/// The entries of a corpus, one in memory at a time.
pub struct Entries {
    path: PathBuf,
    lines: BufReader<zstd::stream::Decoder<'static, BufReader<File>>>,
    n_read: usize,
    n_expected: usize,
    is_over: bool,
}

impl Entries {
    fn read(&mut self) -> Result<Option<Entry>, CorpusError> {
        let place = format!("line {}", self.n_read + 1);
        let malformed = |problem: String| CorpusError::malformed(&self.path, place.clone(), problem);
        let mut line = Vec::new();
        let mut limited = (&mut self.lines).take(MAX_ENTRY_BYTES);
        limited.read_until(b'\n', &mut line).map_err(|e| malformed(e.to_string()))?;
        if line.is_empty() {
            let (expected, got) = (self.n_expected, self.n_read);
            let problem = format!("expected {expected} samples, got {got}");
            let is_whole = expected == got;
            return if is_whole {
                Ok(None)
            } else {
                Err(CorpusError::malformed(&self.path, "whole file", problem))
            };
        }
        if self.n_read == self.n_expected {
            return Err(malformed(format!("expected {} samples, got more", self.n_expected)));
        }
        let entry = serde_json::from_slice(&line).map_err(|e| malformed(e.to_string()))?;
        self.n_read += 1;
        Ok(Some(entry))
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, CorpusError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let item = self.read().transpose();
        self.is_over = !matches!(item, Some(Ok(_)));
        item
    }
}

fn compare(
    path: &Path,
    shard_idx: usize,
    sample: Result<ArchiveSample, CorpusError>,
    entry: Option<Result<Entry, CorpusError>>,
) -> Result<(), CorpusError> {
    let sample = sample?;
    match describe_difference(&sample, shard_idx, entry.transpose()?.as_ref()) {
        Some(problem) => Err(CorpusError::malformed(path, format!("sample {:?}", sample.key), problem)),
        None => Ok(()),
    }
}

fn describe_difference(sample: &ArchiveSample, shard_idx: usize, entry: Option<&Entry>) -> Option<String> {
    let Some(entry) = entry else { return Some("expected it in the index, got none".into()) };
    if entry.id != sample.key {
        return Some(format!("expected sample {:?}", entry.id));
    }
    if entry.shard_idx != shard_idx {
        return Some(format!("expected it in shard {}", entry.shard_idx));
    }
    let record = sample.members.iter().find(|member| member.extension == "json");
    let record = record.and_then(|member| serde_json::from_slice::<SampleRecord>(&member.bytes).ok());
    let Some(record) = record else {
        return Some("expected a member .json that describes it".into());
    };
    let is_same = record.group == entry.group
        && record.split == entry.split
        && record.texts == entry.texts
        && record.questions == entry.questions
        && record.tags == entry.tags;
    if !is_same {
        return Some("its .json member and the index differ".into());
    }
    let n_listed = 1 + entry.image.iter().chain(&entry.audio).count();
    if n_listed != sample.members.len() {
        return Some(format!("expected {n_listed} members, got {}", sample.members.len()));
    }
    let is_there = |listed: &Member| {
        sample.members.iter().zip(&sample.offsets).any(|(member, offset)| {
            member.extension == listed.extension
                && *offset == listed.offset
                && member.bytes.len() as u64 == listed.n_bytes
                && short_hash(&member.bytes) == listed.hash
        })
    };
    let absent = entry.image.iter().chain(&entry.audio).find(|member| !is_there(member))?;
    Some(format!("its member .{} and the index differ", absent.extension))
}

pub(crate) fn read_index(dir: &Path, path: &Path) -> Result<Index, CorpusError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(CorpusError::NotACorpus { dir: dir.to_owned() });
        }
        Err(e) => return Err(CorpusError::io("read", path, e)),
    };
    let malformed = |e: serde_json::Error| CorpusError::malformed(path, json_place(&e), e.to_string());
    // the version first: a newer index may have other fields
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(malformed)?;
    let version = value.get("format_version").and_then(serde_json::Value::as_u64);
    match version {
        Some(got) if got > u64::from(FORMAT_VERSION) => {
            return Err(CorpusError::Newer { path: path.to_owned(), expected: FORMAT_VERSION, got });
        }
        Some(_) => {}
        None => return Err(CorpusError::malformed(path, "whole file", "expected the field format_version")),
    }
    let index: Index = serde_json::from_value(value).map_err(malformed)?;
    check_hash(path, &index.compute_content_hash(), &index.content_hash)?;
    for file in index.shards.iter().chain([&index.entries, &index.licences]) {
        listed_path(dir, file)?;
    }
    Ok(index)
}

fn read_listed(dir: &Path, record: &FileRecord) -> Result<Vec<u8>, CorpusError> {
    let path = listed_path(dir, record)?;
    check_size(&path, record)?;
    if record.n_bytes > MAX_LISTED_BYTES {
        let problem = format!("expected at most {MAX_LISTED_BYTES} bytes, got {}", record.n_bytes);
        return Err(CorpusError::malformed(&path, "whole file", problem));
    }
    let bytes = fs::read(&path).map_err(|e| CorpusError::io("read", &path, e))?;
    check_hash(&path, &blake3::hash(&bytes).to_hex(), &record.blake3)?;
    Ok(bytes)
}

/// Checks size and hash of a file without holding it in memory.
fn check_listed(dir: &Path, record: &FileRecord) -> Result<PathBuf, CorpusError> {
    let path = listed_path(dir, record)?;
    check_size(&path, record)?;
    let read = |e| CorpusError::io("read", &path, e);
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(&path).map_err(read)?).map_err(read)?;
    check_hash(&path, &hasher.finalize().to_hex(), &record.blake3)?;
    Ok(path)
}

/// An index must not lead out of its folder.
pub(crate) fn listed_path(dir: &Path, record: &FileRecord) -> Result<PathBuf, CorpusError> {
    if Path::new(&record.name).components().count() != 1 || record.name.contains("..") {
        let problem = format!("expected plain file names, got {:?}", record.name);
        return Err(CorpusError::malformed(&dir.join(INDEX_FILE), "file list", problem));
    }
    Ok(dir.join(&record.name))
}

/// The path of a listed file that has the listed size.
pub(crate) fn sized_path(dir: &Path, record: &FileRecord) -> Result<PathBuf, CorpusError> {
    let path = listed_path(dir, record)?;
    check_size(&path, record)?;
    Ok(path)
}

fn check_size(path: &Path, record: &FileRecord) -> Result<(), CorpusError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() == record.n_bytes => Ok(()),
        Ok(metadata) => {
            Err(CorpusError::Size { path: path.to_owned(), expected: record.n_bytes, got: metadata.len() })
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            Err(CorpusError::Missing { path: path.to_owned(), expected: record.n_bytes })
        }
        Err(e) => Err(CorpusError::io("read", path, e)),
    }
}

fn check_hash(path: &Path, got: &str, expected: &str) -> Result<(), CorpusError> {
    if got == expected {
        return Ok(());
    }
    Err(CorpusError::Hash {
        path: path.to_owned(),
        place: "whole file".to_owned(),
        expected: expected.to_owned(),
        got: got.to_owned(),
    })
}

fn json_place(error: &serde_json::Error) -> String {
    format!("line {} column {}", error.line(), error.column())
}
