//! Reading tar shards as WebDataset does, without an index: ours for checking, or anyone's.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::CorpusError;
use crate::sample::{Media, Sample, Split};

/// Longer members than this are taken for a broken or hostile header.
const MAX_MEMBER_BYTES: u64 = 1 << 30;
const MAX_KEY_BYTES: usize = 200;

/// `KEY.json` of a shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SampleRecord {
    pub id: String,
    pub source: String,
    pub group: String,
    pub split: Split,
    pub texts: Vec<String>,
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
}

/// The samples of a tar shard, in their order, one in memory at a time.
///
/// # Errors
/// A file that cannot be opened. Each item may be an error of its own: an archive cut short, a member that is
/// neither file nor folder, a path that leaves the archive (`..`, absolute), a member without a dot in its name,
/// or a key whose members are not together.
pub fn archive_samples(
    path: impl AsRef<Path>,
) -> Result<impl Iterator<Item = Result<ArchiveSample, CorpusError>>, CorpusError> {
    let path = path.as_ref().to_owned();
    let file = File::open(&path).map_err(|e| CorpusError::io("open", &path, e))?;
    let mut archive = tar::Archive::new(BufReader::new(file));
    // `entries` borrows the archive, so the walk happens in a thread of its own that hands over sample by sample
    let (sender, receiver) = crossbeam_channel::bounded(4);
    std::thread::spawn(move || {
        if let Err(error) = walk(&path, &mut archive, |sample| sender.send(Ok(sample)).is_ok()) {
            sender.send(Err(error)).ok();
        }
    });
    Ok(receiver.into_iter())
}

/// Hands every sample to `accept` until that says false.
pub(crate) fn walk<R: Read>(
    path: &Path,
    archive: &mut tar::Archive<R>,
    mut accept: impl FnMut(ArchiveSample) -> bool,
) -> Result<(), CorpusError> {
    let malformed = |place: String, problem: String| CorpusError::malformed(path, place, problem);
    let mut seen = std::collections::HashSet::new();
    let mut current: Option<ArchiveSample> = None;
    let entries = archive.entries().map_err(|e| malformed("start".into(), e.to_string()))?;
    for (member_idx, entry) in entries.enumerate() {
        let mut entry = entry.map_err(|e| malformed(format!("member {member_idx}"), e.to_string()))?;
        if entry.header().entry_type().is_dir() {
            continue;
        }
        let raw = entry.path_bytes().into_owned();
        let name = String::from_utf8(raw)
            .map_err(|_| malformed(format!("member {member_idx}"), "its name is not UTF-8".into()))?;
        let place = format!("member {name:?}");
        if !entry.header().entry_type().is_file() {
            return Err(malformed(place, "expected a plain file, got a link or a device".into()));
        }
        let (key, extension) = split_name(&name).map_err(|problem| malformed(place.clone(), problem))?;
        let n_bytes = entry.size();
        if n_bytes > MAX_MEMBER_BYTES {
            return Err(malformed(
                place,
                format!("expected at most {MAX_MEMBER_BYTES} bytes, got {n_bytes}"),
            ));
        }
        let mut bytes = Vec::with_capacity(n_bytes.min(1 << 24) as usize);
        entry.read_to_end(&mut bytes).map_err(|e| malformed(place.clone(), e.to_string()))?;
        if bytes.len() as u64 != n_bytes {
            return Err(malformed(place, format!("expected {n_bytes} bytes, got {}", bytes.len())));
        }
        if current.as_ref().is_none_or(|sample| sample.key != key) {
            if let Some(done) = current.take()
                && !accept(done)
            {
                return Ok(());
            }
            if !seen.insert(key.clone()) {
                return Err(malformed(place, format!("expected the members of {key:?} side by side")));
            }
            current = Some(ArchiveSample { key, members: Vec::new() });
        }
        if let Some(sample) = &mut current {
            sample.members.push(Media { bytes, extension });
        }
    }
    if let Some(last) = current {
        accept(last);
    }
    Ok(())
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
