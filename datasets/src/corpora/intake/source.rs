//! The folder or file that is imported. Nothing outside of it is opened, whatever its manifests and links say.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use super::ledger::{Failure, Place};
use crate::corpora::ImportError;

/// Folders within folders beyond this are a mistake or an attack.
const MAX_DEPTH: usize = 64;

/// What the user named.
#[derive(Clone, Debug)]
pub struct Source {
    /// The folder, with every link resolved.
    root: PathBuf,
    /// The file in it, where the user named one.
    file: Option<String>,
    /// What the user wrote.
    given: PathBuf,
}

impl Source {
    /// A folder, or a file together with the folder that it lies in.
    ///
    /// # Errors
    /// A path that does not exist, or is neither.
    pub fn open(path: &Path) -> Result<Self, ImportError> {
        let unusable = |problem: String| ImportError::Source {
            source_name: path.display().to_string(),
            place: "source".to_owned(),
            problem,
        };
        let whole = path.canonicalize().map_err(|e| unusable(e.to_string()))?;
        let given = path.to_owned();
        if whole.is_dir() {
            return Ok(Self { root: whole, file: None, given });
        }
        let name = whole.file_name().and_then(|name| name.to_str());
        match (whole.parent(), name, whole.is_file()) {
            (Some(root), Some(name), true) => {
                Ok(Self { root: root.to_owned(), file: Some(name.to_owned()), given })
            }
            _ => Err(unusable("expected a folder or a file whose name is UTF-8".to_owned())),
        }
    }

    /// The folder, with every link resolved.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file that the user named, if it was a file, relative to the folder.
    pub fn named_file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// An error about the whole source.
    pub(crate) fn unfit(&self, problem: impl Into<String>) -> ImportError {
        ImportError::Source {
            source_name: self.given.display().to_string(),
            place: "source".to_owned(),
            problem: problem.into(),
        }
    }

    /// The first of these relative paths that is a file of the source.
    pub(crate) fn first_file(&self, names: &[&str]) -> Option<String> {
        names
            .iter()
            .find(|name| self.path(name).is_ok_and(|path| path.is_file()))
            .map(|name| (*name).to_owned())
    }

    /// The first of these relative paths where anything is, or that may not be looked at: reading it tells why, where
    /// [`Source::first_file`] would pass over it in silence.
    pub(crate) fn first_claimed(&self, names: &[&str]) -> Option<String> {
        names.iter().find(|name| !matches!(self.locate(name), Ok(None))).map(|name| (*name).to_owned())
    }

    /// Whether a relative path is a folder of the source.
    pub(crate) fn has_folder(&self, name: &str) -> bool {
        self.path(name).is_ok_and(|path| path.is_dir())
    }

    /// The names of the folders in a folder of the source, in their order; hidden ones and links are left out.
    ///
    /// # Errors
    /// In words: a folder that cannot be listed.
    pub(crate) fn folders(&self, relative: &str) -> Result<Vec<String>, String> {
        let cannot = |e: io::Error| format!("cannot list the folder {relative:?}: {e}");
        let mut names = Vec::new();
        for item in fs::read_dir(self.path(relative)?).map_err(cannot)? {
            let item = item.map_err(cannot)?;
            let name = item.file_name().to_string_lossy().into_owned();
            if item.file_type().map_err(cannot)?.is_dir() && !name.starts_with('.') {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The true path of a file of the source.
    ///
    /// # Errors
    /// In words: a path that is absolute, has `..` in it, does not exist, or leads out through a link.
    pub(crate) fn path(&self, relative: &str) -> Result<PathBuf, String> {
        self.locate(relative)?.ok_or_else(|| format!("expected the file {relative:?}, there is none"))
    }

    /// As [`Source::path`]; none where nothing is.
    fn locate(&self, relative: &str) -> Result<Option<PathBuf>, String> {
        let inside = Path::new(relative);
        if relative.is_empty() || relative.contains('\0') {
            return Err("expected the path of a file, got an empty one".to_owned());
        }
        let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if !inside.components().all(is_plain) {
            return Err(format!("expected a path inside the source, without `..`, got {relative:?}"));
        }
        let path = match self.root.join(inside).canonicalize() {
            Ok(path) => path,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let is_link = self.root.join(inside).is_symlink();
                let told = format!("expected a file, {relative:?} is a link to something that is not there");
                return if is_link { Err(told) } else { Ok(None) };
            }
            Err(e) => return Err(format!("cannot open {relative:?}: {e}")),
        };
        if !path.starts_with(&self.root) {
            return Err(format!(
                "expected a file inside the source, {relative:?} is a link that leads out of it"
            ));
        }
        Ok(Some(path))
    }

    /// Opens a file of the source. What is no plain file (a pipe, a device) is never opened.
    ///
    /// # Errors
    /// As [`Source::path`], in words.
    pub(crate) fn open_file(&self, relative: &str) -> Result<File, String> {
        let path = self.path(relative)?;
        if !path.is_file() {
            return Err(format!("expected a plain file, {relative:?} is none"));
        }
        File::open(path).map_err(|e| format!("cannot open {relative:?}: {e}"))
    }

    /// The bytes of a file of the source; 0 where there is none.
    pub(crate) fn size(&self, relative: &str) -> u64 {
        self.path(relative).ok().and_then(|path| path.metadata().ok()).map_or(0, |metadata| metadata.len())
    }

    /// A whole file of the source.
    ///
    /// # Errors
    /// As [`Source::path`], in words; a file that is longer than `max_bytes`.
    pub(crate) fn read(&self, relative: &str, max_bytes: u64) -> Result<Vec<u8>, String> {
        let file = self.open_file(relative)?;
        let mut bytes = Vec::new();
        // a file may grow, and some report no size
        file.take(max_bytes.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|e| format!("cannot read {relative:?}: {e}"))?;
        if bytes.len() as u64 > max_bytes {
            return Err(format!("expected at most {max_bytes} bytes, {relative:?} is longer"));
        }
        Ok(bytes)
    }

    /// Every file below a folder of the source (`""` is all of it), by its path relative to the source, in the order of
    /// the names. Hidden files are left out. Links to files count where they stay inside; links to folders are not followed.
    pub(crate) fn walk(&self, below: &str) -> Walk<'_> {
        Walk { source: self, levels: vec![vec![below.trim_end_matches('/').to_owned()]] }
    }
}

/// See [`Source::walk`].
pub(crate) struct Walk<'a> {
    source: &'a Source,
    /// Paths that are yet to come, the next one last, a list for every folder that is open.
    levels: Vec<Vec<String>>,
}

impl Walk<'_> {
    /// The names in a folder, the first last.
    fn list(&self, folder: &str) -> Result<Vec<String>, String> {
        let path = if folder.is_empty() { self.source.root.clone() } else { self.source.path(folder)? };
        let cannot = |e: io::Error| format!("cannot list the folder: {e}");
        let mut names = Vec::new();
        for item in fs::read_dir(path).map_err(cannot)? {
            let name = item.map_err(cannot)?.file_name();
            // a name that is not UTF-8 is told when it is visited
            let name = name.to_string_lossy().into_owned();
            if !name.starts_with('.') {
                names.push(if folder.is_empty() { name } else { format!("{folder}/{name}") });
            }
        }
        names.sort_unstable_by(|a, b| b.cmp(a));
        Ok(names)
    }

    fn visit(&mut self, path: &str) -> Result<Option<String>, String> {
        if path.is_empty() {
            let names = self.list(path)?;
            self.levels.push(names);
            return Ok(None);
        }
        if path.contains('\u{fffd}') && !self.source.root.join(path).exists() {
            return Err("expected a file name in UTF-8".to_owned());
        }
        let whole = self.source.root.join(path);
        let kind = fs::symlink_metadata(&whole).map_err(|e| format!("cannot open: {e}"))?.file_type();
        if kind.is_dir() {
            if self.levels.len() > MAX_DEPTH {
                return Err(format!("expected at most {MAX_DEPTH} folders within each other"));
            }
            let names = self.list(path)?;
            self.levels.push(names);
            return Ok(None);
        }
        if kind.is_symlink() {
            let target = self.source.path(path)?;
            if target.is_dir() {
                return Err(
                    "expected a file or a folder, got a link to a folder, which is not followed".to_owned()
                );
            }
        }
        Ok(Some(path.to_owned()))
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<String, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(path) = self.levels.last_mut()?.pop() else {
                self.levels.pop();
                continue;
            };
            match self.visit(&path) {
                Ok(Some(file)) => return Some(Ok(file)),
                Ok(None) => {}
                Err(reason) => return Some(Err(Failure::at(Place::file(path), reason))),
            }
        }
    }
}

/// The ending of a file's name, without the dot, lower case; empty where it has none.
pub(crate) fn extension(path: &str) -> String {
    let base = path.rsplit('/').next().unwrap_or(path);
    match base.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() => ending.to_lowercase(),
        _ => String::new(),
    }
}

/// A path without the ending of its file's name.
pub(crate) fn without_extension(path: &str) -> &str {
    let base_start = path.rfind('/').map_or(0, |slash| slash + 1);
    match path[base_start..].rfind('.') {
        Some(dot) if dot > 0 => &path[..base_start + dot],
        _ => path,
    }
}

/// The folder of a relative path with its slash, empty at the top.
pub(crate) fn folder_of(path: &str) -> &str {
    &path[..path.rfind('/').map_or(0, |slash| slash + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_at_the_last_dot() {
        assert_eq!(extension("a.b/c.tar.GZ"), "gz");
        assert_eq!((extension("a.b/c"), extension(".hidden")), (String::new(), String::new()));
        assert_eq!(without_extension("a.b/c.tar.gz"), "a.b/c.tar");
        assert_eq!(without_extension("a.b/c"), "a.b/c");
        assert_eq!((folder_of("a/b/c.txt"), folder_of("c.txt")), ("a/b/", ""));
    }

    #[test]
    fn paths_that_leave_the_folder_are_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let inside = dir.path().join("in");
        fs::create_dir(&inside).expect("the folder is writable");
        fs::write(dir.path().join("secret"), "x").expect("the folder is writable");
        fs::write(inside.join("a.txt"), "x").expect("the folder is writable");
        let source = Source::open(&inside).expect("it is a folder");
        assert!(source.open_file("a.txt").is_ok() && source.open_file("./a.txt").is_ok());
        for path in ["../secret", "b/../../secret", "/etc/passwd", "", "nothing", "a.txt/b", "\0"] {
            assert!(source.open_file(path).is_err(), "{path:?}");
        }
        assert!(source.open_file(&dir.path().join("secret").display().to_string()).is_err());
        assert_eq!(source.read("a.txt", 0).map_err(|e| e.contains("at most 0 bytes")), Err(true));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_inside_only_and_pipes_are_not_opened() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().expect("a temporary folder");
        let inside = dir.path().join("in");
        fs::create_dir_all(inside.join("sub")).expect("the folder is writable");
        fs::write(dir.path().join("secret"), "x").expect("the folder is writable");
        fs::write(inside.join("a.txt"), "x").expect("the folder is writable");
        symlink(dir.path().join("secret"), inside.join("out.txt")).expect("links work here");
        symlink("a.txt", inside.join("same.txt")).expect("links work here");
        symlink("..", inside.join("sub/loop")).expect("links work here");
        symlink(dir.path(), inside.join("up")).expect("links work here");
        let source = Source::open(&inside).expect("it is a folder");
        symlink("nothing", inside.join("dangling.txt")).expect("links work here");
        assert!(source.open_file("same.txt").is_ok());
        assert!(source.open_file("dangling.txt").is_err_and(|e| e.contains("not there")));
        let claimed = |name: &str| source.first_claimed(&["none.txt", name, "same.txt"]);
        for name in ["a.txt", "out.txt", "dangling.txt", "../secret", "up/secret"] {
            assert_eq!(claimed(name).as_deref(), Some(name));
        }
        assert_eq!(source.first_file(&["out.txt", "dangling.txt", "same.txt"]).as_deref(), Some("same.txt"));
        assert!(source.open_file("out.txt").is_err_and(|e| e.contains("leads out")));
        assert!(source.open_file("up/secret").is_err());
        assert!(source.open_file("sub").is_err_and(|e| e.contains("plain file")));
        let (files, failures): (Vec<_>, Vec<_>) = source.walk("").partition(Result::is_ok);
        let files: Vec<String> = files.into_iter().filter_map(Result::ok).collect();
        assert_eq!(files, ["a.txt", "same.txt"]);
        assert_eq!(failures.len(), 4);
    }
}
