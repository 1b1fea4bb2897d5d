//! Text files line by line: any line ending, with or without a byte order mark, no line longer than its limit, and a line
//! number for whatever is wrong.

use std::io::{self, BufRead, BufReader, Read};

use super::Source;
use super::ledger::{Failure, Place};
use crate::corpora::ImportError;

const BOM: &[u8] = b"\xef\xbb\xbf";
const UTF_16_BOMS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// A text behind its byte order mark, if it has one.
///
/// # Errors
/// What reading gives, and a text in UTF-16.
pub(crate) fn without_mark<R: Read>(reader: R) -> io::Result<BufReader<R>> {
    let mut reader = BufReader::with_capacity(1 << 16, reader);
    let start = reader.fill_buf()?;
    if UTF_16_BOMS.iter().any(|mark| start.starts_with(mark)) {
        return Err(io::Error::other(
            "expected UTF-8, got UTF-16: convert it, with `iconv -f UTF-16 -t UTF-8`",
        ));
    }
    if start.starts_with(BOM) {
        reader.consume(BOM.len());
    }
    Ok(reader)
}

/// The lines of a file, without their endings, each with its number from 1.
pub(crate) struct Lines {
    file: String,
    reader: Box<dyn BufRead>,
    line: u64,
    max_bytes: u64,
    is_over: bool,
}

impl Lines {
    /// Opens a file of the source; one that ends in `.gz` or `.zst` is unpacked on the way.
    ///
    /// # Errors
    /// A file that cannot be opened or is not UTF-8 at its start.
    pub(crate) fn open(source: &Source, file: &str, max_bytes: u64) -> Result<Self, ImportError> {
        let unfit = |problem: String| ImportError::Source {
            source_name: file.to_owned(),
            place: "whole file".to_owned(),
            problem,
        };
        let opened = source.open_file(file).map_err(unfit)?;
        let reader: Box<dyn Read> = if file.ends_with(".gz") {
            Box::new(flate2::read::MultiGzDecoder::new(opened))
        } else if file.ends_with(".zst") {
            Box::new(zstd::stream::Decoder::new(opened).map_err(|e| unfit(e.to_string()))?)
        } else {
            Box::new(opened)
        };
        Self::new(file, reader, max_bytes).map_err(|e| unfit(e.to_string()))
    }

    /// The lines of anything readable; `file` is for messages.
    ///
    /// # Errors
    /// What reading gives, and a text in UTF-16.
    pub(crate) fn new(file: &str, reader: impl Read + 'static, max_bytes: u64) -> io::Result<Self> {
        let reader = Box::new(without_mark(reader)?);
        Ok(Self { file: file.to_owned(), reader, line: 0, max_bytes, is_over: false })
    }

    fn read(&mut self) -> io::Result<Option<Result<String, String>>> {
        let mut bytes = Vec::new();
        (&mut self.reader).take(self.max_bytes.saturating_add(2)).read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        self.line += 1;
        if !bytes.ends_with(b"\n") && bytes.len() as u64 > self.max_bytes {
            self.reader.skip_until(b'\n')?;
            return Ok(Some(Err(format!(
                "expected a line of at most {} bytes, got a longer one",
                self.max_bytes
            ))));
        }
        if bytes.ends_with(b"\n") {
            bytes.pop();
        }
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
        Ok(Some(String::from_utf8(bytes).map_err(|e| {
            format!(
                "expected UTF-8, got something else at byte {} of the line",
                e.utf8_error().valid_up_to() + 1
            )
        })))
    }
}

impl Iterator for Lines {
    type Item = Result<(Place, String), Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let read = self.read();
        let place = Place::line(&self.file, self.line.max(1));
        match read {
            Ok(line) => {
                let line = line?;
                Some(line.map(|line| (place.clone(), line)).map_err(|reason| Failure::at(place, reason)))
            }
            Err(e) => {
                self.is_over = true;
                let place = Place::line(&self.file, self.line + 1);
                Some(Err(Failure::at(place, format!("the rest cannot be read: {e}"))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn all(bytes: &[u8], max_bytes: u64) -> Vec<Result<String, u64>> {
        Lines::new("f", Cursor::new(bytes.to_vec()), max_bytes)
            .expect("it is no UTF-16")
            .map(|line| line.map(|(_, text)| text).map_err(|failure| failure.place.line.unwrap_or(0)))
            .collect()
    }

    #[test]
    fn byte_order_marks_and_line_endings_are_no_content() {
        let plain = [Ok("a".to_owned()), Ok(String::new()), Ok("b".to_owned())];
        for text in [&b"a\n\nb\n"[..], b"a\r\n\r\nb\r\n", b"\xef\xbb\xbfa\n\nb", b"a\n\r\nb\r\n"] {
            assert_eq!(all(text, 100), plain);
        }
        assert!(all(b"", 100).is_empty());
        assert!(Lines::new("f", Cursor::new(b"\xff\xfea\0".to_vec()), 9).is_err());
    }

    #[test]
    fn bad_lines_cost_themselves_only() {
        assert_eq!(all(b"a\n\xff\nb", 100), [Ok("a".to_owned()), Err(2), Ok("b".to_owned())]);
        assert_eq!(all(b"aaa\nbbbbbbbbb\nccc", 3), [Ok("aaa".to_owned()), Err(2), Ok("ccc".to_owned())]);
        assert_eq!(all(&[b'x'; 100_000], 3), [Err(1)]);
    }
}
