//! Files that appear whole or not at all.

use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

/// Replaces a file at once: a temporary file beside it is written, forced to disk and renamed.
///
/// # Errors
/// Whatever the system says; the old file, if there was one, then still stands.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = temporary_beside(path)?;
    file.write_all(bytes)?;
    publish(file, path)
}

/// A temporary file in the folder of `path`, removed when dropped.
pub(crate) fn temporary_beside(path: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".part-").tempfile_in(parent(path))
}

/// Forces a temporary file to disk and gives it its name.
pub(crate) fn publish(file: NamedTempFile, path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        // a temporary file is private at first; what it becomes is as public as any other file
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    // the rename itself must survive a crash too; not every system can open a folder
    if let Ok(dir) = std::fs::File::open(parent(path)) {
        dir.sync_all().ok();
    }
    Ok(())
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}
