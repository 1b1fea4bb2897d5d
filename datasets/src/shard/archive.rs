//! Reading tar shards as WebDataset does, without an index: ours for checking, or anyone's.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{CorpusError, SeenKeys};
use crate::sample::{Media, Question, Sample, Split};

/// Longer members than this are taken for a broken or hostile header.
pub(crate) const MAX_MEMBER_BYTES: u64 = 1 << 30;
const MAX_KEY_BYTES: usize = 200;

/// `KEY.json` of a shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SampleRecord {
    pub id: String,
    pub source: String,
    pub group: String,
    pub split: Split,
    pub texts: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Question>,
    pub tags: BTreeMap<String, String>,
}

impl SampleRecord {
    pub(crate) fn of(sample: &Sample) -> Self {
        Self {
            id: sample.id.clone(),
            source: sample.source.clone(),
            group: sample.group.clone(),
            split: sample.split,
            texts: sample.texts.clone(),
            questions: sample.questions.clone(),
            tags: sample.tags.clone(),
        }
    }
}

/// The members of a tar shard that share a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveSample {
    /// The path up to the first dot of its base name.
    pub key: String,
    /// The members in their order.
    pub members: Vec<Media>,
    /// Where the content of each member begins, in bytes from the start of the archive.
    pub offsets: Vec<u64>,
}

/// The samples of a tar shard, in their order, one in memory at a time.
///
/// # Errors
/// A file that cannot be opened. Each item may be an error of its own. An archive cut short ends there; a member that is
/// neither file nor folder, one longer than 1 GiB, a path that leaves the archive (`..`, absolute), a name without a
/// dot, or a key whose members are not together costs that sample, and the rest goes on.
pub fn archive_samples(
    path: impl AsRef<Path>,
) -> Result<impl Iterator<Item = Result<ArchiveSample, CorpusError>>, CorpusError> {
    limited_archive_samples(path, MAX_MEMBER_BYTES)
}

/// The same with a limit of one's own to the length of a member.
pub(crate) fn limited_archive_samples(
    path: impl AsRef<Path>,
    max_member_bytes: u64,
) -> Result<impl Iterator<Item = Result<ArchiveSample, CorpusError>>, CorpusError> {
    let path = path.as_ref().to_owned();
    let file = File::open(&path).map_err(|e| CorpusError::io("open", &path, e))?;
    let mut archive = tar::Archive::new(BufReader::new(file));
    // `entries` borrows the archive, so the walk happens in a thread of its own that hands over sample by sample
    let (sender, receiver) = crossbeam_channel::bounded(4);
    std::thread::spawn(move || {
        let accept = |sample| sender.send(sample).is_ok();
        if let Err(error) = walk(&path, &mut archive, max_member_bytes, accept) {
            sender.send(Err(error)).ok();
        }
    });
    Ok(receiver.into_iter())
}

/// Hands every sample, or what is wrong with it, to `accept` until that says false.
///
/// # Errors
/// An archive whose rest cannot be read.
pub(crate) fn walk<R: Read>(
    path: &Path,
    archive: &mut tar::Archive<R>,
    max_member_bytes: u64,
    mut accept: impl FnMut(Result<ArchiveSample, CorpusError>) -> bool,
) -> Result<(), CorpusError> {
    let malformed = |place: String, problem: String| CorpusError::malformed(path, place, problem);
    let mut seen = SeenKeys::in_dir(&std::env::temp_dir());
    let mut current: Option<Gathered> = None;
    let entries = archive.entries().map_err(|e| malformed("start".into(), e.to_string()))?;
    for (member_idx, entry) in entries.enumerate() {
        let mut entry = entry.map_err(|e| malformed(format!("member {member_idx}"), e.to_string()))?;
        if entry.header().entry_type().is_dir() {
            continue;
        }
        let Ok(name) = String::from_utf8(entry.path_bytes().into_owned()) else {
            let problem = "its name is not UTF-8".to_owned();
            if !accept(Err(malformed(format!("member {member_idx}"), problem))) {
                return Ok(());
            }
            continue;
        };
        let place = format!("member {name:?}");
        let (key, extension) = match split_name(&name) {
            Ok(split) => split,
            Err(problem) => match accept(Err(malformed(place, problem))) {
                true => continue,
                false => return Ok(()),
            },
        };
        if current.as_ref().is_none_or(|gathered| gathered.sample.key != key) {
            if let Some(sample) = current.take().and_then(Gathered::whole)
                && !accept(Ok(sample))
            {
                return Ok(());
            }
            let mut gathered = Gathered::of(key);
            let is_new = seen.insert(&gathered.sample.key);
            if !is_new.map_err(|e| CorpusError::io("write", &std::env::temp_dir(), e))? {
                gathered.is_whole = false;
                let problem = format!("expected the members of {:?} side by side", gathered.sample.key);
                if !accept(Err(malformed(place.clone(), problem))) {
                    return Ok(());
                }
            }
            current = Some(gathered);
        }
        let Some(gathered) = current.as_mut().filter(|gathered| gathered.is_whole) else { continue };
        if let Some(problem) = wrong_member(&entry, max_member_bytes) {
            gathered.is_whole = false;
            if !accept(Err(malformed(place, problem))) {
                return Ok(());
            }
            continue;
        }
        let n_bytes = entry.size();
        let mut bytes = Vec::with_capacity(n_bytes.min(1 << 24) as usize);
        entry.read_to_end(&mut bytes).map_err(|e| malformed(place.clone(), e.to_string()))?;
        if bytes.len() as u64 != n_bytes {
            return Err(malformed(place, format!("expected {n_bytes} bytes, got {}", bytes.len())));
        }
        gathered.sample.offsets.push(entry.raw_file_position());
        gathered.sample.members.push(Media { bytes, extension });
    }
    if let Some(last) = current.and_then(Gathered::whole) {
        accept(Ok(last));
    }
    Ok(())
}

/// A sample of which more members may come.
struct Gathered {
    sample: ArchiveSample,
    /// False once a member was refused: half a sample is none.
    is_whole: bool,
}

impl Gathered {
    fn of(key: String) -> Self {
        let sample = ArchiveSample { key, members: Vec::new(), offsets: Vec::new() };
        Self { sample, is_whole: true }
    }

    fn whole(self) -> Option<ArchiveSample> {
        self.is_whole.then_some(self.sample)
    }
}

fn wrong_member<R: Read>(entry: &tar::Entry<'_, R>, max_member_bytes: u64) -> Option<String> {
    if !entry.header().entry_type().is_file() {
        return Some("expected a plain file, got a link or a device".to_owned());
    }
    let got = entry.size();
    (got > max_member_bytes).then(|| format!("expected at most {max_member_bytes} bytes, got {got}"))
}

/// A member's key and ending.
fn split_name(name: &str) -> Result<(String, String), String> {
    let name = name.strip_prefix("./").unwrap_or(name);
    let base_start = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = name[base_start..].find('.').map(|dot| base_start + dot);
    let Some(dot) = dot else { return Err("expected a dot in its name".into()) };
    check_key(&name[..dot])?;
    Ok((name[..dot].to_owned(), name[dot + 1..].to_lowercase()))
}

/// A key must be the same file name on every system, and stay inside its archive.
pub(crate) fn check_key(key: &str) -> Result<(), String> {
    let wrong = |problem: &str| Err(format!("expected an identifier that {problem}, got {key:?}"));
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return wrong("is 1 to 200 bytes long");
    }
    if key.chars().any(|c| c.is_control() || matches!(c, '\\' | ':')) {
        return wrong("has no control character, backslash or colon");
    }
    if key.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return wrong("stays inside the archive (no empty, '.' or '..' part)");
    }
    if key.rsplit('/').next().is_some_and(|base| base.contains('.')) {
        return wrong("has no dot in its last part");
    }
    Ok(())
}

/// Used by the index check.
pub(crate) fn open_archive(path: &Path) -> Result<tar::Archive<BufReader<File>>, CorpusError> {
    let file = File::open(path).map_err(|e| CorpusError::io("open", path, e))?;
    Ok(tar::Archive::new(BufReader::with_capacity(1 << 16, file)))
}
