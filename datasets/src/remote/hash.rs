//! What a file's bytes are known by: SHA-256, and what git calls them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::Digest;

use super::FetchError;

const CHUNK_BYTES: usize = 1 << 16;

/// Size and hashes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digests {
    pub n_bytes: u64,
    /// Hexadecimal, of the content.
    pub sha256: String,
    /// Hexadecimal, SHA-1 of git's header and the content.
    #[cfg(feature = "hub")]
    pub git_blob: String,
}

impl Digests {
    /// Reads the whole file.
    pub(super) fn of(path: &Path) -> Result<Self, FetchError> {
        let read = |e| FetchError::io("read", path, e);
        let mut file = File::open(path).map_err(read)?;
        let n_bytes = file.metadata().map_err(read)?.len();
        let mut sha256 = sha2::Sha256::new();
        #[cfg(feature = "hub")]
        let mut git_blob = git_header(n_bytes);
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let n = file.read(&mut buffer).map_err(read)?;
            if n == 0 {
                break;
            }
            sha256.update(&buffer[..n]);
            #[cfg(feature = "hub")]
            git_blob.update(&buffer[..n]);
        }
        Ok(Self {
            n_bytes,
            sha256: hex(&sha256.finalize()),
            #[cfg(feature = "hub")]
            git_blob: hex(&git_blob.finalize()),
        })
    }
}

/// What a finished file of the hub must be.
#[cfg(feature = "hub")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FileHash {
    /// Hexadecimal, of the content.
    Sha256(String),
    /// Hexadecimal, SHA-1 of git's header and the content.
    GitBlob(String),
    /// The same of the pointer that stands in git for a large file, and holds its SHA-256 and size.
    Pointer(String),
}

#[cfg(feature = "hub")]
impl FileHash {
    pub(super) fn matches(&self, digests: &Digests) -> bool {
        match self {
            Self::Sha256(expected) => expected.eq_ignore_ascii_case(&digests.sha256),
            Self::GitBlob(expected) => expected.eq_ignore_ascii_case(&digests.git_blob),
            Self::Pointer(expected) => {
                expected.eq_ignore_ascii_case(&pointer_blob(&digests.sha256, digests.n_bytes))
            }
        }
    }

    /// What was promised, in words.
    pub(super) fn expected(&self) -> String {
        match self {
            Self::Sha256(hash) => format!("sha256 {hash}"),
            Self::GitBlob(hash) => format!("git blob {hash}"),
            Self::Pointer(hash) => format!("git blob {hash} of its pointer"),
        }
    }

    /// What has come instead, in the same words.
    pub(super) fn got(&self, digests: &Digests) -> String {
        match self {
            Self::Sha256(_) => format!("sha256 {}", digests.sha256),
            Self::GitBlob(_) => format!("git blob {}", digests.git_blob),
            Self::Pointer(_) => {
                let pointer = pointer_blob(&digests.sha256, digests.n_bytes);
                format!("git blob {pointer} (sha256 {})", digests.sha256)
            }
        }
    }
}

/// What git calls the pointer to a large file.
///
/// # Reference
/// "Git LFS Specification", The Pointer.
#[cfg(feature = "hub")]
pub(super) fn pointer_blob(sha256: &str, n_bytes: u64) -> String {
    let pointer =
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {n_bytes}\n");
    let mut sha1 = git_header(pointer.len() as u64);
    sha1.update(pointer);
    hex(&sha1.finalize())
}

#[cfg(feature = "hub")]
fn git_header(n_bytes: u64) -> sha1::Sha1 {
    let mut sha1 = sha1::Sha1::new();
    sha1.update(format!("blob {n_bytes}\0"));
    sha1
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(all(test, feature = "hub"))]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_git_and_sha256() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("hello");
        std::fs::write(&path, "hello\n").expect("the folder is writable");
        // echo hello | sha256sum; echo hello | git hash-object --stdin
        let sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03".to_owned();
        let git_blob = "ce013625030ba8dba906f756967f9e9ca394464a".to_owned();
        let digests = Digests::of(&path).expect("it is there");
        assert_eq!(digests, Digests { n_bytes: 6, sha256, git_blob: git_blob.clone() });
        assert!(FileHash::GitBlob(git_blob.clone()).matches(&digests));
        assert!(!FileHash::Pointer(git_blob).matches(&digests));
    }

    #[test]
    fn pointers_are_those_of_git_lfs() {
        // the example of the specification, through `git hash-object --stdin`
        let sha256 = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";
        assert_eq!(pointer_blob(sha256, 12345), "60c8d8ab2adcf57a391163a7eeb0cdb8bf348e44");
    }
}
