//! Chunks: some hundred samples after a stage, in one file that appears whole or not at all.
//!
//! ```text
//! magic, 8 bytes | length of the record, u64 LE | length of the blobs, u64 LE | BLAKE3 of the record, 32 bytes
//! record: JSON in zstd                          | blobs: what the stage encoded anew, one after the other
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::PipelineError;
use super::item::{Blob, Item, Place};
use super::ledger::Dropped;
use crate::shard::{publish, temporary_beside};

const MAGIC: &[u8; 8] = b"TRIPCHK1";
const HEADER_BYTES: u64 = 8 + 8 + 8 + 32;
const ZSTD_LEVEL: i32 = 3;
/// A longer record is no record.
const MAX_RECORD_BYTES: u64 = 1 << 30;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Chunk {
    pub items: Vec<Item>,
    pub dropped: Vec<Dropped>,
    pub tally: BTreeMap<String, u64>,
    pub seconds: f64,
}

impl Chunk {
    /// Writes it below `cache` as `name`, and gives every new blob its place there.
    pub(crate) fn write(&mut self, cache: &Path, name: &str) -> Result<(), PipelineError> {
        let path = cache.join(name);
        let failed = |e| PipelineError::io("write", &path, e);
        let mut blobs: Vec<(&mut Blob, std::sync::Arc<[u8]>)> = Vec::new();
        for item in &mut self.items {
            let image = item.image.as_mut().map(|image| &mut image.blob);
            for blob in image.into_iter().chain(item.audio.as_mut().map(|audio| &mut audio.blob)) {
                if let Place::Memory(bytes) = &blob.place {
                    let bytes = bytes.clone();
                    blobs.push((blob, bytes));
                }
            }
        }
        // the record stands before the blobs, so their places are relative to the end of it
        let mut n_blob_bytes = 0;
        let mut contents = Vec::with_capacity(blobs.len());
        for (blob, bytes) in blobs {
            blob.place = Place::Cache { file: name.to_owned(), offset: n_blob_bytes };
            n_blob_bytes += bytes.len() as u64;
            contents.push(bytes);
        }
        let json = serde_json::to_vec(self).map_err(|e| PipelineError::cache(&path, e.to_string()))?;
        let record = zstd::bulk::compress(&json, ZSTD_LEVEL).map_err(failed)?;
        let mut file = temporary_beside(&path).map_err(failed)?;
        let mut out = std::io::BufWriter::new(&mut file);
        out.write_all(MAGIC).map_err(failed)?;
        out.write_all(&(record.len() as u64).to_le_bytes()).map_err(failed)?;
        out.write_all(&n_blob_bytes.to_le_bytes()).map_err(failed)?;
        out.write_all(blake3::hash(&record).as_bytes()).map_err(failed)?;
        out.write_all(&record).map_err(failed)?;
        for bytes in contents {
            out.write_all(&bytes).map_err(failed)?;
        }
        out.flush().map_err(failed)?;
        drop(out);
        publish(file, &path).map_err(failed)
    }

    /// Reads what [`Chunk::write`] wrote; none if there is no such file or it is not whole.
    pub(crate) fn read(cache: &Path, name: &str) -> Result<Option<Self>, PipelineError> {
        let path = cache.join(name);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(PipelineError::io("open", &path, e)),
        };
        let failed = |e| PipelineError::io("read", &path, e);
        let n_bytes = file.metadata().map_err(failed)?.len();
        let mut header = [0; HEADER_BYTES as usize];
        if n_bytes < HEADER_BYTES {
            return Ok(None);
        }
        file.read_exact(&mut header).map_err(failed)?;
        let number = |start: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&header[start..start + 8]);
            u64::from_le_bytes(bytes)
        };
        let (n_record, n_blobs) = (number(8), number(16));
        let is_whole = header[..8] == *MAGIC
            && n_record <= MAX_RECORD_BYTES
            && HEADER_BYTES.checked_add(n_record).and_then(|n| n.checked_add(n_blobs)) == Some(n_bytes);
        if !is_whole {
            return Ok(None);
        }
        let mut record = vec![0; n_record as usize];
        file.read_exact(&mut record).map_err(failed)?;
        if blake3::hash(&record).as_bytes()[..] != header[24..] {
            return Ok(None);
        }
        let Ok(json) = zstd::stream::decode_all(record.as_slice()) else { return Ok(None) };
        let Ok(mut chunk) = serde_json::from_slice::<Self>(&json) else { return Ok(None) };
        let blobs_start = HEADER_BYTES + n_record;
        for item in &mut chunk.items {
            let image = item.image.as_mut().map(|image| &mut image.blob.place);
            for place in image.into_iter().chain(item.audio.as_mut().map(|audio| &mut audio.blob.place)) {
                // blobs of this file are counted from its record's end, those of others from their start
                if let Place::Cache { file, offset } = place
                    && file.as_str() == name
                {
                    *offset += blobs_start;
                }
            }
        }
        Ok(Some(chunk))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::item::{Picture, Store};

    fn chunk() -> Chunk {
        let mut chunk = Chunk { seconds: 0.5, ..Chunk::default() };
        for n in 0..3u8 {
            chunk.items.push(Item {
                id: format!("item-{n}"),
                source: "here".to_owned(),
                group: String::new(),
                split: crate::sample::Split::Train,
                texts: vec!["a text".to_owned()],
                questions: Vec::new(),
                tags: BTreeMap::new(),
                image: Some(Picture {
                    blob: Blob::new(vec![n; 10 + n as usize], "png"),
                    width: 1,
                    height: 2,
                }),
                audio: None,
                signature: Default::default(),
            });
        }
        chunk
    }

    #[test]
    fn what_is_written_is_read_with_its_blobs() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        chunk().write(dir.path(), "a.chunk").expect("it is writable");
        let mut read = Chunk::read(dir.path(), "a.chunk").expect("it is readable").expect("it is whole");
        let store = Store { corpora: Vec::new(), cache: dir.path().to_owned() };
        for round in 0..2 {
            for (n, item) in read.items.iter().enumerate() {
                let blob = &item.image.as_ref().expect("it has one").blob;
                assert_eq!(store.bytes(blob).expect("it is there").into_owned(), vec![n as u8; 10 + n]);
            }
            if round == 0 {
                // a later stage that changes nothing keeps pointing at the first file
                read.write(dir.path(), "b.chunk").expect("it is writable");
                read = Chunk::read(dir.path(), "b.chunk").expect("it is readable").expect("it is whole");
            }
        }
    }

    #[test]
    fn a_chunk_that_is_cut_or_changed_is_none() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        chunk().write(dir.path(), "a").expect("it is writable");
        let whole = std::fs::read(dir.path().join("a")).expect("it is there");
        for n_bytes in [0, 7, 40, 60, whole.len() - 1] {
            std::fs::write(dir.path().join("a"), &whole[..n_bytes]).expect("it is writable");
            assert_eq!(Chunk::read(dir.path(), "a").expect("it is readable"), None, "{n_bytes} bytes");
        }
        let mut changed = whole.clone();
        changed[70] ^= 1;
        std::fs::write(dir.path().join("a"), changed).expect("it is writable");
        assert_eq!(Chunk::read(dir.path(), "a").expect("it is readable"), None);
        assert_eq!(Chunk::read(dir.path(), "no such").expect("it is no failure"), None);
    }
}
