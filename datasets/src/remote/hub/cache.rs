//! The folder in which programs that use the hub keep what they fetched, and find what others did.
//!
//! ```text
//! datasets--OWNER--NAME/blobs/HASH                 the bytes, once; HASH is SHA-256 of a large file, git's of a small one
//! datasets--OWNER--NAME/snapshots/COMMIT/PATH      a link to them
//! datasets--OWNER--NAME/refs/REVISION              which commit a branch or tag was
//! ```
//!
//! # Reference
//! "Understand caching" of the `huggingface_hub` documentation.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::client::is_commit;
use super::path::make_parents;
use super::{HubFile, HubRequest};
use crate::remote::hash::{Digests, FileHash, pointer_blob};
use crate::remote::{FetchError, HubAccess};
use crate::shard::write_atomic;

const SHA256_DIGITS: usize = 64;

/// One repository's part of the cache.
pub(super) struct RepoCache {
    folder: PathBuf,
    lock: PathBuf,
}

impl RepoCache {
    pub(super) fn new(access: &HubAccess, request: &HubRequest) -> Self {
        let name = format!("{}--{}", request.kind.plural(), request.repo.replace('/', "--"));
        let lock = access.cache.join(".locks").join(&name).join("triptych.lock");
        Self { folder: access.cache.join(name), lock }
    }

    /// The files of a commit.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// Makes the folders that are written to.
    pub(super) fn make(&self, commit: &str) -> Result<(), FetchError> {
        for folder in [self.folder.join("blobs"), self.snapshot(commit)] {
            fs::create_dir_all(&folder).map_err(|e| FetchError::io("create", &folder, e))?;
        }
        Ok(())
    }

    /// Waits until no other run writes here, and keeps others out until it is dropped.
    pub(super) fn lock(&self) -> Result<File, FetchError> {
        let create = |e| FetchError::io("lock", &self.lock, e);
        fs::create_dir_all(self.lock.parent().unwrap_or(&self.lock)).map_err(create)?;
        let file = File::create(&self.lock).map_err(create)?;
        file.lock().map_err(create)?;
        Ok(file)
    }

    /// Every file of a snapshot that lies here, with the hash that its blob is named after.
    pub(super) fn files(&self, commit: &str) -> std::io::Result<Vec<HubFile>> {
        let mut files = Vec::new();
        walk(&self.snapshot(commit), Path::new(""), &mut files)?;
        Ok(files)
    }

    /// Where the bytes of a file lie, if they are those that were promised.
    pub(super) fn find(&self, file: &HubFile, commit: &str) -> Option<(PathBuf, Digests)> {
        let linked = self.snapshot(commit).join(&file.path);
        let intact = |path: PathBuf| file.intact(&path).map(|digests| (path, digests));
        intact(linked).or_else(|| intact(self.blob_of(file)?))
    }

    /// A blob that another commit may have brought.
    fn blob_of(&self, file: &HubFile) -> Option<PathBuf> {
        let blobs = self.folder.join("blobs");
        match file.hash.as_ref()? {
            FileHash::Sha256(hash) | FileHash::GitBlob(hash) => Some(blobs.join(hash.to_lowercase())),
            // the pointer's name follows from the blob's, without reading it
            FileHash::Pointer(pointer) => {
                fs::read_dir(blobs).ok()?.flatten().map(|item| item.path()).find(|path| {
                    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
                    name.len() == SHA256_DIGITS && pointer_blob(&name, file.n_bytes) == *pointer
                })
            }
        }
    }

    /// Where a file is gathered.
    pub(super) fn part(&self, key: &str) -> PathBuf {
        self.folder.join("blobs").join(key).with_extension("incomplete")
    }

    /// Takes a finished file in.
    pub(super) fn insert(
        &self,
        part: &Path,
        file: &HubFile,
        digests: &Digests,
    ) -> Result<PathBuf, FetchError> {
        let name =
            if matches!(file.hash, Some(FileHash::GitBlob(_))) { &digests.git_blob } else { &digests.sha256 };
        let blob = self.folder.join("blobs").join(name);
        fs::rename(part, &blob).map_err(|e| FetchError::io("rename", &blob, e))?;
        Ok(blob)
    }

    /// Makes a blob a file of a commit.
    pub(super) fn link(&self, blob: &Path, commit: &str, path: &str) -> Result<(), FetchError> {
        let snapshot = self.snapshot(commit);
        make_parents(&snapshot, path)?;
        let link = snapshot.join(path);
        if fs::symlink_metadata(&link).is_ok() {
            fs::remove_file(&link).map_err(|e| FetchError::io("replace", &link, e))?;
        }
        let make = |e| FetchError::io("create", &link, e);
        #[cfg(unix)]
        {
            let up = "../".repeat(path.matches('/').count() + 2);
            let name = blob.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
            std::os::unix::fs::symlink(format!("{up}blobs/{name}"), &link).map_err(make)
        }
        #[cfg(not(unix))]
        {
            fs::copy(blob, &link).map(|_| ()).map_err(make)
        }
    }

    /// Remembers which commit a branch or tag is.
    pub(super) fn set_revision(&self, revision: &str, commit: &str) -> Result<(), FetchError> {
        if is_commit(revision) {
            return Ok(());
        }
        let refs = self.folder.join("refs");
        fs::create_dir_all(&refs).map_err(|e| FetchError::io("create", &refs, e))?;
        make_parents(&refs, revision)?;
        let path = refs.join(revision);
        write_atomic(&path, commit.as_bytes()).map_err(|e| FetchError::io("write", &path, e))
    }
}

/// Every file of a snapshot. They are links to files named after their hashes.
fn walk(root: &Path, below: &Path, files: &mut Vec<HubFile>) -> std::io::Result<()> {
    let mut items: Vec<fs::DirEntry> = fs::read_dir(root.join(below))?.collect::<Result<_, _>>()?;
    items.sort_by_key(fs::DirEntry::file_name);
    for item in items {
        let path = below.join(item.file_name());
        if item.file_type()?.is_dir() {
            walk(root, &path, files)?;
            continue;
        }
        let n_bytes = fs::metadata(item.path())?.len();
        let name = fs::read_link(item.path())
            .ok()
            .and_then(|target| target.file_name().map(|name| name.to_string_lossy().into_owned()));
        let hash = name.and_then(|name| match name.len() {
            SHA256_DIGITS => Some(FileHash::Sha256(name)),
            _ => is_commit(&name).then_some(FileHash::GitBlob(name)),
        });
        let path = path.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
        files.push(HubFile { path, n_bytes, hash });
    }
    Ok(())
}
