//! Repositories of the Hugging Face hub: data sets into a folder, models into the cache that programs share.
//!
//! ```text
//! hf-hub: info -> commit, licence        list_tree -> paths, sizes, git's names        snapshot_download(local_files_only)
//! here:   names, patterns -> what is there already -> download_file_stream -> part, gone on with -> hash -> DIR or cache
//! ```
//!
//! # Differences from the reference
//! `hf-hub` 1.0 speaks with the hub; its own `snapshot_download` over the network is not used. It opens what has come of a
//! file with `File::create`, so that a broken download begins anew; writes an answer down whatever its status is, and never
//! compares hashes; joins a server's ETag and file names to the cache's path as they are; and has no time limits. What is
//! done here instead is that: parts, hashes, names, limits. Listings lose the SHA-256 of large files (`lfs.oid`, read as
//! `lfs.sha256`), but not what git calls the pointer that holds it, which is checked in its place.

mod cache;
mod client;
mod path;

use std::fs;
use std::path::{Path, PathBuf};

use cache::RepoCache;
use client::Client;
use path::{check_path, check_repo, make_parents};

use super::hash::{Digests, FileHash};
use super::threads::in_threads;
use super::{FetchError, HubAccess, Retry};
use crate::shard::write_atomic;

/// Says where the folder's content is from.
const SOURCE: &str = ".triptych-source.json";
/// Files that have not come whole lie here, in the folder.
const PARTS: &str = ".triptych-parts";

/// What a repository holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RepoKind {
    /// Data.
    Dataset,
    /// Weights, and what belongs to them.
    Model,
}

impl RepoKind {
    fn plural(self) -> &'static str {
        match self {
            Self::Dataset => "datasets",
            Self::Model => "models",
        }
    }

    /// Of the address of a file.
    fn prefix(self) -> &'static str {
        match self {
            Self::Dataset => "datasets/",
            Self::Model => "",
        }
    }
}

impl std::fmt::Display for RepoKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Dataset => "data set",
            Self::Model => "model",
        })
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubRequest {
    /// Data set or model.
    pub kind: RepoKind,
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
    /// Everything on the main branch of a repository.
    pub fn new(kind: RepoKind, repo: &str) -> Self {
        Self {
            kind,
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

/// What a repository has, of that which is asked for.
struct Listing {
    commit: String,
    licence: Option<String>,
    files: Vec<HubFile>,
}

/// Called with the files done and to do, and the last one's name.
pub type HubProgress<'a> = &'a dyn Fn(usize, usize, &str);

/// Fetches the files of a repository into a folder under their own names, or goes on with it. Files that are there are
/// checked, not fetched again; what the cache holds is taken from there.
///
/// # Errors
/// No network, no such repository, one that needs other rights, a file whose hash is wrong, a name that leads out of the
/// folder, a folder that cannot be written to. Other files are fetched even if one fails.
pub fn fetch_hub(
    access: &HubAccess,
    request: &HubRequest,
    dir: &Path,
    progress: HubProgress<'_>,
) -> Result<HubSummary, FetchError> {
    let source = Source::new(access, request)?;
    let listing = source.listing()?;
    fs::create_dir_all(dir).map_err(|e| FetchError::io("create", dir, e))?;
    let summary = source.bring_all(&listing, progress, |file| source.place(file, &listing.commit, dir))?;
    fs::remove_dir(dir.join(PARTS)).ok();
    let path = dir.join(SOURCE);
    let json = serde_json::to_vec_pretty(&summary).map_err(|e| FetchError::io("write", &path, e.into()))?;
    write_atomic(&path, &json).map_err(|e| FetchError::io("write", &path, e))?;
    Ok(summary)
}

/// Fetches the files of a repository into the hub's cache, where other programs find them too, and returns the folder in
/// which they lie under their own names, as links. Files that are there are checked, not fetched again. Offline, the folder
/// holds what the cache has.
///
/// # Errors
/// As [`fetch_hub`].
pub fn snapshot_hub(
    access: &HubAccess,
    request: &HubRequest,
    progress: HubProgress<'_>,
) -> Result<(PathBuf, HubSummary), FetchError> {
    let source = Source::new(access, request)?;
    let listing = source.listing()?;
    let Source { cache, .. } = &source;
    let _lock = if access.is_offline { None } else { Some(cache.lock()?) };
    if !access.is_offline {
        cache.make(&listing.commit)?;
    }
    let summary = source.bring_all(&listing, progress, |file| source.keep(file, &listing.commit))?;
    if !access.is_offline {
        cache.set_revision(&request.revision, &listing.commit)?;
    }
    Ok((cache.snapshot(&listing.commit), summary))
}

/// Where files come from.
struct Source<'a> {
    access: &'a HubAccess,
    request: &'a HubRequest,
    client: Client<'a>,
    cache: RepoCache,
    patterns: Vec<glob::Pattern>,
}

impl<'a> Source<'a> {
    fn new(access: &'a HubAccess, request: &'a HubRequest) -> Result<Self, FetchError> {
        check_repo(request.kind, &request.repo)?;
        // the cache keeps a file of that name
        check_path(&request.repo, &request.revision)?;
        let patterns = patterns(&request.include)?;
        let (client, cache) = (Client::new(access, request)?, RepoCache::new(access, request));
        Ok(Self { access, request, client, cache, patterns })
    }

    fn listing(&self) -> Result<Listing, FetchError> {
        let mut listing = if self.access.is_offline { self.cached()? } else { self.client.listed()? };
        let is_wanted = |file: &HubFile| self.patterns.iter().any(|pattern| pattern.matches(&file.path));
        if !self.patterns.is_empty() {
            listing.files.retain(is_wanted);
        }
        for file in &listing.files {
            check_path(&self.request.repo, &file.path)?;
        }
        Ok(listing)
    }

    /// What the cache holds.
    fn cached(&self) -> Result<Listing, FetchError> {
        let HubRequest { repo, revision, .. } = self.request;
        let missing = || self.missing(format!("revision {revision:?} of {repo}"));
        let commit = self.client.cached_commit().ok_or_else(missing)?;
        let files = self.cache.files(&commit).map_err(|_| missing())?;
        Ok(Listing { commit, licence: None, files })
    }

    fn missing(&self, what: String) -> FetchError {
        FetchError::Offline { cache: self.access.cache.clone(), what }
    }

    fn bring_all(
        &self,
        listing: &Listing,
        progress: HubProgress<'_>,
        bring: impl Fn(&HubFile) -> Result<bool, FetchError> + Sync,
    ) -> Result<HubSummary, FetchError> {
        let Listing { commit, licence, files } = listing;
        let mut summary = HubSummary {
            repo: self.request.repo.clone(),
            commit: commit.clone(),
            licence: licence.clone(),
            n_bytes: files.iter().map(|file| file.n_bytes).sum(),
            ..HubSummary::default()
        };
        let (mut n_done, mut failed) = (0, Vec::new());
        progress(0, files.len(), "");
        in_threads(self.request.n_threads, files, &bring, |file, outcome| {
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
        })?;
        let n_failed = failed.len();
        match failed.into_iter().next() {
            Some(first) => {
                Err(FetchError::Several { n_failed, n_files: files.len(), first: Box::new(first) })
            }
            None => Ok(summary),
        }
    }

    /// Sees to it that a file lies in a folder, and says whether it is new there.
    fn place(&self, file: &HubFile, commit: &str, dir: &Path) -> Result<bool, FetchError> {
        let path = dir.join(&file.path);
        if file.intact(&path).is_some() {
            return Ok(false);
        }
        make_parents(dir, &file.path)?;
        let parts = dir.join(PARTS);
        fs::create_dir_all(&parts).map_err(|e| FetchError::io("create", &parts, e))?;
        let part = parts.join(file.key(commit)).with_extension("part");
        if let Some((cached, _)) = self.cache.find(file, commit) {
            fs::copy(&cached, &part).map_err(|e| FetchError::io("write", &part, e))?;
        } else if self.access.is_offline {
            return Err(self.missing(file.path.clone()));
        } else {
            self.client.receive(file, commit, &part)?;
        }
        fs::rename(&part, &path).map_err(|e| FetchError::io("rename", &path, e))?;
        Ok(true)
    }

    /// Sees to it that a file lies in the cache, and says whether it is new there.
    fn keep(&self, file: &HubFile, commit: &str) -> Result<bool, FetchError> {
        let linked = self.cache.snapshot(commit).join(&file.path);
        match self.cache.find(file, commit) {
            Some((path, _)) if path == linked => Ok(false),
            _ if self.access.is_offline => Err(self.missing(file.path.clone())),
            Some((blob, _)) => self.cache.link(&blob, commit, &file.path).map(|()| false),
            None => {
                let part = self.cache.part(&file.key(commit));
                let digests = self.client.receive(file, commit, &part)?;
                let blob = self.cache.insert(&part, file, &digests)?;
                self.cache.link(&blob, commit, &file.path).map(|()| true)
            }
        }
    }
}

impl HubFile {
    /// What its part is called.
    fn key(&self, commit: &str) -> String {
        let key = format!("{commit}/{}", self.path);
        blake3::hash(key.as_bytes()).to_hex()[..24].to_owned()
    }

    /// Whether a finished file is the one that was promised.
    fn intact(&self, path: &Path) -> Option<Digests> {
        // the hub's cache holds links
        fs::metadata(path).ok().filter(|found| found.is_file() && found.len() == self.n_bytes)?;
        let digests = Digests::of(path).ok()?;
        self.hash.as_ref().is_none_or(|hash| hash.matches(&digests)).then_some(digests)
    }

    /// The same of what has just come.
    fn check(&self, url: &str, part: &Path) -> Result<Digests, FetchError> {
        let digests = Digests::of(part)?;
        match &self.hash {
            Some(hash) if !hash.matches(&digests) => Err(FetchError::Hash {
                url: url.to_owned(),
                expected: hash.expected(),
                got: hash.got(&digests),
            }),
            _ => Ok(digests),
        }
    }
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
