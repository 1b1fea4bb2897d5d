//! Lists of addresses: plain lines, CSV, JSON lines.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::{Map, Value};

use super::FetchError;

/// The column, or key, of the address, unless told otherwise.
const URL_COLUMN: &str = "url";
/// No address is longer; a longer line is no list.
const MAX_LINE_BYTES: usize = 1 << 20;

/// A row of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct UrlItem {
    /// What to fetch.
    pub url: String,
    /// The row's other columns, for the manifest.
    pub fields: Map<String, Value>,
}

/// Reads a list: `.csv` and `.tsv` with a header, `.jsonl` with an object a line, else an address a line, where empty
/// lines and those that begin with `#` are passed over. `url` is the column or key of the address; without it, `url`.
///
/// # Errors
/// A file that cannot be read, a row without an address; the line is named.
pub fn read_list(path: &Path, url: Option<&str>) -> Result<Vec<UrlItem>, FetchError> {
    let column = url.unwrap_or(URL_COLUMN);
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    match extension.as_deref() {
        Some("csv") => read_table(path, column, b','),
        Some("tsv") => read_table(path, column, b'\t'),
        Some("jsonl" | "ndjson") => read_lines(path, |line| json_item(line, column)),
        _ => read_lines(path, |line| Ok(UrlItem { url: line.to_owned(), fields: Map::new() })),
    }
}

fn read_lines(
    path: &Path,
    parse: impl Fn(&str) -> Result<UrlItem, String>,
) -> Result<Vec<UrlItem>, FetchError> {
    let file = File::open(path).map_err(|e| FetchError::io("open", path, e))?;
    let mut items = Vec::new();
    for (line_idx, line) in BufReader::new(file).split(b'\n').enumerate() {
        let line = line.map_err(|e| FetchError::io("read", path, e))?;
        let malformed = |problem: String| malformed(path, line_idx + 1, problem);
        if line.len() > MAX_LINE_BYTES {
            return Err(malformed(format!("expected at most {MAX_LINE_BYTES} bytes, got {}", line.len())));
        }
        let line =
            std::str::from_utf8(&line).map_err(|_| malformed("expected UTF-8, got other bytes".into()))?;
        let line = line.trim_start_matches('\u{feff}').trim();
        if !line.is_empty() && !line.starts_with('#') {
            items.push(parse(line).map_err(malformed)?);
        }
    }
    Ok(items)
}

fn json_item(line: &str, column: &str) -> Result<UrlItem, String> {
    let mut fields: Map<String, Value> = serde_json::from_str(line).map_err(|e| e.to_string())?;
    // `preserve_order` is on: what follows moves up, in its order
    match fields.shift_remove(column) {
        Some(Value::String(url)) if !url.trim().is_empty() => {
            Ok(UrlItem { url: url.trim().to_owned(), fields })
        }
        other => Err(format!("expected an address under {column:?}, got {}", other.unwrap_or(Value::Null))),
    }
}

fn read_table(path: &Path, column: &str, delimiter: u8) -> Result<Vec<UrlItem>, FetchError> {
    let file = File::open(path).map_err(|e| FetchError::io("open", path, e))?;
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(BufReader::new(file));
    let unreadable = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line) as usize;
        malformed(path, line, error.to_string())
    };
    let header = reader.headers().map_err(unreadable)?.clone();
    let names: Vec<&str> = header.iter().map(|name| name.trim_start_matches('\u{feff}').trim()).collect();
    let Some(url_idx) = names.iter().position(|name| *name == column) else {
        let problem = format!("expected a column {column:?} among {}", names.join(", "));
        return Err(malformed(path, 1, problem));
    };
    let mut items = Vec::new();
    for record in reader.records() {
        let record = record.map_err(unreadable)?;
        let line = record.position().map_or(0, csv::Position::line) as usize;
        let url = record.get(url_idx).unwrap_or_default().trim();
        if url.is_empty() {
            return Err(malformed(path, line, format!("expected an address in column {column:?}, got none")));
        }
        let others = names
            .iter()
            .zip(&record)
            .enumerate()
            .filter(|(idx, (_, text))| *idx != url_idx && !text.is_empty());
        let fields = others.map(|(_, (name, text))| ((*name).to_owned(), Value::from(text))).collect();
        items.push(UrlItem { url: url.to_owned(), fields });
    }
    Ok(items)
}

fn malformed(path: &Path, line: usize, problem: String) -> FetchError {
    FetchError::Malformed { what: path.display().to_string(), place: format!("line {line}"), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, content: &[u8]) -> Result<Vec<UrlItem>, String> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join(name);
        std::fs::write(&path, content).expect("the folder is writable");
        read_list(&path, None).map_err(|e| e.to_string().replace(&dir.path().display().to_string(), ""))
    }

    fn item(url: &str, fields: &[(&str, &str)]) -> UrlItem {
        let fields = fields.iter().map(|(name, text)| ((*name).to_owned(), Value::from(*text))).collect();
        UrlItem { url: url.to_owned(), fields }
    }

    #[test]
    fn three_layouts_are_read() {
        let lines = b"\xef\xbb\xbfhttp://a/1\r\n\n# a note\n http://a/2 \n";
        assert_eq!(read("l.txt", lines), Ok(vec![item("http://a/1", &[]), item("http://a/2", &[])]));
        let table = b"caption,url,n\r\n\"a cat, black\",http://a/1,\r\n";
        assert_eq!(read("l.csv", table), Ok(vec![item("http://a/1", &[("caption", "a cat, black")])]));
        let objects = br#"{"text": "a cat", "url": "http://a/1", "split": "test"}"#;
        let expected = item("http://a/1", &[("text", "a cat"), ("split", "test")]);
        assert_eq!(read("l.jsonl", objects), Ok(vec![expected]));
    }

    #[test]
    fn bad_rows_are_named_by_their_line() {
        let message = |name, content| read(name, content).map(|_| ());
        assert_eq!(
            message("l.txt", b"http://a\n\xff\xfe\n"),
            Err("/l.txt, line 2: expected UTF-8, got other bytes".into())
        );
        assert_eq!(
            message("l.csv", b"a,b\n1,2\n"),
            Err("/l.csv, line 1: expected a column \"url\" among a, b".into())
        );
        assert_eq!(
            message("l.csv", b"a,url\n1,\n"),
            Err("/l.csv, line 2: expected an address in column \"url\", got none".into())
        );
        let error = message("l.csv", b"a,url\n1,2,3\n").expect_err("it has a column too many");
        assert!(error.starts_with("/l.csv, line 2: "), "{error}");
        assert_eq!(
            message("l.jsonl", b"{\"url\": 3}"),
            Err("/l.jsonl, line 1: expected an address under \"url\", got 3".into())
        );
        assert!(message("l.jsonl", b"{\"url\"").is_err() && message("l.jsonl", b"[]").is_err());
        assert_eq!(message("l.txt", b""), Ok(()));
    }
}
