//! Importers: every layout as its publisher has it, and everything that can be wrong with one.

mod bad;
mod behaviour;
mod hostile;
mod layouts;
mod manifest;
mod speech;
mod tables;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use triptych_datasets::corpora::intake::Summary;
use triptych_datasets::corpora::{ImportError, Request, importer};
use triptych_datasets::sample::Sample;
use triptych_datasets::shard::Corpus;

pub(crate) use crate::fixture::{picture, tone};

/// A source that is built file by file, and a folder beside it for what is made of it.
pub(crate) struct Bench {
    dir: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let bench = Self { dir: tempfile::tempdir().expect("a temporary folder") };
        fs::create_dir(bench.source()).expect("the folder is writable");
        bench
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.dir.path().join("source")
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// Puts a file into the source.
    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.source().join(name);
        fs::create_dir_all(path.parent().expect("it lies in the source")).expect("the folder is writable");
        fs::write(path, content).expect("the folder is writable");
        self
    }

    pub(crate) fn put_all(&self, files: &[(&str, Vec<u8>)]) {
        for (name, content) in files {
            self.put(name, content);
        }
    }

    pub(crate) fn try_import(
        &self,
        format: &str,
        source: &Path,
        options: &Value,
        change: impl FnOnce(&mut Request<'_>),
    ) -> Result<Summary, ImportError> {
        let out = self.out();
        let mut request = Request::new(Some(source), &out, options);
        change(&mut request);
        importer(format).expect("it is registered").import(&request)
    }

    /// Imports the whole source with options.
    pub(crate) fn import_with(&self, format: &str, options: Value) -> Imported {
        let summary =
            self.try_import(format, &self.source(), &options, |_| {}).expect("the layout is as published");
        let corpus = Corpus::open(self.out()).expect("it was just written");
        corpus.verify().expect("it was just written");
        assert_eq!(corpus.len(), summary.n_samples);
        let samples = (0..corpus.len()).map(|idx| corpus.read(idx).expect("it was just written")).collect();
        let ledger = fs::read_to_string(self.out().join("ledger.jsonl")).unwrap_or_default();
        let ledger: Vec<Value> =
            ledger.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
        assert_eq!(ledger.len(), summary.n_failed);
        Imported { summary, samples, ledger }
    }

    pub(crate) fn import(&self, format: &str) -> Imported {
        self.import_with(format, Value::Null)
    }

    /// Imports one file of the source.
    pub(crate) fn import_file(&self, format: &str, file: &str) -> Result<Summary, ImportError> {
        self.try_import(format, &self.source().join(file), &json!({}), |_| {})
    }
}

/// What came of a source.
pub(crate) struct Imported {
    pub(crate) summary: Summary,
    pub(crate) samples: Vec<Sample>,
    pub(crate) ledger: Vec<Value>,
}

impl Imported {
    pub(crate) fn ids(&self) -> Vec<&str> {
        self.samples.iter().map(|sample| sample.id.as_str()).collect()
    }

    pub(crate) fn sample(&self, id: &str) -> &Sample {
        self.samples
            .iter()
            .find(|sample| sample.id == id)
            .unwrap_or_else(|| panic!("{id} of {:?}", self.ids()))
    }

    /// The reason that the ledger gives for a line.
    pub(crate) fn reason(&self, line: u64) -> &str {
        let row = self.ledger.iter().find(|row| row["line"] == line);
        let row = row.unwrap_or_else(|| panic!("no line {line} in {:?}", self.ledger));
        row["reason"].as_str().expect("a reason is words")
    }

    pub(crate) fn assert_clean(&self) -> &Self {
        assert_eq!(self.ledger, Vec::<Value>::new());
        self
    }
}

/// A JPEG of a few hundred bytes.
pub(crate) fn jpeg(shade: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let pixels = image::RgbImage::from_pixel(16, 12, image::Rgb([shade, 255 - shade, 90]));
    pixels
        .write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Jpeg)
        .expect("memory takes it");
    bytes
}
