//! What a file's bytes are known by: SHA-256, and git's SHA-1.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use sha1::Digest;

use super::FetchError;

const CHUNK_BYTES: usize = 1 << 16;

/// What the finished file must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FileHash {
    /// Hexadecimal, of the content.
    Sha256(String),
    /// Hexadecimal, of git's header and the content.
    GitBlob(String),
}

/// Size, SHA-256 and git's SHA-1 of a file.
pub(super) fn hashes(path: &Path) -> Result<(u64, String, String), FetchError> {
    let read = |e| FetchError::io("read", path, e);
    let mut file = File::open(path).map_err(read)?;
    let n_bytes = file.metadata().map_err(read)?.len();
    let mut sha256 = sha2::Sha256::new();
    let mut sha1 = sha1::Sha1::new();
    sha1.update(format!("blob {n_bytes}\0"));
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let n = file.read(&mut buffer).map_err(read)?;
        if n == 0 {
            break;
        }
        sha256.update(&buffer[..n]);
        sha1.update(&buffer[..n]);
    }
    Ok((n_bytes, hex(&sha256.finalize()), hex(&sha1.finalize())))
}

/// Whether a finished file is the one that was promised.
pub(super) fn is_intact(path: &Path, n_bytes: u64, hash: Option<&FileHash>) -> Option<String> {
    // the hub's cache holds links
    fs::metadata(path).ok().filter(|found| found.is_file() && found.len() == n_bytes)?;
    let (_, sha256, git_blob) = hashes(path).ok()?;
    let is_same = match hash {
        Some(FileHash::Sha256(expected)) => expected.eq_ignore_ascii_case(&sha256),
        Some(FileHash::GitBlob(expected)) => expected.eq_ignore_ascii_case(&git_blob),
        None => true,
    };
    is_same.then_some(sha256)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_git_and_sha256() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("hello");
        fs::write(&path, "hello\n").expect("the folder is writable");
        // echo hello | sha256sum; echo hello | git hash-object --stdin
        let sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        let git_blob = "ce013625030ba8dba906f756967f9e9ca394464a";
        assert_eq!(hashes(&path).expect("it is there"), (6, sha256.to_owned(), git_blob.to_owned()));
        assert!(is_intact(&path, 6, Some(&FileHash::GitBlob(git_blob.to_owned()))).is_some());
        assert!(is_intact(&path, 7, None).is_none());
    }
}
