//! A file that has not come whole.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use super::FetchError;

/// However often a connection is cut, it ends some time.
pub(super) const MOST_REQUESTS: u32 = 1000;

/// Of a part; a link that lies there is none.
pub(super) fn size_of(part: &Path) -> u64 {
    fs::symlink_metadata(part).ok().filter(fs::Metadata::is_file).map_or(0, |metadata| metadata.len())
}

/// Forgets what has come so far.
pub(super) fn discard(part: &Path) {
    fs::remove_file(part).ok();
    fs::remove_file(validator_path(part)).ok();
}

/// To be written to, behind the `have` bytes that are there.
pub(super) fn open_part(part: &Path, have: u64) -> Result<File, FetchError> {
    let mut options = OpenOptions::new();
    if have == 0 {
        // a link that lies there is not followed
        fs::remove_file(part).ok();
        options.write(true).create_new(true);
    } else {
        options.append(true);
    }
    options.open(part).map_err(|e| FetchError::io("create", part, e))
}

/// Where a part's validator lies, if it has one.
pub(super) fn validator_path(part: &Path) -> PathBuf {
    part.with_extension("validator")
}
