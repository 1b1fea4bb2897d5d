//! An index mapped into memory.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::MAX_ROWS;
use super::error::IndexError;
use super::header::{Element, Header, Layout, Metric};
use super::rows::Rows;

/// An index, open for searching. Its rows stay in the file; the system reads them as they are needed and may forget them.
#[derive(Debug)]
pub struct Index {
    path: PathBuf,
    map: Mmap,
    header: Header,
    layout: Layout,
}

impl Index {
    /// Opens an index. Its header and ids are checked against their checksums, its rows only by [`Index::verify`].
    ///
    /// The file must not be changed or shortened while it is open: [`Builder`](super::Builder) replaces, it never changes.
    ///
    /// # Errors
    /// [`IndexError::File`] when it cannot be read, [`IndexError::Format`] when it is no index, cut off or damaged.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let file = File::open(path).map_err(IndexError::file(path))?;
        if !file.metadata().map_err(IndexError::file(path))?.is_file() {
            return Err(IndexError::format(path, "expected an index, got something that is not a file"));
        }
        // SAFETY: the map is only read; that nobody shortens the file meanwhile is asked of the caller above
        let map = unsafe { Mmap::map(&file) }.map_err(IndexError::file(path))?;
        let broken = |problem: String| IndexError::format(path, problem);
        let header = Header::parse(&map).map_err(broken)?;
        if header.n_rows == 0 || header.d == 0 || header.n_rows > MAX_ROWS as u64 {
            let problem = format!("the index claims {} rows of {} columns", header.n_rows, header.d);
            return Err(broken(problem));
        }
        let layout = header.layout().filter(|layout| layout.ids.end == map.len()).ok_or_else(|| {
            let expected = header.layout().map_or(u64::MAX, |layout| layout.ids.end as u64);
            broken(format!(
                "expected {expected} bytes for {} rows of {} columns, got {}: the index is cut off or damaged",
                header.n_rows,
                header.d,
                map.len()
            ))
        })?;
        let index = Self { path: path.to_owned(), map, header, layout };
        index.check_ids()?;
        Ok(index)
    }

    fn check_ids(&self) -> Result<(), IndexError> {
        let part = &self.map[self.layout.id_ends.start..self.layout.ids.end];
        let broken = |problem: &str| Err(IndexError::format(&self.path, problem));
        if *blake3::hash(part).as_bytes() != self.header.ids_checksum {
            return broken("the ids of the index do not match their checksum: it is damaged");
        }
        let Ok(ids) = std::str::from_utf8(&self.map[self.layout.ids.clone()]) else {
            return broken("the ids of the index are not UTF-8");
        };
        let mut last = 0;
        for &end in self.map[self.layout.id_ends.clone()].as_chunks::<8>().0 {
            let end = usize::try_from(u64::from_le_bytes(end)).unwrap_or(usize::MAX);
            if end < last || !ids.is_char_boundary(end) {
                return broken("the ids of the index do not follow one another");
            }
            last = end;
        }
        if last != ids.len() {
            return broken("the index holds ids of no row");
        }
        Ok(())
    }

    /// Reads every row and compares the checksum.
    ///
    /// # Errors
    /// [`IndexError::Format`] when a row was damaged.
    pub fn verify(&self) -> Result<(), IndexError> {
        let part = &self.map[self.layout.rows.start..self.layout.originals.end];
        if *blake3::hash(part).as_bytes() == self.header.rows_checksum {
            return Ok(());
        }
        Err(IndexError::format(
            &self.path,
            "the rows of the index do not match their checksum: it is damaged",
        ))
    }

    /// Where the index lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many rows there are.
    pub fn n_rows(&self) -> usize {
        self.header.n_rows as usize
    }

    /// Numbers of a row.
    pub fn d(&self) -> usize {
        self.header.d as usize
    }

    /// What rows are stored as.
    pub fn element(&self) -> Element {
        self.header.element
    }

    /// What the originals of rows of 8 bits are stored as.
    pub fn originals(&self) -> Option<Element> {
        self.header.originals
    }

    /// How rows and queries compare.
    pub fn metric(&self) -> Metric {
        self.header.metric
    }

    /// Bytes of the file.
    pub fn n_bytes(&self) -> usize {
        self.map.len()
    }

    /// The id of a row.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn id(&self, row: usize) -> &str {
        let ends = self.map[self.layout.id_ends.clone()].as_chunks::<8>().0;
        // whole characters in rising order, as was checked when the index was opened
        let end = |row: usize| u64::from_le_bytes(ends[row]) as usize;
        let start = if row == 0 { 0 } else { end(row - 1) };
        std::str::from_utf8(&self.map[self.layout.ids.clone()][start..end(row)]).unwrap_or_default()
    }

    /// What is searched.
    pub(super) fn rows(&self) -> Rows<'_> {
        self.part(self.header.element, &self.layout.rows)
    }

    /// The most exact rows that there are: the originals, or what is searched.
    pub(super) fn exact_rows(&self) -> Rows<'_> {
        match self.header.originals {
            Some(element) => self.part(element, &self.layout.originals),
            None => self.rows(),
        }
    }

    fn part(&self, element: Element, part: &Range<usize>) -> Rows<'_> {
        let scales = &self.map[self.layout.scales.clone()];
        Rows { element, bytes: &self.map[part.clone()], scales, d: self.d() }
    }
}
