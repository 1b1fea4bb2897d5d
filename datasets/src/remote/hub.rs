//! A data set of the Hugging Face hub to a folder.
//!
//! ```text
//! GET /api/datasets/OWNER/NAME/revision/REVISION      the commit, the licence
//! GET /api/datasets/OWNER/NAME/tree/COMMIT            every file with size and hash, page by page
//! GET /datasets/OWNER/NAME/resolve/COMMIT/PATH        a file; redirects to wherever it is kept
//! ```
//!
//! # Differences from the reference
//! `huggingface_hub` downloads into its cache and links from there; this writes plain files where it is told to. It looks
//! into that cache first, and takes what is there.

use std::fs;
use std::path::{Component, Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::download::{Client, Wanted};
use super::hash::{FileHash, is_intact};
use super::threads::in_threads;
use super::{FetchError, HubAccess, Retry};
use crate::shard::write_atomic;

/// Says where the folder's content is from.
const SOURCE: &str = ".triptych-source.json";
/// Files that have not come whole lie here, in the folder.
const PARTS: &str = ".triptych-parts";
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');
const COMMIT_DIGITS: usize = 40;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubRequest {
    /// `OWNER/NAME`, or `NAME` alone for the oldest ones.
    pub repo: String,
    /// Branch, tag or commit.
    pub revision: String,
    /// Patterns of paths, `*` standing for anything; none means all files.
    pub include: Vec<String>,
    /// Downloads at once.
    pub n_threads: usize,
    /// How patient each download is.
    pub retry: Retry,
}

impl HubRequest {
    /// Everything on the main branch.
    pub fn new(repo: &str) -> Self {
        Self {
            repo: repo.to_owned(),
            revision: "main".to_owned(),
            include: Vec::new(),
            n_threads: 4,
            retry: Retry::default(),
        }
    }
}

/// What has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct HubSummary {
    /// `OWNER/NAME`.
    pub repo: String,
    /// Which commit of it.
    pub commit: String,
    /// Its licence, as its card names it.
    pub licence: Option<String>,
    /// Files that lie in the folder now, each checked by its hash.
    pub n_files: usize,
    /// Those of them that came in this run.
    pub n_new: usize,
    /// Bytes of all of them.
    pub n_bytes: u64,
}

/// A file of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HubFile {
    path: String,
    n_bytes: u64,
    hash: Option<FileHash>,
}

#[derive(Deserialize)]
struct Revision {
    sha: String,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Deserialize)]
struct TreeItem {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    size: u64,
    oid: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    oid: String,
    size: u64,
}

/// Fetches the files of a data set into a folder under their own names, or goes on with it. Files that are there are
/// checked, not fetched again.
///
/// `progress` is called with the files done and to do, and the last one's name.
///
/// # Errors
/// No network, no such data set, one that needs other rights, a file whose hash is wrong, a name that leads out of the
/// folder, a folder that cannot be written to. Other files are fetched even if one fails.
pub fn fetch_hub(
    access: &HubAccess,
    request: &HubRequest,
    dir: &Path,
    progress: &dyn Fn(usize, usize, &str),
) -> Result<HubSummary, FetchError> {
    check_repo(&request.repo)?;
    let patterns = patterns(&request.include)?;
    let client = Client::new(request.retry, access.token.clone());
    let source = Source { access, request, client: &client };
    let (commit, licence, files) = if access.is_offline { source.cached()? } else { source.listed()? };
    let files: Vec<HubFile> = files
        .into_iter()
        .filter(|file| patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(&file.path)))
        .collect();
    for file in &files {
        check_path(&request.repo, &file.path)?;
    }
    fs::create_dir_all(dir).map_err(|e| FetchError::io("create", dir, e))?;
    let mut summary = HubSummary {
        repo: request.repo.clone(),
        commit: commit.clone(),
        licence,
        n_bytes: files.iter().map(|file| file.n_bytes).sum(),
        ..HubSummary::default()
    };
    let (mut n_done, mut failed) = (0, Vec::new());
    progress(0, files.len(), "");
    in_threads(
        request.n_threads,
        &files,
        |file| source.bring(file, &commit, dir),
        |file, outcome| {
            n_done += 1;
            progress(n_done, files.len(), &file.path);
            match outcome {
                Err(error) if error.is_local() => return Err(error),
                Err(error) => failed.push(error),
                Ok(is_new) => {
                    summary.n_files += 1;
                    summary.n_new += usize::from(is_new);
                }
            }
            Ok(())
        },
    )?;
    let n_failed = failed.len();
    if let Some(first) = failed.into_iter().next() {
        return Err(FetchError::Several { n_failed, n_files: files.len(), first: Box::new(first) });
    }
    fs::remove_dir(dir.join(PARTS)).ok();
    let path = dir.join(SOURCE);
    let json = serde_json::to_vec_pretty(&summary).map_err(|e| FetchError::io("write", &path, e.into()))?;
    write_atomic(&path, &json).map_err(|e| FetchError::io("write", &path, e))?;
    Ok(summary)
}

/// Commit, licence and files.
type Listing = (String, Option<String>, Vec<HubFile>);

struct Source<'a> {
    access: &'a HubAccess,
    request: &'a HubRequest,
    client: &'a Client,
}

impl Source<'_> {
    /// What the hub says there is.
    fn listed(&self) -> Result<Listing, FetchError> {
        let HubAccess { endpoint, .. } = self.access;
        let HubRequest { repo, revision, .. } = self.request;
        let name = utf8_percent_encode(revision, NON_ALPHANUMERIC);
        let url = format!("{endpoint}/api/datasets/{repo}/revision/{name}");
        let (answer, _) = self.client.answer(&url).map_err(|error| self.refused(error))?;
        let Revision { sha, tags } = parse(&url, &answer)?;
        if !is_commit(&sha) {
            return Err(malformed(&url, format!("expected a commit under `sha`, got {sha:?}")));
        }
        let licence = tags.iter().find_map(|tag| tag.strip_prefix("license:")).map(ToOwned::to_owned);
        let mut files = Vec::new();
        let mut page = Some(format!("{endpoint}/api/datasets/{repo}/tree/{sha}?recursive=true"));
        while let Some(url) = page {
            // the token goes to the hub alone, and a page that names itself would never end
            let (answer, next) = self.client.answer(&url).map_err(|error| self.refused(error))?;
            page = next.filter(|next| next.starts_with(&format!("{endpoint}/")) && *next != url);
            let items: Vec<TreeItem> = parse(&url, &answer)?;
            files.extend(items.into_iter().filter(|item| item.kind == "file").map(|item| match item.lfs {
                Some(Lfs { oid, size }) => {
                    let oid = oid.trim_start_matches("sha256:").to_owned();
                    HubFile { path: item.path, n_bytes: size, hash: Some(FileHash::Sha256(oid)) }
                }
                None => {
                    HubFile { path: item.path, n_bytes: item.size, hash: item.oid.map(FileHash::GitBlob) }
                }
            }));
        }
        Ok((sha, licence, files))
    }

    /// What the cache holds.
    fn cached(&self) -> Result<Listing, FetchError> {
        let HubRequest { repo, revision, .. } = self.request;
        let missing = |what: String| FetchError::Offline { cache: self.access.cache.clone(), what };
        let folder = self.cache_folder();
        let commit = if is_commit(revision) {
            revision.clone()
        } else {
            check_path(repo, revision)?;
            let what = format!("revision {revision:?} of {repo}");
            let saved =
                fs::read_to_string(folder.join("refs").join(revision)).map_err(|_| missing(what.clone()))?;
            Some(saved.trim().to_owned()).filter(|commit| is_commit(commit)).ok_or_else(|| missing(what))?
        };
        let snapshot = folder.join("snapshots").join(&commit);
        let mut files = Vec::new();
        walk(&snapshot, Path::new(""), &mut files)
            .map_err(|_| missing(format!("commit {commit} of {repo}")))?;
        Ok((commit, None, files))
    }

    fn cache_folder(&self) -> PathBuf {
        self.access.cache.join(format!("datasets--{}", self.request.repo.replace('/', "--")))
    }

    /// Says whether the file is new.
    fn bring(&self, file: &HubFile, commit: &str, dir: &Path) -> Result<bool, FetchError> {
        let path = dir.join(&file.path);
        if is_intact(&path, file.n_bytes, file.hash.as_ref()).is_some() {
            return Ok(false);
        }
        make_parents(dir, &file.path)?;
        let parts = dir.join(PARTS);
        fs::create_dir_all(&parts).map_err(|e| FetchError::io("create", &parts, e))?;
        let key = format!("{commit}/{}", file.path);
        let part = parts.join(&blake3::hash(key.as_bytes()).to_hex()[..24]).with_extension("part");
        let cached = self.cache_folder().join("snapshots").join(commit).join(&file.path);
        if is_intact(&cached, file.n_bytes, file.hash.as_ref()).is_some() {
            fs::copy(&cached, &part).map_err(|e| FetchError::io("write", &part, e))?;
        } else if self.access.is_offline {
            return Err(FetchError::Offline { cache: self.access.cache.clone(), what: file.path.clone() });
        } else {
            let HubAccess { endpoint, .. } = self.access;
            let name = utf8_percent_encode(&file.path, IN_PATH);
            let url = format!("{endpoint}/datasets/{}/resolve/{commit}/{name}", self.request.repo);
            let wanted = Wanted {
                url: &url,
                part: &part,
                n_bytes: Some(file.n_bytes),
                hash: file.hash.clone(),
                max_bytes: file.n_bytes,
                check: &|_| Ok(()),
            };
            self.client.download(&wanted).map_err(|error| self.refused(error))?;
        }
        fs::rename(&part, &path).map_err(|e| FetchError::io("rename", &path, e))?;
        Ok(true)
    }

    /// The hub's answer in words.
    fn refused(&self, error: FetchError) -> FetchError {
        let (endpoint, repo) = (self.access.endpoint.clone(), self.request.repo.clone());
        match error {
            // without a token the hub calls hidden and absent alike 401
            FetchError::Status { status: status @ (401 | 403), .. } => {
                let who =
                    if self.access.token.is_some() { "the given token" } else { "anyone without a token" };
                FetchError::Denied { endpoint, repo, who, status }
            }
            FetchError::Status { status: 404, .. } => {
                FetchError::NoRepository { endpoint, repo, revision: self.request.revision.clone() }
            }
            error => error,
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(url: &str, answer: &'a [u8]) -> Result<T, FetchError> {
    serde_json::from_slice(answer).map_err(|e| malformed(url, e.to_string()))
}

fn malformed(url: &str, problem: String) -> FetchError {
    FetchError::Malformed { what: url.to_owned(), place: "the hub's answer".to_owned(), problem }
}

fn is_commit(text: &str) -> bool {
    text.len() == COMMIT_DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn check_repo(repo: &str) -> Result<(), FetchError> {
    let is_plain = |part: &str| {
        let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(is_name)
    };
    let parts: Vec<&str> = repo.split('/').collect();
    if parts.len() <= 2 && parts.iter().all(|part| is_plain(part)) {
        return Ok(());
    }
    let problem = format!("expected OWNER/NAME, got {repo:?}");
    Err(FetchError::Malformed { what: "hub".to_owned(), place: "data set".to_owned(), problem })
}

fn patterns(include: &[String]) -> Result<Vec<glob::Pattern>, FetchError> {
    let pattern = |text: &String| {
        glob::Pattern::new(text).map_err(|e| FetchError::Malformed {
            what: "hub".to_owned(),
            place: format!("pattern {text:?}"),
            problem: e.to_string(),
        })
    };
    include.iter().map(pattern).collect()
}

/// A path must stay inside its folder, on every system.
fn check_path(what: &str, path: &str) -> Result<(), FetchError> {
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
fn make_parents(dir: &Path, path: &str) -> Result<(), FetchError> {
    let mut folder = dir.to_owned();
    let parts: Vec<&str> = path.split('/').collect();
    for part in &parts[..parts.len() - 1] {
        folder.push(part);
        if !fs::symlink_metadata(&folder).is_ok_and(|metadata| metadata.is_dir()) {
            fs::create_dir(&folder)
                .or_else(|e| {
                    // another thread was faster
                    let is_there = fs::symlink_metadata(&folder).is_ok_and(|metadata| metadata.is_dir());
                    if is_there { Ok(()) } else { Err(e) }
                })
                .map_err(|e| FetchError::io("create", &folder, e))?;
        }
    }
    Ok(())
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
        let hash =
            name.filter(|name| name.bytes().all(|b| b.is_ascii_hexdigit())).and_then(|name| {
                match name.len() {
                    64 => Some(FileHash::Sha256(name)),
                    COMMIT_DIGITS => Some(FileHash::GitBlob(name)),
                    _ => None,
                }
            });
        let path = path.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
        files.push(HubFile { path, n_bytes, hash });
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
    fn names_of_data_sets_are_owner_and_name() {
        for repo in ["owner/name", "squad", "a.b/c-d_e"] {
            assert!(check_repo(repo).is_ok(), "{repo}");
        }
        for repo in ["", "a/b/c", "../x", "a/..", "a b", "a/b?c", "/a"] {
            assert!(check_repo(repo).is_err(), "{repo}");
        }
    }
}
