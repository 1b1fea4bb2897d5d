//! Vectors and where they go: an array with names, JSON, tables of how alike they are and how well they fit.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use miette::{Diagnostic, IntoDiagnostic};
use serde_json::json;
use triptych_datasets::npy;
use triptych_datasets::shard::write_atomic;

use super::embedder::{Comparison, Embedder};
use crate::diagnostic::print;

/// Wider texts are cut in the table.
const MOST_CHARACTERS: usize = 24;

/// What was embedded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Image,
    Audio,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Audio => "audio",
        }
    }
}

/// Some files could not be embedded.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{n_failed} of {n_files} files cannot be used; the reasons are above")]
struct UnusableFiles {
    n_failed: usize,
    n_files: usize,
}

struct Row {
    kind: Kind,
    name: String,
    /// Of a part of a recording: from when to when.
    part_s: Option<[f64; 2]>,
    vector: Vec<f32>,
}

impl Row {
    /// The name, and of a part of a recording which one, as media fragments are written.
    fn full_name(&self) -> String {
        match self.part_s {
            None => self.name.clone(),
            Some([start_s, end_s]) => format!("{}#t={start_s:.2},{end_s:.2}", self.name),
        }
    }
}

/// The vectors so far.
#[derive(Default)]
pub(super) struct Embedded {
    rows: Vec<Row>,
    n_failed: usize,
}

impl Embedded {
    pub(super) fn push(&mut self, kind: Kind, name: String, vector: Vec<f32>) {
        self.rows.push(Row { kind, name, part_s: None, vector });
    }

    /// A recording, or a part of one, in seconds.
    pub(super) fn push_sound(&mut self, name: &str, part_s: Option<[f64; 2]>, vector: Vec<f32>) {
        self.rows.push(Row { kind: Kind::Audio, name: name.to_owned(), part_s, vector });
    }

    /// The file at `path` cannot be used; the rest goes on.
    pub(super) fn failed(&mut self, path: &Path, problem: &str) {
        eprintln!("error: {}: {problem}", path.display());
        self.n_failed += 1;
    }

    /// Writes and prints everything.
    ///
    /// # Errors
    /// When a file could not be used, or the output cannot be written.
    pub(super) fn tell(self, embedder: &Embedder, out: Option<&Path>, is_json: bool) -> miette::Result<()> {
        if let Some(out) = out.filter(|_| !self.rows.is_empty()) {
            let ids = self.write(out)?;
            if !is_json {
                let (n, width) = (self.rows.len(), self.rows[0].vector.len());
                print(&format!("{}: {n} vectors of {width}, named in {}\n", out.display(), ids.display()))?;
            }
        }
        let texts = self.vectors(Kind::Text);
        let images = self.vectors(Kind::Image);
        if is_json {
            let rows = self.rows.iter().map(|row| {
                let key = if row.kind == Kind::Text { "text" } else { "file" };
                let mut told = json!({"kind": row.kind.name(), key: row.name, "embedding": row.vector});
                if let Some([start_s, end_s]) = row.part_s {
                    told["start_s"] = start_s.into();
                    told["end_s"] = end_s.into();
                }
                told
            });
            let rows = rows.collect::<Vec<_>>();
            print(&format!("{}\n", serde_json::to_string(&rows).into_diagnostic()?))?;
        } else if let Some(comparison) =
            embedder.comparison().filter(|_| !texts.is_empty() && !images.is_empty())
        {
            let fits = fits(embedder.logits(&images, &texts), comparison);
            print(&self.table(&images, &texts, &fits, comparison))?;
        } else if out.is_none() && !self.rows.is_empty() {
            print(&self.similarities())?;
        }
        match self.n_failed {
            0 => Ok(()),
            n_failed => {
                // a recording has one row or several, of which one begins it
                let is_file = |row: &&Row| {
                    row.kind != Kind::Text && row.part_s.is_none_or(|[start_s, _]| start_s == 0.0)
                };
                let n_files = n_failed + self.rows.iter().filter(is_file).count();
                Err(UnusableFiles { n_failed, n_files }.into())
            }
        }
    }

    fn vectors(&self, kind: Kind) -> Vec<Vec<f32>> {
        self.rows.iter().filter(|row| row.kind == kind).map(|row| row.vector.clone()).collect()
    }

    fn names(&self, kind: Kind) -> impl Iterator<Item = &str> {
        self.rows.iter().filter(move |row| row.kind == kind).map(|row| row.name.as_str())
    }

    /// The array, and the file of its rows' names.
    fn write(&self, out: &Path) -> miette::Result<PathBuf> {
        let failed = |path: &Path, error: std::io::Error| {
            miette::miette!(
                help = "the folder must exist and be writable",
                "cannot write {}: {error}",
                path.display()
            )
        };
        let width = self.rows.first().map_or(0, |row| row.vector.len());
        let values = self.rows.iter().flat_map(|row| row.vector.iter().copied()).collect::<Vec<_>>();
        let mut bytes = Vec::new();
        npy::write_f32(&mut bytes, &[self.rows.len(), width], &values).map_err(|error| failed(out, error))?;
        write_atomic(out, &bytes).map_err(|error| failed(out, error))?;
        let mut name: OsString = out.file_stem().unwrap_or_default().to_owned();
        name.push(".ids.txt");
        let ids = out.with_file_name(name);
        let lines = self.rows.iter().fold(String::new(), |mut lines, row| {
            // a name is one line
            let _ = writeln!(lines, "{}", row.full_name().replace(['\n', '\r'], " "));
            lines
        });
        write_atomic(&ids, lines.as_bytes()).map_err(|error| failed(&ids, error))?;
        Ok(ids)
    }

    /// A line and a column each: the cosine.
    fn similarities(&self) -> String {
        let names = self.rows.iter().map(|row| shortened(&row.full_name())).collect::<Vec<_>>();
        let first = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let mut table = format!("{:first$}", "");
        for name in &names {
            // writing into a string cannot fail
            let _ = write!(table, "  {name:>6}");
        }
        for (name, row) in names.iter().zip(&self.rows) {
            let _ = write!(table, "\n{name:first$}");
            for (name, other) in names.iter().zip(&self.rows) {
                let width = name.chars().count().max(6);
                let _ = write!(table, "  {:>width$.3}", cosine(&row.vector, &other.vector));
            }
        }
        table + "\ncosine similarity\n"
    }

    /// A line a picture, a column a text: the cosine, and the probability by the model.
    fn table(
        &self,
        images: &[Vec<f32>],
        texts: &[Vec<f32>],
        fits: &[Vec<f32>],
        comparison: Comparison,
    ) -> String {
        let names = self.names(Kind::Text).map(shortened).collect::<Vec<_>>();
        let widths = names.iter().map(|name| name.chars().count().max(14)).collect::<Vec<_>>();
        let first = self.names(Kind::Image).map(|name| name.chars().count()).max().unwrap_or(0);
        let mut table = format!("{:first$}", "");
        for (name, &width) in names.iter().zip(&widths) {
            // writing into a string cannot fail
            let _ = write!(table, "  {name:>width$}");
        }
        for ((name, image), fits) in self.names(Kind::Image).zip(images).zip(fits) {
            let _ = write!(table, "\n{name:first$}");
            for ((text, fit), &width) in texts.iter().zip(fits).zip(&widths) {
                let cosine = text.iter().zip(image).map(|(a, b)| a * b).sum::<f32>();
                let cell = format!("{cosine:.3} ({:.1}%)", 100.0 * fit);
                let _ = write!(table, "  {cell:>width$}");
            }
        }
        let about = match comparison {
            Comparison::Softmax => "which of the texts it is",
            Comparison::Sigmoid => "that it is a pair",
        };
        table + &format!("\ncosine similarity; in brackets the model's probability {about}\n")
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    product(a, b) / (product(a, a) * product(b, b)).sqrt().max(f32::MIN_POSITIVE)
}

/// Probabilities from a model's scores.
fn fits(logits: Vec<Vec<f32>>, comparison: Comparison) -> Vec<Vec<f32>> {
    let row = |row: Vec<f32>| match comparison {
        Comparison::Sigmoid => row.into_iter().map(|score| 1.0 / (1.0 + (-score).exp())).collect(),
        Comparison::Softmax => {
            let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let shares = row.iter().map(|score| (score - most).exp()).collect::<Vec<_>>();
            let sum = shares.iter().sum::<f32>();
            shares.into_iter().map(|share| share / sum).collect()
        }
    };
    logits.into_iter().map(row).collect()
}

fn shortened(text: &str) -> String {
    let text = text.replace(['\n', '\r', '\t'], " ");
    if text.chars().count() <= MOST_CHARACTERS {
        return text;
    }
    let mut short = text.chars().take(MOST_CHARACTERS - 2).collect::<String>();
    short.push_str("..");
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_become_shares_or_chances() {
        let shares = fits(vec![vec![1000.0, 1000.0]], Comparison::Softmax);
        assert_eq!(shares, [[0.5, 0.5]]);
        let chances = fits(vec![vec![0.0, -1000.0]], Comparison::Sigmoid);
        assert_eq!(chances, [[0.5, 0.0]]);
        let embedded = Embedded {
            rows: [("a cat", vec![3.0, 4.0]), ("a dog", vec![4.0, 3.0])]
                .map(|(name, vector)| Row { kind: Kind::Text, name: name.to_owned(), part_s: None, vector })
                .into(),
            n_failed: 0,
        };
        let table =
            "        a cat   a dog\na cat   1.000   0.960\na dog   0.960   1.000\ncosine similarity\n";
        assert_eq!(embedded.similarities(), table);
        assert_eq!(shortened("a red heart on a white ground"), "a red heart on a white..");
    }
}
