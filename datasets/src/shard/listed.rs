//! A file of the corpus while it is written: hashed and counted on the way, and seen by others only when it is whole.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::CorpusError;
use super::atomic::{publish, temporary_beside};
use super::index::FileRecord;

/// Hashes and counts what passes into a temporary file beside the one that it will become.
pub(crate) struct ListedFile {
    path: PathBuf,
    inner: BufWriter<NamedTempFile>,
    hasher: blake3::Hasher,
    n_bytes: u64,
}

impl ListedFile {
    pub(crate) fn create(path: PathBuf) -> Result<Self, CorpusError> {
        let file = temporary_beside(&path).map_err(|e| CorpusError::io("create", &path, e))?;
        Ok(Self { path, inner: BufWriter::new(file), hasher: blake3::Hasher::new(), n_bytes: 0 })
    }

    /// What it will be called.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes so far.
    pub(crate) fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// Gives it its name and says what to list.
    pub(crate) fn publish(mut self, n_samples: usize) -> Result<FileRecord, CorpusError> {
        let write = |e| CorpusError::io("write", &self.path, e);
        self.inner.flush().map_err(write)?;
        let file = self.inner.into_inner().map_err(|e| write(e.into_error()))?;
        publish(file, &self.path).map_err(write)?;
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let blake3 = self.hasher.finalize().to_hex().to_string();
        Ok(FileRecord { name, n_bytes: self.n_bytes, blake3, n_samples })
    }
}

impl Write for ListedFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n_bytes = self.inner.write(buffer)?;
        self.hasher.update(&buffer[..n_bytes]);
        self.n_bytes += n_bytes as u64;
        Ok(n_bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
