//! Names that a hub gives, which must not lead anywhere else.

use std::fs;
use std::path::{Component, Path};

use super::{PARTS, RepoKind, SOURCE};
use crate::remote::FetchError;

/// `OWNER/NAME`, or `NAME` alone.
pub(super) fn check_repo(kind: RepoKind, repo: &str) -> Result<(), FetchError> {
    let is_plain = |part: &str| {
        let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(is_name)
    };
    let parts: Vec<&str> = repo.split('/').collect();
    if parts.len() <= 2 && parts.iter().all(|part| is_plain(part)) {
        return Ok(());
    }
    let problem = format!("expected OWNER/NAME, got {repo:?}");
    Err(FetchError::Malformed { what: "hub".to_owned(), place: kind.to_string(), problem })
}

/// A path must stay inside its folder, on every system.
pub(super) fn check_path(what: &str, path: &str) -> Result<(), FetchError> {
    let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    let is_own = path == SOURCE || path.split('/').next() == Some(PARTS);
    let is_safe = path.split('/').all(is_plain)
        && !path.chars().any(|c| c.is_control() || matches!(c, '\\' | ':'))
        && Path::new(path).components().all(|component| matches!(component, Component::Normal(_)));
    if is_safe && !is_own {
        return Ok(());
    }
    Err(FetchError::UnsafeName { what: what.to_owned(), name: path.to_owned() })
}

/// Makes the folders of a file. What lies there already must be folders, not links that lead elsewhere.
pub(super) fn make_parents(dir: &Path, path: &str) -> Result<(), FetchError> {
    let mut folder = dir.to_owned();
    let parts: Vec<&str> = path.split('/').collect();
    for part in &parts[..parts.len() - 1] {
        folder.push(part);
        let is_there = || fs::symlink_metadata(&folder).is_ok_and(|metadata| metadata.is_dir());
        if !is_there() {
            fs::create_dir(&folder)
                // another thread was faster
                .or_else(|e| if is_there() { Ok(()) } else { Err(e) })
                .map_err(|e| FetchError::io("create", &folder, e))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside_their_folder() {
        for path in ["a", "data/train-00000-of-00001.parquet", ".gitattributes", "a/.b/c d.json"] {
            assert!(check_path("o/n", path).is_ok(), "{path}");
        }
        for path in
            ["", "/a", "../a", "a/../b", "a//b", "a/.", "a\\b", "c:a", "a\0b", SOURCE, ".triptych-parts/x"]
        {
            assert!(check_path("o/n", path).is_err(), "{path}");
        }
    }

    #[test]
    fn names_of_repositories_are_owner_and_name() {
        for repo in ["owner/name", "squad", "a.b/c-d_e"] {
            assert!(check_repo(RepoKind::Dataset, repo).is_ok(), "{repo}");
        }
        for repo in ["", "a/b/c", "../x", "a/..", "a b", "a/b?c", "/a"] {
            assert!(check_repo(RepoKind::Model, repo).is_err(), "{repo}");
        }
    }
}
