//! What the hub has, by `hf-hub`, with what that leaves to its caller: time limits, going on where a download stopped, and
//! hashes.

use std::collections::HashSet;
use std::error::Error;
use std::future::Future;
use std::io::Write;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use hf_hub::repository::{HFRepository, RepoTreeEntry, RepoType, RepoTypeDataset, RepoTypeModel};
use hf_hub::{HFClient, HFClientSync, HFError, split_id};

use super::{HubFile, HubRequest, Listing, RepoKind};
use crate::remote::hash::{Digests, FileHash};
use crate::remote::part::{MOST_REQUESTS, discard, open_part, size_of};
use crate::remote::{FetchError, HubAccess};

/// A server that is silent for so long has gone away.
const SILENCE: Duration = Duration::from_secs(60);
/// A longer listing is refused: it would be held in memory.
const MOST_FILES: usize = 1_000_000;
const COMMIT_DIGITS: usize = 40;

pub(super) fn is_commit(text: &str) -> bool {
    text.len() == COMMIT_DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A connection to a hub for one repository.
pub(super) struct Client<'a> {
    access: &'a HubAccess,
    request: &'a HubRequest,
    runtime: tokio::runtime::Runtime,
    client: HFClient,
    repo: Repo,
}

/// `hf-hub` asks some questions by the kind's type.
enum Repo {
    Dataset(HFRepository<RepoTypeDataset>),
    Model(HFRepository<RepoTypeModel>),
}

/// The same expression for both.
macro_rules! of_repo {
    ($self:expr, $repo:ident => $body:expr) => {
        match &$self.repo {
            Repo::Dataset($repo) => $body,
            Repo::Model($repo) => $body,
        }
    };
}

impl<'a> Client<'a> {
    pub(super) fn new(access: &'a HubAccess, request: &'a HubRequest) -> Result<Self, FetchError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|e| FetchError::io("start", Path::new("a thread for downloads"), e))?;
        // tried again here, where progress counts, and where a server may ask for a pause
        let mut builder = HFClient::builder()
            .endpoint(&access.endpoint)
            .cache_dir(&access.cache)
            .user_agent(concat!("triptych/", env!("CARGO_PKG_VERSION")))
            .retry_max_attempts(0);
        if let Some(token) = &access.token {
            builder = builder.token(token);
        }
        let client = builder.build().map_err(|e| FetchError::Malformed {
            what: "hub".to_owned(),
            place: "HF_ENDPOINT".to_owned(),
            problem: format!("expected an address, got {:?}: {e}", access.endpoint),
        })?;
        let (owner, name) = split_id(&request.repo);
        let repo = match request.kind {
            RepoKind::Dataset => Repo::Dataset(client.dataset(owner, name)),
            RepoKind::Model => Repo::Model(client.model(owner, name)),
        };
        Ok(Self { access, request, runtime, client, repo })
    }

    /// What the hub says there is.
    pub(super) fn listed(&self) -> Result<Listing, FetchError> {
        let HubRequest { repo, revision, kind, retry, .. } = self.request;
        let url = format!("{}/api/{}/{repo}", self.access.endpoint, kind.plural());
        let (sha, tags) = retry.persist(|_| {
            let revision = revision.clone();
            self.wait(&url, async {
                match &self.repo {
                    Repo::Dataset(repo) => {
                        repo.info().revision(revision).send().await.map(|info| (info.sha, info.tags))
                    }
                    Repo::Model(repo) => {
                        repo.info().revision(revision).send().await.map(|info| (info.sha, info.tags))
                    }
                }
            })
        })?;
        let commit = sha.filter(|sha| is_commit(sha)).ok_or_else(|| FetchError::Malformed {
            what: url.clone(),
            place: "the hub's answer".to_owned(),
            problem: "expected a commit under `sha`, got another thing".to_owned(),
        })?;
        let licence = tags
            .unwrap_or_default()
            .iter()
            .find_map(|tag| tag.strip_prefix("license:"))
            .map(ToOwned::to_owned);
        let files = retry.persist(|_| of_repo!(self, repo => self.tree(repo, &commit, &url)))?;
        Ok(Listing { commit, licence, files })
    }

    fn tree<T: RepoType>(
        &self,
        repo: &HFRepository<T>,
        commit: &str,
        url: &str,
    ) -> Result<Vec<HubFile>, FetchError> {
        let items = repo.list_tree().revision(commit).recursive(true).limit(MOST_FILES).send();
        let mut items = pin!(items.map_err(|error| self.failure(url, error))?);
        let malformed = |problem: String| FetchError::Malformed {
            what: url.to_owned(),
            place: "the hub's listing".to_owned(),
            problem,
        };
        let (mut files, mut known) = (Vec::new(), HashSet::new());
        while let Some(item) = self.wait(url, async { items.next().await.transpose() })? {
            let (RepoTreeEntry::File { path, .. } | RepoTreeEntry::Directory { path, .. }) = &item;
            if !known.insert(path.clone()) {
                // a page that names itself as the next one would never end
                return Err(malformed(format!("expected every path once, got {path:?} again")));
            }
            let RepoTreeEntry::File { oid, size, path, lfs, .. } = item else { continue };
            if !is_commit(&oid) {
                return Err(malformed(format!(
                    "{path:?}: expected {COMMIT_DIGITS} hexadecimal digits, got {oid:?}"
                )));
            }
            // `hf-hub` looks for the SHA-256 under `sha256`, where the hub's listings have `oid`; the pointer binds it
            files.push(match lfs {
                Some(lfs) => HubFile {
                    path,
                    n_bytes: lfs.size.unwrap_or(size),
                    hash: Some(lfs.sha256.map_or(FileHash::Pointer(oid), FileHash::Sha256)),
                },
                None => HubFile { path, n_bytes: size, hash: Some(FileHash::GitBlob(oid)) },
            });
        }
        if known.len() == MOST_FILES {
            return Err(malformed(format!("expected fewer than {MOST_FILES} files and folders, got more")));
        }
        Ok(files)
    }

    /// The commit that a revision was when the cache last heard of it.
    pub(super) fn cached_commit(&self) -> Option<String> {
        let HubRequest { kind, repo, revision, .. } = self.request;
        let (owner, name) = split_id(repo);
        let client = HFClientSync::from_inner(self.client.clone()).ok()?;
        let folder = match kind {
            RepoKind::Dataset => client
                .dataset(owner, name)
                .snapshot_download()
                .revision(revision)
                .local_files_only(true)
                .send(),
            RepoKind::Model => {
                client.model(owner, name).snapshot_download().revision(revision).local_files_only(true).send()
            }
        };
        let commit = folder.ok()?.file_name()?.to_string_lossy().into_owned();
        is_commit(&commit).then_some(commit)
    }

    /// Brings a file into its part, from where an earlier attempt stopped.
    pub(super) fn receive(&self, file: &HubFile, commit: &str, part: &Path) -> Result<Digests, FetchError> {
        let HubRequest { repo, kind, retry, .. } = self.request;
        let url = format!("{}/{}{repo}/resolve/{commit}/{}", self.access.endpoint, kind.prefix(), file.path);
        let (mut n_requests, mut may_begin_again) = (0, true);
        loop {
            let outcome = retry.persist(|failures| {
                n_requests += 1;
                let before = size_of(part);
                let outcome = of_repo!(self, repo => self.attempt(repo, file, commit, part, &url));
                if outcome.is_err() && size_of(part) > before && n_requests < MOST_REQUESTS {
                    // it came further, so it is worth going on
                    *failures = 0;
                }
                outcome
            });
            match outcome.and_then(|()| file.check(&url, part)) {
                // what lay there from before may have been of another version
                Err(FetchError::Hash { .. }) if may_begin_again => {
                    may_begin_again = false;
                    discard(part);
                }
                Err(error @ FetchError::Hash { .. }) => {
                    discard(part);
                    return Err(error);
                }
                outcome => return outcome,
            }
        }
    }

    fn attempt<T: RepoType>(
        &self,
        repo: &HFRepository<T>,
        file: &HubFile,
        commit: &str,
        part: &Path,
        url: &str,
    ) -> Result<(), FetchError> {
        if size_of(part) > file.n_bytes {
            discard(part);
        }
        let mut have = size_of(part);
        let mut out = open_part(part, have)?;
        if have == file.n_bytes {
            return Ok(());
        }
        let is_resumed = have > 0;
        let stream = repo
            .download_file_stream()
            .filename(&file.path)
            .revision(commit)
            .maybe_range(is_resumed.then_some(have..file.n_bytes));
        let opened = self.wait(url, stream.send()).inspect_err(|error| {
            if matches!(error, FetchError::Status { status: 416, .. }) {
                discard(part);
            }
        });
        let (_, mut chunks) = opened?;
        while let Some(chunk) = self.wait(url, async { chunks.next().await.transpose() })? {
            if have + chunk.len() as u64 > file.n_bytes {
                discard(part);
                let problem = format!("expected {} bytes in all, got more", file.n_bytes);
                return Err(if is_resumed {
                    // the server began from the start, whatever it was asked for
                    FetchError::Network { url: url.to_owned(), problem }
                } else {
                    let expected = format!("{} bytes", file.n_bytes);
                    FetchError::Hash { url: url.to_owned(), expected, got: "more".to_owned() }
                });
            }
            out.write_all(&chunk).map_err(|e| FetchError::io("write", part, e))?;
            have += chunk.len() as u64;
        }
        if have < file.n_bytes {
            let problem = format!("the connection was cut after {have} of {} bytes", file.n_bytes);
            return Err(FetchError::Network { url: url.to_owned(), problem });
        }
        Ok(())
    }

    /// What a future brings, unless it is silent for too long.
    fn wait<T>(&self, url: &str, work: impl Future<Output = Result<T, HFError>>) -> Result<T, FetchError> {
        match self.runtime.block_on(async { tokio::time::timeout(SILENCE, work).await }) {
            Ok(outcome) => outcome.map_err(|error| self.failure(url, error)),
            Err(_) => {
                let problem = format!("silence for {} s", SILENCE.as_secs());
                Err(FetchError::Network { url: url.to_owned(), problem })
            }
        }
    }

    /// The hub's answer in words.
    fn failure(&self, url: &str, error: HFError) -> FetchError {
        let (endpoint, url) = (self.access.endpoint.clone(), url.to_owned());
        let HubRequest { kind, repo, revision, .. } = self.request.clone();
        let malformed = |problem: String| FetchError::Malformed {
            what: url.clone(),
            place: "the hub's answer".to_owned(),
            problem,
        };
        // the body of an answer that is not what it should be is a failure of the request to this library
        let is_no_json = |error: &HFError| {
            matches!(error, HFError::Request { source, .. } if source.is_decode())
                && chain(error).contains("at line")
        };
        let who = if self.access.token.is_some() { "the given token" } else { "anyone without a token" };
        match error {
            // without a token the hub calls hidden and absent alike 401; a listing's answer is not told apart
            HFError::AuthRequired { context }
            | HFError::Forbidden { context }
            | HFError::Http { context }
                if matches!(context.status.as_u16(), 401 | 403) =>
            {
                FetchError::Denied { endpoint, kind, repo, who, status: context.status.as_u16() }
            }
            HFError::RepoNotFound { .. } | HFError::RevisionNotFound { .. } => {
                FetchError::NoRepository { endpoint, kind, repo, revision }
            }
            HFError::EntryNotFound { .. } => FetchError::Status { url, status: 404, retry_after_s: None },
            HFError::RateLimited { retry_after, .. } => FetchError::Status {
                url,
                status: 429,
                retry_after_s: retry_after.map(|pause| pause.as_secs()),
            },
            HFError::Http { context } => {
                FetchError::Status { url, status: context.status.as_u16(), retry_after_s: None }
            }
            HFError::Json(error) => malformed(error.to_string()),
            HFError::MalformedResponse { what, .. } => malformed(what),
            error if is_no_json(&error) => malformed(chain(&error)),
            error => FetchError::Network { url, problem: chain(&error) },
        }
    }
}

/// An error and what it is due to, which alone often says nothing.
fn chain(error: &HFError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}
