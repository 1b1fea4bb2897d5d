//! `metrics.jsonl`: one JSON object a line, each with its `step`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::write::{WriteError, write_atomically};

/// The log of a run, appended to while it trains.
#[derive(Debug)]
pub struct MetricsLog {
    path: PathBuf,
    file: File,
}

impl MetricsLog {
    /// Opens the log to go on from `step`: what an earlier process wrote beyond it is dropped, as is a last line
    /// that a crash tore. Step 0 starts an empty log.
    pub(super) fn resume(path: &Path, step: u64) -> Result<Self, WriteError> {
        let failed = |source| WriteError::new(path, source);
        let kept: String = match fs::read(path) {
            Ok(content) => complete_lines(&content)
                .filter(|(_, record)| record["step"].as_u64().is_some_and(|at| at <= step && step > 0))
                .flat_map(|(line, _)| [line, "\n"])
                .collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed(error)),
        };
        write_atomically(path, |writer| writer.write_all(kept.as_bytes()))?;
        let file = OpenOptions::new().append(true).open(path).map_err(failed)?;
        Ok(MetricsLog { path: path.to_owned(), file })
    }

    /// Appends `record`, which must serialise as an object with a `step`.
    ///
    /// # Errors
    /// Whatever the system refuses: the disk is full, the folder became read-only.
    pub fn append(&mut self, record: &impl Serialize) -> Result<(), WriteError> {
        let write = || -> io::Result<()> {
            let mut line = serde_json::to_vec(record)?;
            line.push(b'\n');
            // one call, so that a kill tears at most this line
            (&self.file).write_all(&line)
        };
        write().map_err(|source| WriteError::new(&self.path, source))
    }
}

/// The records of a log, without a torn last line.
///
/// # Errors
/// Where the file cannot be read.
pub fn read_metrics(path: &Path) -> io::Result<Vec<Value>> {
    let content = fs::read(path)?;
    Ok(complete_lines(&content).map(|(_, record)| record).collect())
}

/// Lines that end and hold JSON. A crash can only have torn the last; reading stops at the first that is not whole.
fn complete_lines(content: &[u8]) -> impl Iterator<Item = (&str, Value)> {
    content.split_inclusive(|byte| *byte == b'\n').map_while(|line| {
        let line = str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
        Some((line, serde_json::from_str(line).ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn steps(path: &Path) -> Vec<u64> {
        read_metrics(path).unwrap().iter().map(|record| record["step"].as_u64().unwrap()).collect()
    }

    #[test]
    fn resuming_drops_later_steps_and_a_torn_last_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut log = MetricsLog::resume(&path, 0).unwrap();
        for step in 1..=5 {
            log.append(&json!({"step": step, "loss": 0.5})).unwrap();
        }
        (&log.file).write_all(br#"{"step": 6, "lo"#).unwrap();
        assert_eq!(steps(&path), [1, 2, 3, 4, 5]);

        let mut log = MetricsLog::resume(&path, 3).unwrap();
        log.append(&json!({"step": 4, "loss": 0.25})).unwrap();
        assert_eq!(steps(&path), [1, 2, 3, 4]);
        assert_eq!(read_metrics(&path).unwrap()[3]["loss"], 0.25);
    }

    #[test]
    fn a_run_from_the_start_begins_an_empty_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        MetricsLog::resume(&path, 0).unwrap().append(&json!({"step": 0})).unwrap();
        MetricsLog::resume(&path, 0).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_names_the_file_and_says_what_to_do() {
        let file = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let mut log = MetricsLog { path: "runs/a/metrics.jsonl".into(), file };
        let error = log.append(&json!({"step": 1})).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::StorageFull);
        assert_eq!(
            error.to_string(),
            "cannot write runs/a/metrics.jsonl: No space left on device (os error 28)"
        );
    }
}
