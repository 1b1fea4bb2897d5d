//! Checkpoints: one safetensors file each, which any safetensors library reads, whole or not there at all.
//!
//! ```text
//! u64 LE     length of the header
//! header     {"__metadata__":{"blake3":"<64 digits>","format":..,"step":..,"config":..,"state":"<JSON>"},
//!             "encoder.weight":{"dtype":"F32","shape":[..],"data_offsets":[begin,end]}, ...}  padded to 8 bytes
//! data       f32 LE, tensor after tensor in the order of their names
//! ```
//!
//! The checksum runs over the whole file, its own digits taken as zeros: a flipped bit or a missing end anywhere is
//! found on load.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use safetensors::tensor::{Dtype, Metadata};
use serde_json::json;

use super::write::{WriteError, make_folder, write_atomically};

/// The folder of the checkpoints within a run.
pub(super) const FOLDER: &str = "checkpoints";

/// Counts up when the meaning of a checkpoint's content changes.
const FORMAT: &str = "triptych-checkpoint-1";

/// What a header begins with; the checksum's digits follow.
const HEADER_START: &[u8] = br#"{"__metadata__":{"blake3":""#;
const DIGITS: usize = 64;
const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The longest header that the safetensors format allows, in bytes.
const MAX_HEADER: u64 = 100_000_000;

/// Values that pass through memory at a time.
const CHUNK: usize = 1 << 14;

/// A named array of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorBytes {
    /// Length of each axis; none for a scalar.
    pub shape: Vec<usize>,
    /// The values, the last axis fastest.
    pub data: Vec<f32>,
}

/// Everything that a run needs to go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The file it was read from.
    pub path: PathBuf,
    /// Steps done.
    pub step: u64,
    /// The fingerprint of the run's config.
    pub config: String,
    /// Weights, averages, moments: all arrays, by name.
    pub tensors: BTreeMap<String, TensorBytes>,
    /// Everything else.
    pub state: serde_json::Value,
}

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It cannot be written, or the folder cannot be.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The system does not hand it over.
    #[error("cannot read checkpoint {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its content is not what was written.
    #[error("checkpoint {} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// The step of the next older checkpoint in the folder.
        older_step: Option<u64>,
    },
    /// It was written by another version of the program.
    #[error("checkpoint {} has format `{found}`, this program reads `{}`", path.display(), FORMAT)]
    Format {
        /// The file.
        path: PathBuf,
        /// The format it says it has.
        found: String,
    },
}

impl Diagnostic for CheckpointError {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        match self {
            CheckpointError::Write(error) => error.help(),
            CheckpointError::Damaged { older_step: Some(step), .. } => {
                Some(Box::new(format!("remove it to go on from {}", stem(*step))))
            }
            CheckpointError::Damaged { older_step: None, .. } => {
                Some(Box::new("it is the only one: remove it to start again from step 0"))
            }
            _ => None,
        }
    }
}

/// Writes `step-000500.safetensors` into `folder`, which is made where there is none. `config` is the run's
/// fingerprint. A crash at any instant leaves either the whole file or none.
///
/// # Errors
/// Where the system refuses; earlier checkpoints stand.
///
/// # Panics
/// Where a tensor's shape and its number of values differ.
pub fn save(
    folder: &Path,
    step: u64,
    config: &str,
    tensors: &BTreeMap<String, TensorBytes>,
    state: &serde_json::Value,
) -> Result<PathBuf, CheckpointError> {
    make_folder(folder)?;
    let path = folder.join(format!("{}.safetensors", stem(step)));
    let mut header = header(step, config, tensors, state);
    let length = (header.len() as u64).to_le_bytes();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&length).update(&header);
    for tensor in tensors.values() {
        for_chunks(&tensor.data, |bytes| {
            hasher.update(bytes);
            Ok(())
        })
        .map_err(|source| WriteError::new(&path, source))?;
    }
    let checksum = hasher.finalize().to_hex();
    header[HEADER_START.len()..][..DIGITS].copy_from_slice(checksum.as_bytes());
    write_atomically(&path, |writer| {
        writer.write_all(&length)?;
        writer.write_all(&header)?;
        tensors.values().try_for_each(|tensor| for_chunks(&tensor.data, |bytes| writer.write_all(bytes)))
    })?;
    Ok(path)
}

/// The newest checkpoint of a folder, or none where there is none.
///
/// # Errors
/// Where the newest is damaged: going on from an older one without a word would repeat work that was reported.
pub fn latest(folder: &Path) -> Result<Option<Checkpoint>, CheckpointError> {
    match list(folder)?.pop() {
        Some((_, path)) => load(&path).map(Some),
        None => Ok(None),
    }
}

/// Reads one checkpoint and checks every byte of it.
///
/// # Errors
/// Where it cannot be read, was damaged, or has another format.
pub fn load(path: &Path) -> Result<Checkpoint, CheckpointError> {
    let damaged = |reason: String| CheckpointError::Damaged {
        path: path.to_owned(),
        reason,
        older_step: older_step(path),
    };
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::UnexpectedEof => damaged("its end is missing".to_owned()),
        _ => CheckpointError::Read { path: path.to_owned(), source },
    };
    let file = File::open(path).map_err(unreadable)?;
    let file_length = file.metadata().map_err(unreadable)?.len();
    let mut reader = BufReader::with_capacity(1 << 16, file);

    let mut length = [0; 8];
    reader.read_exact(&mut length).map_err(unreadable)?;
    let header_length = u64::from_le_bytes(length);
    if header_length > MAX_HEADER {
        return Err(damaged(format!("its header claims {header_length} bytes")));
    }
    if header_length + 8 > file_length {
        return Err(damaged("its end is missing".to_owned()));
    }
    let mut header = vec![0; header_length as usize];
    reader.read_exact(&mut header).map_err(unreadable)?;
    let (metadata, saved_checksum) = parse_header(&mut header).map_err(&damaged)?;

    let expected_length = 8 + header_length + metadata.data_len() as u64;
    if file_length < expected_length {
        return Err(damaged(format!("{} bytes are missing at its end", expected_length - file_length)));
    }
    if file_length > expected_length {
        return Err(damaged(format!("{} bytes too many at its end", file_length - expected_length)));
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(&length).update(&header);
    let mut tensors = BTreeMap::new();
    // in the order of the data
    for name in metadata.offset_keys() {
        let Some(info) = metadata.info(&name) else { continue };
        if info.dtype != Dtype::F32 {
            return Err(damaged(format!("`{name}` is {:?}, expected F32", info.dtype)));
        }
        let n_values = info.shape.iter().product();
        let data = read_values(&mut reader, n_values, &mut hasher).map_err(unreadable)?;
        tensors.insert(name, TensorBytes { shape: info.shape.clone(), data });
    }
    if hasher.finalize().to_hex().as_bytes() != saved_checksum {
        return Err(damaged("its content does not match its checksum".to_owned()));
    }

    // from here on the content is what was written
    let texts = metadata.metadata().as_ref();
    let text = |key: &str| {
        texts.and_then(|texts| texts.get(key)).ok_or_else(|| damaged(format!("its header has no `{key}`")))
    };
    let format = text("format")?;
    if format != FORMAT {
        return Err(CheckpointError::Format { path: path.to_owned(), found: format.clone() });
    }
    let step = text("step")?.parse().map_err(|error| damaged(format!("`step` is not a number: {error}")))?;
    let state = serde_json::from_str(text("state")?)
        .map_err(|error| damaged(format!("`state` is not JSON: {error}")))?;
    Ok(Checkpoint { path: path.to_owned(), step, config: text("config")?.clone(), tensors, state })
}

/// Every checkpoint of a folder with its step, the oldest first. Files that are still being written, or are
/// something else, are not among them.
///
/// # Errors
/// Where the folder cannot be read; a missing one is empty.
pub fn list(folder: &Path) -> Result<Vec<(u64, PathBuf)>, CheckpointError> {
    let unreadable = |source| CheckpointError::Read { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        if let Some(step) = step_of(&entry.path()) {
            found.push((step, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Removes all but the newest `keep` checkpoints; at least one stays.
///
/// # Errors
/// Where the folder cannot be read or a file cannot be removed.
pub fn prune(folder: &Path, keep: usize) -> Result<(), CheckpointError> {
    let found = list(folder)?;
    for (_, path) in &found[..found.len().saturating_sub(keep.max(1))] {
        fs::remove_file(path).map_err(|source| WriteError::new(path, source))?;
    }
    Ok(())
}

/// The step of the newest checkpoint of the run in `run`, if it is one.
pub(super) fn newest_step_in_run(run: &Path) -> Option<u64> {
    Some(list(&run.join(FOLDER)).ok()?.last()?.0)
}

fn stem(step: u64) -> String {
    format!("step-{step:06}")
}

fn step_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let digits = name.strip_prefix("step-")?.strip_suffix(".safetensors")?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

fn older_step(path: &Path) -> Option<u64> {
    let step = step_of(path)?;
    let found = list(path.parent()?).ok()?;
    found.iter().rev().map(|(other, _)| *other).find(|other| *other < step)
}

/// The header with zeros for a checksum, padded with spaces to a multiple of 8 bytes.
fn header(
    step: u64,
    config: &str,
    tensors: &BTreeMap<String, TensorBytes>,
    state: &serde_json::Value,
) -> Vec<u8> {
    // the object keeps the order of insertion, which puts the checksum first
    let mut header = serde_json::Map::new();
    let metadata = json!({
        "blake3": ZEROS,
        "format": FORMAT,
        "step": step.to_string(),
        "config": config,
        "state": state.to_string(),
    });
    header.insert("__metadata__".to_owned(), metadata);
    let mut begin = 0;
    for (name, tensor) in tensors {
        let n_values: usize = tensor.shape.iter().product();
        assert_eq!(n_values, tensor.data.len(), "`{name}` has shape {:?}", tensor.shape);
        let end = begin + n_values * size_of::<f32>();
        header.insert(
            name.clone(),
            json!({"dtype": "F32", "shape": tensor.shape, "data_offsets": [begin, end]}),
        );
        begin = end;
    }
    let mut header = serde_json::Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    header
}

/// Takes the checksum out of a header, leaving zeros, and parses the rest.
fn parse_header(header: &mut [u8]) -> Result<(Metadata, Vec<u8>), String> {
    let start = HEADER_START.len();
    if !header.starts_with(HEADER_START) || header.len() < start + DIGITS {
        return Err("its header is not one of this program's".to_owned());
    }
    let digits = &mut header[start..start + DIGITS];
    let checksum = digits.to_vec();
    digits.copy_from_slice(ZEROS.as_bytes());
    let metadata: Metadata =
        serde_json::from_slice(header).map_err(|error| format!("its header does not parse: {error}"))?;
    Ok((metadata, checksum))
}

/// Hands `values` on as little-endian bytes, some at a time.
fn for_chunks(values: &[f32], mut consume: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(CHUNK * size_of::<f32>());
    for chunk in values.chunks(CHUNK) {
        bytes.clear();
        bytes.extend(chunk.iter().flat_map(|value| value.to_le_bytes()));
        consume(&bytes)?;
    }
    Ok(())
}

fn read_values(reader: &mut impl Read, n_values: usize, hasher: &mut blake3::Hasher) -> io::Result<Vec<f32>> {
    let mut values = Vec::with_capacity(n_values);
    let mut bytes = vec![0; CHUNK * size_of::<f32>()];
    while values.len() < n_values {
        let n_bytes = CHUNK.min(n_values - values.len()) * size_of::<f32>();
        let chunk = &mut bytes[..n_bytes];
        reader.read_exact(chunk)?;
        hasher.update(chunk);
        values.extend(chunk.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)));
    }
    Ok(values)
}
