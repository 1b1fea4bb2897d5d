//! A run's folder: one process at a time writes it, and a crash at any instant leaves it readable.
//!
//! ```text
//! config.toml     the resolved config: `triptych train RUN/config.toml` starts the same run
//! metrics.jsonl   one JSON object a line, by step
//! checkpoints/    step-000500.safetensors, the newest few
//! scores.json     what evaluation found
//! probes.json     what linear probes of the encoders found
//! report.html     for people
//! .lock           held while a process writes; the system frees it when the process ends, however it ends
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use miette::Diagnostic;

use super::checkpoint;
use super::metrics::MetricsLog;
use super::write::{WriteError, make_folder, remove_unfinished, write_atomically};
use crate::configuration::describe_differences;

/// Why a run's folder cannot be used.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum RunError {
    /// Something in it cannot be written.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Write(#[from] WriteError),
    /// Something in it cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no run in the folder.
    #[error("{} is not a run: it has no config.toml", path.display())]
    #[diagnostic(help("`triptych train CONFIG --out {}` starts one there", path.display()))]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// Another process writes it.
    #[error("{} is in use by another process{}", path.display(), pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    #[diagnostic(help("wait for it, stop it, or name another folder with `--out`"))]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The other process, where it could be found out.
        pid: Option<u32>,
    },
    /// The run there was started with other settings.
    #[error("{} holds a run with other settings: {differences}", path.display())]
    #[diagnostic(help("name another folder with `--out`, or go on with the old settings: `triptych train {path}/config.toml --out {path}`", path = path.display()))]
    OtherConfig {
        /// The folder.
        path: PathBuf,
        /// `key: old -> new`, joined by commas.
        differences: String,
    },
}

/// A run's folder, locked for this process.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Unlocked when it is closed, by us or by the system.
    _lock: File,
}

impl RunFolder {
    /// Makes the folder where there is none, locks it, and clears away what a killed process had half written.
    ///
    /// # Errors
    /// [`RunError::InUse`] where another process has it, [`RunError::Write`] where it cannot be written.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, RunError> {
        let path = path.into();
        make_folder(&path)?;
        let lock = lock(&path)?;
        let folder = RunFolder { path, _lock: lock };
        make_folder(&folder.checkpoints())?;
        remove_unfinished(&folder.path)?;
        remove_unfinished(&folder.checkpoints())?;
        Ok(folder)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of the checkpoints, which exists.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join(checkpoint::FOLDER)
    }

    /// Writes the resolved config into a new run, or checks that the run there was started with the same one.
    ///
    /// # Errors
    /// [`RunError::OtherConfig`], with the keys that differ.
    pub fn settle_config(&self, toml: &str) -> Result<(), RunError> {
        let path = self.path.join("config.toml");
        let saved = match fs::read_to_string(&path) {
            Ok(saved) => saved,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.write("config.toml", toml.as_bytes());
            }
            Err(source) => return Err(RunError::Read { path, source }),
        };
        if saved == toml {
            return Ok(());
        }
        match describe_differences(&saved, toml) {
            Ok(differences) if differences.is_empty() => Ok(()),
            Ok(differences) => {
                Err(RunError::OtherConfig { path: self.path.clone(), differences: differences.join(", ") })
            }
            Err(error) => Err(RunError::Read {
                path,
                source: io::Error::new(io::ErrorKind::InvalidData, error.message()),
            }),
        }
    }

    /// Opens `metrics.jsonl` to go on after `step`; what it held beyond that is dropped.
    ///
    /// # Errors
    /// Where it cannot be read or written.
    pub fn metrics(&self, step: u64) -> Result<MetricsLog, RunError> {
        Ok(MetricsLog::resume(&self.path.join("metrics.jsonl"), step)?)
    }

    /// Writes a file of the run, whole or not at all.
    ///
    /// # Errors
    /// Where the system refuses; the old file then still stands.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), RunError> {
        Ok(write_atomically(&self.path.join(name), |writer| writer.write_all(content))?)
    }
}

/// The resolved config of the run in `path`, without locking it.
///
/// # Errors
/// [`RunError::NotARun`] where there is none.
pub fn saved_config(path: &Path) -> Result<String, RunError> {
    let file = path.join("config.toml");
    fs::read_to_string(&file).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => RunError::NotARun { path: path.to_owned() },
        _ => RunError::Read { path: file, source },
    })
}

/// Takes the folder's lock. It belongs to the open file, so that it ends with the process, killed or not.
fn lock(folder: &Path) -> Result<File, RunError> {
    let path = folder.join(".lock");
    let failed = |source| WriteError::new(&path, source);
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // only for the message, which does without it
            let pid = file.read_to_string(&mut pid).ok().and_then(|_| pid.trim().parse().ok());
            return Err(RunError::InUse { path: folder.to_owned(), pid });
        }
        // some network file systems have no locks; a run there is the user's own to guard
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
        Err(TryLockError::Error(error)) => return Err(failed(error).into()),
    }
    let write_pid = |file: &mut File| -> io::Result<()> {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write_pid(&mut file).map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_is_turned_away_until_the_first_ends() {
        let folder = tempfile::tempdir().unwrap();
        let first = RunFolder::open(folder.path()).unwrap();
        // a lock belongs to an open file, so that a second open of this process stands for another process
        let error = RunFolder::open(folder.path()).unwrap_err();
        let expected =
            format!("{} is in use by another process (pid {})", folder.path().display(), std::process::id());
        assert_eq!(error.to_string(), expected);
        drop(first);
        RunFolder::open(folder.path()).unwrap();
    }

    #[test]
    fn a_lock_file_of_a_dead_process_does_not_stand_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".lock"), "999999999 and more\n").unwrap();
        let run = RunFolder::open(folder.path()).unwrap();
        assert_eq!(
            fs::read_to_string(run.path().join(".lock")).unwrap(),
            format!("{}\n", std::process::id())
        );
    }

    #[test]
    fn half_written_files_are_cleared_away() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("checkpoints")).unwrap();
        let leftover = folder.path().join("checkpoints/.unfinished-abc");
        fs::write(&leftover, "torn").unwrap();
        RunFolder::open(folder.path()).unwrap();
        assert!(!leftover.exists());
    }

    #[test]
    fn a_run_goes_on_with_its_own_config_alone() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::open(folder.path()).unwrap();
        run.settle_config("[train]\nsteps = 10\n").unwrap();
        run.settle_config("[train]\nsteps = 10\n").unwrap();
        let error = run.settle_config("[train]\nsteps = 20\nlr = 0.1\n").unwrap_err();
        let message = error.to_string();
        assert!(
            message.ends_with("other settings: train.steps: 10 -> 20, train.lr: nothing -> 0.1"),
            "{message}"
        );
        assert_eq!(saved_config(folder.path()).unwrap(), "[train]\nsteps = 10\n");
    }

    #[test]
    fn a_folder_without_a_run_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = saved_config(folder.path()).unwrap_err();
        assert!(error.to_string().ends_with("is not a run: it has no config.toml"), "{error}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_folder_that_cannot_be_made_is_told_by_its_path() {
        let error = RunFolder::open("/proc/triptych").unwrap_err();
        assert!(error.to_string().starts_with("cannot write /proc/triptych: "), "{error}");
    }
}
