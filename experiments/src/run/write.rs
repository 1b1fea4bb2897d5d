//! Files that are there as a whole or not at all, and errors that say what to do.

use std::fs::{self, File};
use std::io::{self, BufWriter, IntoInnerError, Write};
use std::path::{Path, PathBuf};

use miette::Diagnostic;

use super::checkpoint;

/// Names of files that are still being written begin with this; left behind by a crash, they mean nothing.
pub(super) const UNFINISHED: &str = ".unfinished-";

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}", path.display())]
pub struct WriteError {
    /// The file, or the folder that should hold it.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
    /// The step from which the run goes on, where the file belongs to a run with a checkpoint.
    pub resume_step: Option<u64>,
}

impl WriteError {
    /// Looks up the newest checkpoint around `path`, so that the message can tell what is not lost.
    pub(crate) fn new(path: &Path, source: io::Error) -> Self {
        let resume_step = path.ancestors().take(3).find_map(checkpoint::newest_step_in_run);
        WriteError { path: path.to_owned(), source, resume_step }
    }
}

impl Diagnostic for WriteError {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        let again = match self.resume_step {
            Some(step) => format!("run the same command again: it goes on from step {step}"),
            None => "run the same command again".to_owned(),
        };
        let hint = match self.source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                format!("free some space and {again}")
            }
            io::ErrorKind::FileTooLarge => {
                format!("raise the limit on the size of files (`ulimit -f`) and {again}")
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                "the folder is read-only for this user: make it writable, or name another one with `--out`"
                    .to_owned()
            }
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                "a file stands where a folder should be: name another one with `--out`".to_owned()
            }
            _ => return None,
        };
        Some(Box::new(hint))
    }
}

/// Writes `path` so that a crash at any instant leaves either the old content or the new: into a file beside it,
/// to the disk, then renamed.
///
/// # Errors
/// Whatever the system refuses, or `write` itself; the old content then still stands.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), WriteError> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unfinished = folder.join(format!("{UNFINISHED}{}-{name}", std::process::id()));
    let write_and_rename = || -> io::Result<()> {
        let mut writer = BufWriter::with_capacity(1 << 16, File::create(&unfinished)?);
        write(&mut writer)?;
        let file = writer.into_inner().map_err(IntoInnerError::into_error)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&unfinished, path)?;
        sync_folder(folder)
    };
    write_and_rename().map_err(|source| {
        // where even this is refused, the next process to open the run tries again
        let _ = fs::remove_file(&unfinished);
        WriteError::new(path, source)
    })
}

/// Makes a rename in `folder` last through a power cut.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Makes a folder and those around it.
pub(super) fn make_folder(path: &Path) -> Result<(), WriteError> {
    fs::create_dir_all(path).map_err(|source| WriteError::new(path, source))
}

/// Removes what an earlier process had begun to write when it was killed. The run's lock must be held.
pub(super) fn remove_unfinished(folder: &Path) -> Result<(), WriteError> {
    let failed = |source| WriteError::new(folder, source);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            fs::remove_file(entry.path()).map_err(failed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help(error: &WriteError) -> String {
        error.help().map(|help| help.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_failed_write_leaves_the_old_content_and_nothing_else() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("scores.json");
        fs::write(&path, "old")?;
        let error = write_atomically(&path, |writer| {
            writer.write_all(b"new")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        })
        .unwrap_err();
        assert_eq!(fs::read_to_string(&path)?, "old");
        assert_eq!(fs::read_dir(folder.path())?.count(), 1);
        assert_eq!(help(&error), "free some space and run the same command again");
        Ok(())
    }

    #[test]
    fn a_full_disk_is_told_with_the_step_to_go_on_from() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join("checkpoints"))?;
        fs::write(folder.path().join("checkpoints/step-000400.safetensors"), "")?;
        let error = WriteError::new(&folder.path().join("metrics.jsonl"), io::Error::from_raw_os_error(28));
        assert!(
            error.to_string().ends_with("metrics.jsonl: No space left on device (os error 28)"),
            "{error}"
        );
        assert_eq!(help(&error), "free some space and run the same command again: it goes on from step 400");
        Ok(())
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_folder_that_takes_no_files_is_told_by_its_path() {
        // not even root may create files here
        let error = write_atomically(Path::new("/proc/self/net/config.toml"), |_| Ok(())).unwrap_err();
        assert!(error.to_string().starts_with("cannot write /proc/self/net/config.toml: "), "{error}");
    }
}
