//! Signatures on disk: the memory keeps four bytes a sample.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::Path;

/// A signature of a fixed number of bytes.
pub(crate) trait Record: Sized {
    const N_BYTES: usize;

    fn write(&self, out: &mut Vec<u8>);

    /// From [`Record::N_BYTES`] bytes.
    fn read(bytes: &[u8]) -> Self;
}

/// Takes records one after the other.
pub(crate) struct SpillWriter<R> {
    out: BufWriter<File>,
    record: Vec<u8>,
    n_records: u32,
    kind: PhantomData<R>,
}

impl<R: Record> SpillWriter<R> {
    /// A file without a name in `dir`, which goes with the process.
    pub(crate) fn in_dir(dir: &Path) -> io::Result<Self> {
        let out = BufWriter::new(tempfile::tempfile_in(dir)?);
        Ok(Self { out, record: Vec::new(), n_records: 0, kind: PhantomData })
    }

    /// The record's number.
    pub(crate) fn push(&mut self, record: &R) -> io::Result<u32> {
        self.record.clear();
        record.write(&mut self.record);
        // of a length that was read from a cache, and so may be another
        self.record.resize(R::N_BYTES, 0);
        self.out.write_all(&self.record)?;
        self.n_records += 1;
        Ok(self.n_records - 1)
    }

    pub(crate) fn finish(self) -> io::Result<Spill<R>> {
        let file = self.out.into_inner().map_err(|e| e.into_error())?;
        Ok(Spill { file, record: vec![0; R::N_BYTES], kind: PhantomData })
    }
}

/// Gives them again.
pub(crate) struct Spill<R> {
    file: File,
    record: Vec<u8>,
    kind: PhantomData<R>,
}

impl<R: Record> Spill<R> {
    pub(crate) fn get(&mut self, number: u32) -> io::Result<R> {
        self.file.seek(SeekFrom::Start(u64::from(number) * R::N_BYTES as u64))?;
        self.file.read_exact(&mut self.record)?;
        Ok(R::read(&self.record))
    }
}
