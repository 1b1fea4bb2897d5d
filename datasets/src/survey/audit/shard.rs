//! One shard against its record, its entries and the decoders.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use memmap2::Mmap;
use rayon::prelude::*;

use super::listing::ShardRecord;
use super::walk::{Item, walk};
use super::{AuditOptions, Findings};
use crate::shard::{Entry, Member, SampleRecord, short_hash};
use crate::survey::facts::without_panic;
use crate::{audio, image};

const CHUNK_BYTES: usize = 1 << 20;
/// A longer sound is told as a problem: decoded it would take more than half a gigabyte.
const MAX_DECODED_S: f64 = 3.0 * 3600.0;

/// What was found in one shard.
#[derive(Debug, Default)]
pub(super) struct ShardAudit {
    pub(super) is_there: bool,
    pub(super) n_bytes: u64,
    pub(super) n_samples: u64,
    pub(super) n_media: u64,
    pub(super) n_decoded: u64,
    pub(super) findings: Findings,
}

/// What a member of the archive should be.
#[derive(Clone, Copy)]
enum Part<'a> {
    Record(&'a Entry),
    Image(&'a Entry, &'a Member),
    Audio(&'a Entry, &'a Member),
}

/// Checks a shard. `entries` are those that the index places in it; without them it is only checked in itself.
pub(super) fn check(
    dir: &Path,
    record: &ShardRecord,
    entries: Option<&[Entry]>,
    options: AuditOptions,
    tick: &(dyn Fn(u64) + Sync),
) -> ShardAudit {
    let mut audit = ShardAudit { findings: Findings::of(&record.name, options), ..ShardAudit::default() };
    // SAFETY: the map is only read; that nobody cuts the file meanwhile is asked for in the documentation of `Corpus`
    let opened = File::open(dir.join(&record.name)).and_then(|file| unsafe { Mmap::map(&file) });
    let map = match opened {
        Ok(map) => map,
        Err(e) => {
            audit.findings.whole(format!("cannot read it: {e}"));
            return audit;
        }
    };
    audit.is_there = true;
    audit.n_bytes = map.len() as u64;
    check_whole(&map, record, entries, &mut audit.findings);
    let sound = match entries {
        Some(entries) => check_members(&map, entries, &mut audit),
        None => check_structure(&map, &mut audit),
    };
    if options.decode {
        decode(&map, &sound, &mut audit, tick);
    } else {
        tick(audit.n_bytes);
    }
    audit
}

fn check_whole(map: &[u8], record: &ShardRecord, entries: Option<&[Entry]>, findings: &mut Findings) {
    let Some(told) = &record.told else { return };
    if map.len() as u64 != told.n_bytes {
        findings.whole(format!("expected {} bytes, got {}", told.n_bytes, map.len()));
        return;
    }
    let mut hasher = blake3::Hasher::new();
    for chunk in map.chunks(CHUNK_BYTES) {
        hasher.update(chunk);
    }
    let got = hasher.finalize().to_hex();
    if *got != *told.blake3 {
        findings.whole(format!("expected blake3 {}, got {got}", told.blake3));
    }
    if let Some(entries) = entries.filter(|entries| entries.len() != told.n_samples) {
        findings.whole(format!("expected {} samples, got entries of {}", told.n_samples, entries.len()));
    }
}

/// Without entries: headers, padding, and a record in each sample.
fn check_structure<'a>(map: &'a [u8], audit: &mut ShardAudit) -> Vec<Part<'a>> {
    walk(map, |item| match item {
        Item::Member { name, offset, bytes, .. } if name.ends_with(".json") => {
            match serde_json::from_slice::<SampleRecord>(bytes) {
                Ok(_) => audit.n_samples += 1,
                Err(e) => audit.findings.add(Some(stem(&name)), Some(offset as u64), format!(".json: {e}")),
            }
        }
        Item::Member { .. } => audit.n_media += 1,
        Item::Damage { byte, problem } => audit.findings.add(None, Some(byte as u64), problem),
    });
    Vec::new()
}

/// Every member against its entry. Gives the pictures and sounds whose bytes are as they were written.
fn check_members<'a>(map: &[u8], entries: &'a [Entry], audit: &mut ShardAudit) -> Vec<Part<'a>> {
    let mut expected: HashMap<String, Part<'a>> = HashMap::with_capacity(entries.len() * 2);
    for entry in entries {
        expected.insert(format!("{}.json", entry.id), Part::Record(entry));
        if let Some(member) = &entry.image {
            expected.insert(format!("{}.{}", entry.id, member.extension), Part::Image(entry, member));
        }
        if let Some(member) = &entry.audio {
            expected.insert(format!("{}.{}", entry.id, member.extension), Part::Audio(entry, member));
        }
    }
    let mut sound = Vec::new();
    let findings = &mut audit.findings;
    walk(map, |item| match item {
        Item::Member { name, header, offset, bytes } => match expected.remove(&name) {
            None => {
                let problem = format!("{name:?}: expected no such member, or not twice");
                findings.add(Some(stem(&name)), Some(header as u64), problem);
            }
            Some(Part::Record(entry)) => {
                audit.n_samples += 1;
                if let Some(problem) = record_problem(bytes, entry) {
                    findings.add(Some(&entry.id), Some(offset as u64), problem);
                }
            }
            Some(part @ (Part::Image(entry, member) | Part::Audio(entry, member))) => {
                match member_problem(member, offset as u64, bytes) {
                    None => sound.push(part),
                    Some(problem) => findings.add(Some(&entry.id), Some(offset as u64), problem),
                }
            }
        },
        Item::Damage { byte, problem } => findings.add(None, Some(byte as u64), problem),
    });
    // what the walk did not come by, in the order of the entries
    for entry in entries {
        if expected.contains_key(&format!("{}.json", entry.id)) {
            findings.add(Some(&entry.id), None, "expected a member .json, got none");
        }
        for (member, make) in [
            (&entry.image, Part::Image as fn(&'a Entry, &'a Member) -> Part<'a>),
            (&entry.audio, Part::Audio),
        ] {
            let Some(member) = member else { continue };
            if !expected.contains_key(&format!("{}.{}", entry.id, member.extension)) {
                continue;
            }
            // its header is damaged, but its bytes may be whole
            match bytes_of(map, member) {
                Some(bytes) if short_hash(bytes) == member.hash => sound.push(make(entry, member)),
                _ => {
                    let problem = format!("expected a member .{}, got none", member.extension);
                    findings.add(Some(&entry.id), Some(member.offset), problem);
                }
            }
        }
    }
    audit.n_media = sound.len() as u64;
    sound
}

fn record_problem(bytes: &[u8], entry: &Entry) -> Option<String> {
    let record = match serde_json::from_slice::<SampleRecord>(bytes) {
        Ok(record) => record,
        Err(e) => return Some(format!(".json: {e}")),
    };
    let expected = SampleRecord {
        id: entry.id.clone(),
        source: entry.source.clone(),
        group: entry.group.clone(),
        split: entry.split,
        texts: entry.texts.clone(),
        questions: entry.questions.clone(),
        tags: entry.tags.clone(),
    };
    if record == expected {
        return None;
    }
    let fields = [
        ("id", record.id == expected.id),
        ("source", record.source == expected.source),
        ("group", record.group == expected.group),
        ("split", record.split == expected.split),
        ("texts", record.texts == expected.texts),
        ("questions", record.questions == expected.questions),
        ("tags", record.tags == expected.tags),
    ];
    let different: Vec<&str> = fields.iter().filter(|(_, is_same)| !is_same).map(|(name, _)| *name).collect();
    Some(format!(".json: expected what the index says, got other {}", different.join(", ")))
}

fn member_problem(member: &Member, offset: u64, bytes: &[u8]) -> Option<String> {
    let ending = &member.extension;
    if (offset, bytes.len() as u64) != (member.offset, member.n_bytes) {
        let (expected, from) = (member.n_bytes, member.offset);
        return Some(format!(
            ".{ending}: expected {expected} bytes from {from}, got {} from {offset}",
            bytes.len()
        ));
    }
    let got = short_hash(bytes);
    (got != member.hash).then(|| format!(".{ending}: expected blake3 {}, got {got}", member.hash))
}

fn bytes_of<'a>(map: &'a [u8], member: &Member) -> Option<&'a [u8]> {
    let start = usize::try_from(member.offset).ok()?;
    let end = start.checked_add(usize::try_from(member.n_bytes).ok()?)?;
    map.get(start..end)
}

fn decode(map: &[u8], sound: &[Part<'_>], audit: &mut ShardAudit, tick: &(dyn Fn(u64) + Sync)) {
    let n_media_bytes: u64 = sound.iter().filter_map(Part::member).map(|(_, member)| member.n_bytes).sum();
    tick(audit.n_bytes.saturating_sub(n_media_bytes));
    let problems: Vec<Option<String>> = sound
        .par_iter()
        .map(|part| {
            let (_, member) = part.member()?;
            let bytes = bytes_of(map, member)?;
            let decoded = without_panic(|| match part {
                Part::Audio(..) => audio::decode(bytes, &member.extension, MAX_DECODED_S)
                    .map(drop)
                    .map_err(|e| e.to_string()),
                _ => image::decode(bytes, &member.extension).map(drop).map_err(|e| e.to_string()),
            });
            tick(member.n_bytes);
            decoded.err()
        })
        .collect();
    audit.n_decoded = sound.len() as u64;
    for (part, problem) in sound.iter().zip(problems) {
        if let (Some((entry, member)), Some(problem)) = (part.member(), problem) {
            audit.findings.add(Some(&entry.id), Some(member.offset), format!("does not decode: {problem}"));
        }
    }
}

impl<'a> Part<'a> {
    fn member(&self) -> Option<(&'a Entry, &'a Member)> {
        match *self {
            Part::Record(_) => None,
            Part::Image(entry, member) | Part::Audio(entry, member) => Some((entry, member)),
        }
    }
}

fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}
