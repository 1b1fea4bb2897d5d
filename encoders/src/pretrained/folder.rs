//! A folder of published files, out of which no name leads.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use memmap2::Mmap;
use serde_json::Value;

use super::error::{CheckpointError, quoted};

/// The most that a JSON file of a checkpoint may take; the index of a model of 100,000 tensors takes 10 MB.
const MAX_JSON_BYTES: u64 = 64 << 20;

/// What stands in for a large file where only the repository's text was copied.
const LFS_POINTER: &[u8] = b"version https://git-lfs";

/// A folder that holds a model in the layout in which models are published.
#[derive(Clone, Debug)]
pub struct PublishedFolder {
    path: PathBuf,
    /// The folder without links, and where its links may lead to besides.
    roots: Vec<PathBuf>,
}

impl PublishedFolder {
    /// Looks at the folder. Links within it must stay within it. In a download cache, where a snapshot's files are
    /// links to `blobs` beside `snapshots`, they may lead there too.
    ///
    /// # Errors
    /// When it is absent or is no folder.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        let root = path.canonicalize().map_err(|e| CheckpointError::io("open", path, e))?;
        if !root.is_dir() {
            return Err(CheckpointError::content(path, "itself", "a folder", "a file"));
        }
        let mut roots = vec![root.clone()];
        if let Some(snapshots) = root.parent()
            && snapshots.file_name().is_some_and(|name| name == "snapshots")
            && let Some(repository) = snapshots.parent()
            && let Ok(blobs) = repository.join("blobs").canonicalize()
            && blobs.parent() == Some(repository)
        {
            roots.push(blobs);
        }
        Ok(Self { path: path.to_owned(), roots })
    }

    /// As it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of that name, if there is one.
    ///
    /// # Errors
    /// When the name or a link leads out of the folder, or what bears it is no file.
    pub fn find(&self, name: &str) -> Result<Option<PathBuf>, CheckpointError> {
        let outside = |got: String| CheckpointError::Outside {
            path: self.path.clone(),
            place: format!("file {}", quoted(name)),
            got,
        };
        let mut components = Path::new(name).components();
        let is_plain = matches!(components.next(), Some(Component::Normal(_)))
            && components.next().is_none()
            && !name.contains(['/', '\\', '\0']);
        if !is_plain {
            return Err(outside(quoted(name)));
        }
        let path = self.path.join(name);
        // a link that leads nowhere is there all the same
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CheckpointError::io("open", &path, error)),
            Ok(_) => {}
        }
        let target = path.canonicalize().map_err(|e| CheckpointError::io("open", &path, e))?;
        if !self.roots.iter().any(|root| target.parent() == Some(root)) {
            return Err(outside(format!("a link to {}", target.display())));
        }
        // opening a pipe would wait forever
        if !target.is_file() {
            return Err(CheckpointError::content(&path, "itself", "a file", "something else"));
        }
        Ok(Some(path))
    }

    /// The folder of that name within it, if there is one. Links in it may lead where those of this folder may.
    ///
    /// # Errors
    /// When the name or a link leads out of the folder, or what bears it is no folder.
    pub fn subfolder(&self, name: &str) -> Result<Option<Self>, CheckpointError> {
        let path = self.path.join(name);
        if fs::symlink_metadata(&path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            return Ok(None);
        }
        let mut folder = Self::open(&path)?;
        if folder.roots[0].parent() != Some(&self.roots[0]) || Path::new(name).components().count() != 1 {
            return Err(CheckpointError::Outside {
                path: self.path.clone(),
                place: format!("folder {}", quoted(name)),
                got: quoted(name),
            });
        }
        folder.roots.extend(self.roots.iter().cloned());
        Ok(Some(folder))
    }

    /// The file of that name.
    ///
    /// # Errors
    /// As [`find`](Self::find), and when there is none.
    pub fn file(&self, name: &str) -> Result<PathBuf, CheckpointError> {
        self.find(name)?.ok_or_else(|| {
            let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
            CheckpointError::io("open", &self.path.join(name), missing)
        })
    }

    /// The JSON file of that name, if there is one.
    ///
    /// # Errors
    /// As [`find`](Self::find), and when the file is too long or is not JSON.
    pub fn json(&self, name: &str) -> Result<Option<Value>, CheckpointError> {
        self.find(name)?.map(|path| read_json(&path)).transpose()
    }
}

/// A JSON file of at most [`MAX_JSON_BYTES`].
pub(crate) fn read_json(path: &Path) -> Result<Value, CheckpointError> {
    let file = File::open(path).map_err(|e| CheckpointError::io("open", path, e))?;
    let mut bytes = Vec::new();
    let n_bytes = file
        .take(MAX_JSON_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| CheckpointError::io("read", path, e))? as u64;
    if n_bytes > MAX_JSON_BYTES {
        let limit = format!("at most {MAX_JSON_BYTES} bytes");
        return Err(CheckpointError::content(path, "itself", limit, "more"));
    }
    refuse_pointer(path, &bytes)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        CheckpointError::content(path, format!("line {}", error.line()), "JSON", error.to_string())
    })
}

/// Maps a file of weights into memory; nothing of it is read yet.
///
/// # Errors
/// When the system refuses, the file is empty, or only stands in for the weights.
pub(crate) fn map(path: &Path) -> Result<Mmap, CheckpointError> {
    let file = File::open(path).map_err(|e| CheckpointError::io("open", path, e))?;
    let n_bytes = file.metadata().map_err(|e| CheckpointError::io("read", path, e))?.len();
    if n_bytes == 0 {
        return Err(CheckpointError::content(path, "itself", "weights", "an empty file"));
    }
    // SAFETY: the map is only read; that nobody cuts the file meanwhile is asked for in `Checkpoint`'s documentation.
    let map = unsafe { Mmap::map(&file) }.map_err(|e| CheckpointError::io("map", path, e))?;
    refuse_pointer(path, &map)?;
    Ok(map)
}

fn refuse_pointer(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    if bytes.starts_with(LFS_POINTER) {
        return Err(CheckpointError::content(
            path,
            "itself",
            "the file's content",
            "a git-lfs pointer to it",
        )
        .with_hint("`git lfs pull` in the repository it was cloned from fetches the content"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for name in names {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().expect("it has a folder")).expect("a folder");
            fs::write(&path, "{}").expect("a file");
        }
        dir
    }

    #[test]
    fn names_that_lead_out_of_the_folder_are_refused() {
        let dir = made(&["model/config.json", "secret.json", "model/sub/config.json"]);
        let folder = PublishedFolder::open(&dir.path().join("model")).expect("it is a folder");
        assert!(folder.find("config.json").expect("a plain name").is_some());
        assert!(folder.find("absent.json").expect("a plain name").is_none());
        for name in
            ["../secret.json", "/etc/passwd", "sub/config.json", ".", "..", "", "./config.json", "a\0b"]
        {
            let error = folder.find(name).expect_err(name);
            assert!(error.to_string().contains("expected the name of a file in that folder"), "{error}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn links_may_lead_to_the_folder_and_to_a_caches_blobs_and_nowhere_else() {
        use std::os::unix::fs::symlink;
        let dir =
            made(&["m/snapshots/rev/config.json", "m/blobs/1234", "m/refs/main", "snapshots/x/a", "blobs/b"]);
        let at = |name: &str| dir.path().join(name);
        symlink("../../blobs/1234", at("m/snapshots/rev/model.safetensors")).expect("a link");
        symlink("config.json", at("m/snapshots/rev/same.json")).expect("a link");
        symlink("../../refs/main", at("m/snapshots/rev/ref")).expect("a link");
        symlink("../../../blobs/b", at("m/snapshots/rev/other")).expect("a link");
        symlink("nowhere", at("m/snapshots/rev/dangling")).expect("a link");
        let folder = PublishedFolder::open(&at("m/snapshots/rev")).expect("it is a folder");
        assert!(folder.find("model.safetensors").expect("a blob").is_some());
        assert!(folder.find("same.json").expect("a neighbour").is_some());
        for name in ["ref", "other", "dangling"] {
            folder.find(name).expect_err(name);
        }
    }

    #[test]
    fn a_pointer_in_place_of_the_content_is_told() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("model.safetensors");
        fs::write(&path, "version https://git-lfs.github.com/spec/v1\noid sha256:0\n").expect("a file");
        let error = map(&path).expect_err("it is a pointer");
        assert!(error.to_string().ends_with("got a git-lfs pointer to it"), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("git lfs pull")));
    }

    #[test]
    fn json_that_is_cut_off_is_told_with_its_line() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::write(dir.path().join("config.json"), "{\n\"a\": ").expect("a file");
        let folder = PublishedFolder::open(dir.path()).expect("it is a folder");
        let error = folder.json("config.json").expect_err("it is cut off");
        assert!(error.to_string().contains("config.json, line 2: expected JSON"), "{error}");
    }
}
