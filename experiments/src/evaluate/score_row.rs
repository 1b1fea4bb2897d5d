//! One figure of an evaluation, and `scores.json`, the list of them in a run folder.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use triptych_tasks::metrics::Score;

/// One figure: what was measured, on which hold-out, and how sure it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreRow {
    /// What the model was asked to do: `retrieval`, `caption`, `asr`, ...
    pub task: String,
    /// What training never saw: `style`, `voice:slt`, `concepts`, or a crossing such as `voice:slt x style`.
    pub holdout: String,
    /// The modality asked with (`image`, `speech`, `text`), where the task has a direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The modality looked for, where the task has a direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The metric as the field spells it: `R@1`, `WER`, `CIDEr-D`, `exact`, ...
    pub name: String,
    /// The figure, in `unit`.
    pub value: f64,
    /// `%` (from 0 to 100), `rank`, or empty for a plain number.
    pub unit: String,
    /// Number of samples behind the figure.
    pub n: usize,
    /// Lower end of the 95% interval, in `unit`.
    pub low: f64,
    /// Upper end of the 95% interval, in `unit`.
    pub high: f64,
    /// What guessing would score, in `unit`, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
    /// Whether a larger value is a better one.
    pub higher_is_better: bool,
}

impl ScoreRow {
    /// A score of `task` on `holdout`, asked with `query` for `target`.
    pub(crate) fn new(
        task: &str,
        holdout: &str,
        (query, target): (Option<&str>, Option<&str>),
        score: Score,
        chance: Option<f64>,
    ) -> Self {
        // one sample alone leaves nothing to resample: its interval is the point
        let (low, high) =
            score.interval.map_or((score.value, score.value), |interval| (interval.low, interval.high));
        Self {
            task: task.to_owned(),
            holdout: holdout.to_owned(),
            query: query.map(ToOwned::to_owned),
            target: target.map(ToOwned::to_owned),
            name: score.name,
            value: score.value,
            unit: score.unit,
            n: score.n,
            low,
            high,
            chance,
            higher_is_better: score.higher_is_better,
        }
    }

    /// The direction of the task: `speech → image`, or the one modality that is named, or nothing.
    pub fn direction(&self) -> String {
        match (&self.query, &self.target) {
            (Some(query), Some(target)) => format!("{query} → {target}"),
            (Some(only), None) | (None, Some(only)) => only.clone(),
            (None, None) => String::new(),
        }
    }

    /// The first thing that is wrong with the figures, if anything is.
    fn fault(&self) -> Option<String> {
        let figures = [
            ("value", self.value),
            ("low", self.low),
            ("high", self.high),
            ("chance", self.chance.unwrap_or(0.0)),
        ];
        if let Some((field, got)) = figures.into_iter().find(|(_, figure)| !figure.is_finite()) {
            return Some(format!("`{field}`: expected a finite number, got {got}"));
        }
        (self.low > self.high)
            .then(|| format!("`low` {} exceeds `high` {}: expected low <= high", self.low, self.high))
    }
}

/// Why `scores.json` could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ScoresError {
    /// The file could not be opened, read, written or renamed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a list of score rows.
    #[error("{}: expected a list of scores: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What the parser said, with line and column.
        source: serde_json::Error,
    },
    /// A row holds a figure that cannot be.
    #[error("{}: score {index} ({row}): {fault}", path.display())]
    Figure {
        /// The file.
        path: PathBuf,
        /// The row's place in the list, from 0.
        index: usize,
        /// The row in words: task, metric, hold-out.
        row: String,
        /// What is wrong with it.
        fault: String,
    },
}

/// Reads `scores.json`.
///
/// # Errors
/// When the file cannot be read, is not a list of [`ScoreRow`], or a row's interval is reversed.
pub fn read_scores(path: &Path) -> Result<Vec<ScoreRow>, ScoresError> {
    let text =
        fs::read_to_string(path).map_err(|source| ScoresError::Io { path: path.to_owned(), source })?;
    let rows: Vec<ScoreRow> = serde_json::from_str(&text)
        .map_err(|source| ScoresError::Format { path: path.to_owned(), source })?;
    check(&rows, path)?;
    Ok(rows)
}

/// Writes `scores.json`, one row a line, whole or not at all.
///
/// # Errors
/// When a figure is not finite (JSON has no word for it), an interval is reversed, or the file cannot be written;
/// a file that stood there before is then left as it was.
pub fn write_scores(path: &Path, rows: &[ScoreRow]) -> Result<(), ScoresError> {
    check(rows, path)?;
    let format = |source| ScoresError::Format { path: path.to_owned(), source };
    let mut text = String::from("[");
    for (index, row) in rows.iter().enumerate() {
        text.push_str(if index == 0 { "\n" } else { ",\n" });
        text.push_str(&serde_json::to_string(row).map_err(format)?);
    }
    text.push_str("\n]\n");

    let partial = path.with_extension("json.partial");
    fs::File::create(&partial)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&partial, path))
        .map_err(|source| {
            let _ = fs::remove_file(&partial);
            ScoresError::Io { path: path.to_owned(), source }
        })
}

fn check(rows: &[ScoreRow], path: &Path) -> Result<(), ScoresError> {
    for (index, row) in rows.iter().enumerate() {
        if let Some(fault) = row.fault() {
            return Err(ScoresError::Figure {
                path: path.to_owned(),
                index,
                row: format!("{} {}, hold-out {}", row.task, row.name, row.holdout),
                fault,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> ScoreRow {
        ScoreRow {
            task: "retrieval".into(),
            holdout: "voice:slt x style".into(),
            query: Some("speech".into()),
            target: Some("image".into()),
            name: "R@1".into(),
            value: 14.25,
            unit: "%".into(),
            n: 802,
            low: 11.875,
            high: 16.75,
            chance: Some(0.125),
            higher_is_better: true,
        }
    }

    #[test]
    fn rows_survive_a_round_trip_and_lack_absent_fields() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scores.json");
        let rows = vec![row(), ScoreRow { query: None, target: None, chance: None, ..row() }];
        write_scores(&path, &rows).unwrap();
        assert_eq!(read_scores(&path).unwrap(), rows);

        let text = fs::read_to_string(&path).unwrap();
        let last = text.lines().nth(2).unwrap();
        assert!(!last.contains("query") && !last.contains("chance"), "{last}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside the file");
    }

    #[test]
    fn an_impossible_figure_names_its_row_and_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scores.json");
        write_scores(&path, &[row()]).unwrap();
        for (bad, expected) in [
            (ScoreRow { value: f64::NAN, ..row() }, "`value`: expected a finite number, got NaN"),
            (ScoreRow { low: 20.0, ..row() }, "`low` 20 exceeds `high` 16.75"),
        ] {
            let message = write_scores(&path, &[row(), bad]).unwrap_err().to_string();
            assert!(message.contains("score 1 (retrieval R@1, hold-out voice:slt x style)"), "{message}");
            assert!(message.contains(expected), "{message}");
        }
        assert_eq!(read_scores(&path).unwrap(), vec![row()]);
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scores.json");
        fs::write(&path, "[\n{\"task\": \"asr\", \"hold_out\": \"style\"}\n]").unwrap();
        let message = read_scores(&path).unwrap_err().to_string();
        assert!(message.contains("hold_out") && message.contains("line 2"), "{message}");
    }
}
