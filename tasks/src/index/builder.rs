//! Writes an index row by row; nothing of it is there before all of it is.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use half::f16;
use memmap2::Mmap;
use tempfile::NamedTempFile;

use super::error::IndexError;
use super::header::{Element, HEADER, Header, Metric};
use super::rows::quantise;
use super::{MAX_ROWS, prepare};

/// How rows are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storage {
    /// What is searched.
    pub element: Element,
    /// Beside rows of [`Element::I8`], what their best are scored by again: f32, f16, or nothing.
    pub originals: Option<Element>,
    /// How rows and queries compare.
    pub metric: Metric,
}

impl Default for Storage {
    fn default() -> Self {
        Self { element: Element::F32, originals: None, metric: Metric::Cosine }
    }
}

/// An index that is being written, into a file beside its place. Ids and scales are held in memory, rows are not.
#[derive(Debug)]
pub struct Builder {
    path: PathBuf,
    storage: Storage,
    d: usize,
    rows: BufWriter<NamedTempFile>,
    /// The originals until the rows are complete.
    originals: Option<BufWriter<File>>,
    scales: Vec<f32>,
    id_ends: Vec<u64>,
    ids: String,
    row: Vec<f32>,
    bytes: Vec<u8>,
}

impl Builder {
    /// An index of rows of `d` numbers at `path`, whose folder is there.
    ///
    /// # Errors
    /// [`IndexError::Empty`] without columns, [`IndexError::File`] when no file can be made there.
    pub fn create(path: &Path, d: usize, storage: Storage) -> Result<Self, IndexError> {
        if d == 0 {
            return Err(IndexError::Empty { what: "column" });
        }
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let mut file =
            NamedTempFile::with_prefix_in(".unfinished-", folder).map_err(IndexError::file(path))?;
        let originals = match storage.originals {
            Some(_) if storage.element == Element::I8 => {
                Some(BufWriter::new(tempfile::tempfile_in(folder).map_err(IndexError::file(path))?))
            }
            _ => None,
        };
        // the header comes last: until then nothing takes the file for an index
        file.write_all(&[0; HEADER]).map_err(IndexError::file(path))?;
        Ok(Self {
            path: path.to_owned(),
            storage,
            d,
            rows: BufWriter::with_capacity(1 << 20, file),
            originals,
            scales: Vec::new(),
            id_ends: Vec::new(),
            ids: String::new(),
            row: Vec::with_capacity(d),
            bytes: Vec::with_capacity(4 * d),
        })
    }

    /// Rows so far.
    pub fn n_rows(&self) -> usize {
        self.id_ends.len()
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`IndexError::Width`], [`IndexError::NotFinite`], [`IndexError::TooLong`], [`IndexError::Zero`],
    /// [`IndexError::Half`], [`IndexError::TooManyRows`], and [`IndexError::File`] when the disk does not take it.
    pub fn push(&mut self, id: &str, row: &[f32]) -> Result<(), IndexError> {
        let row_idx = self.n_rows();
        if row.len() != self.d {
            return Err(IndexError::Width { what: "row", row_idx, expected: self.d, got: row.len() });
        }
        if row_idx == MAX_ROWS {
            return Err(IndexError::TooManyRows);
        }
        self.row.clear();
        self.row.extend_from_slice(row);
        prepare(&mut self.row, self.storage.metric, "row", row_idx)?;
        self.bytes.clear();
        match self.storage.element {
            Element::I8 => self.scales.push(quantise(&self.row, &mut self.bytes)),
            element => encode(&self.row, element, row_idx, &mut self.bytes)?,
        }
        self.rows.write_all(&self.bytes).map_err(IndexError::file(&self.path))?;
        if let (Some(originals), Some(element)) = (&mut self.originals, self.storage.originals) {
            self.bytes.clear();
            encode(&self.row, element, row_idx, &mut self.bytes)?;
            originals.write_all(&self.bytes).map_err(IndexError::file(&self.path))?;
        }
        self.ids.push_str(id);
        self.id_ends.push(self.ids.len() as u64);
        Ok(())
    }

    /// Writes the rest and puts the index in its place.
    ///
    /// # Errors
    /// [`IndexError::Empty`] without rows, [`IndexError::DuplicateId`], [`IndexError::File`].
    pub fn finish(self) -> Result<(), IndexError> {
        if self.id_ends.is_empty() {
            return Err(IndexError::Empty { what: "row" });
        }
        self.check_ids()?;
        let path = self.path.clone();
        self.complete().map_err(IndexError::file(&path))
    }

    fn complete(mut self) -> io::Result<()> {
        let mut header = Header {
            element: self.storage.element,
            originals: self.originals.as_ref().and(self.storage.originals),
            metric: self.storage.metric,
            n_rows: self.id_ends.len() as u64,
            d: self.d as u64,
            n_id_bytes: self.ids.len() as u64,
            rows_checksum: [0; 32],
            ids_checksum: [0; 32],
        };
        let layout = header.layout().ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        self.rows.flush()?;
        let mut place = |start: usize| self.rows.seek(SeekFrom::Start(start as u64)).map(drop);
        place(layout.scales.start)?;
        for scale in &self.scales {
            self.rows.write_all(&scale.to_le_bytes())?;
        }
        if let Some(originals) = self.originals {
            let mut originals = originals.into_inner().map_err(io::IntoInnerError::into_error)?;
            originals.rewind()?;
            self.rows.seek(SeekFrom::Start(layout.originals.start as u64))?;
            io::copy(&mut originals, &mut self.rows)?;
        }
        self.rows.seek(SeekFrom::Start(layout.id_ends.start as u64))?;
        for end in &self.id_ends {
            self.rows.write_all(&end.to_le_bytes())?;
        }
        self.rows.seek(SeekFrom::Start(layout.ids.start as u64))?;
        self.rows.write_all(self.ids.as_bytes())?;
        let mut file = self.rows.into_inner().map_err(io::IntoInnerError::into_error)?;
        // ids may all be empty, and so may be what was to follow
        file.as_file().set_len(layout.ids.end as u64)?;
        // SAFETY: nobody else knows the file, which is written through this handle alone and not while it is mapped
        let map = unsafe { Mmap::map(file.as_file())? };
        header.rows_checksum = *blake3::hash(&map[layout.rows.start..layout.originals.end]).as_bytes();
        header.ids_checksum = *blake3::hash(&map[layout.id_ends.start..layout.ids.end]).as_bytes();
        drop(map);
        file.rewind()?;
        file.write_all(&header.encode())?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }

    fn check_ids(&self) -> Result<(), IndexError> {
        let id = |row: u32| {
            let row = row as usize;
            let start = if row == 0 { 0 } else { self.id_ends[row - 1] as usize };
            &self.ids[start..self.id_ends[row] as usize]
        };
        let mut rows: Vec<u32> = (0..self.id_ends.len() as u32).collect();
        rows.sort_unstable_by(|&a, &b| id(a).cmp(id(b)).then(a.cmp(&b)));
        let twice = rows.windows(2).filter(|pair| id(pair[0]) == id(pair[1])).min_by_key(|pair| pair[1]);
        match twice {
            None => Ok(()),
            Some(pair) => Err(IndexError::DuplicateId {
                id: id(pair[0]).to_owned(),
                first: pair[0] as usize,
                second: pair[1] as usize,
            }),
        }
    }
}

/// A row of 32- or 16-bit floats.
fn encode(row: &[f32], element: Element, row_idx: usize, into: &mut Vec<u8>) -> Result<(), IndexError> {
    if element == Element::F32 {
        into.extend(row.iter().flat_map(|value| value.to_le_bytes()));
        return Ok(());
    }
    for (column_idx, &value) in row.iter().enumerate() {
        let half = f16::from_f32(value);
        if half.is_infinite() {
            return Err(IndexError::Half { row_idx, column_idx, value });
        }
        into.extend(half.to_le_bytes());
    }
    Ok(())
}
