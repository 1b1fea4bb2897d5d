//! One file by HTTP: retried, resumed, bounded, hashed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::FetchError;
use super::hash::{FileHash, hashes};
use super::sniff::START_BYTES;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// A server that is silent for so long has gone away.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const CHUNK_BYTES: usize = 1 << 16;
/// What a listing or a message of a server may be.
const MAX_ANSWER_BYTES: u64 = 256 << 20;
/// However often a connection is cut, it ends some time.
const MOST_REQUESTS: u32 = 1000;

/// Never legal in an address, but frequent in lists of them.
const STRAY: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// How often and how patiently a failed request is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Requests in all that bring nothing before a download is given up.
    pub n_attempts: u32,
    /// The pause after the first; it doubles each time, up to a minute. A server may ask for a longer one.
    pub pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { n_attempts: 5, pause: Duration::from_millis(500) }
    }
}

/// Makes requests.
pub(super) struct Client {
    agent: ureq::Agent,
    retry: Retry,
    token: Option<String>,
}

/// A download.
pub(super) struct Wanted<'a> {
    pub url: &'a str,
    /// Where the bytes are gathered; complete when [`Client::download`] has returned.
    pub part: &'a Path,
    pub n_bytes: Option<u64>,
    pub hash: Option<FileHash>,
    pub max_bytes: u64,
    /// Looks at the first bytes and may refuse the rest.
    pub check: &'a (dyn Fn(&[u8]) -> Result<(), FetchError> + Sync),
}

/// A file that has come whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Received {
    pub n_bytes: u64,
    pub sha256: String,
    pub content_type: Option<String>,
    pub n_requests: u32,
}

/// Whether what lies in a part is the beginning of what a server has now.
#[derive(Debug, Serialize, Deserialize)]
struct Validator {
    url: String,
    validator: String,
}

impl Client {
    pub(super) fn new(retry: Retry, token: Option<String>) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(READ_TIMEOUT))
            .timeout_per_read(Some(READ_TIMEOUT))
            .http_status_as_error(false)
            .user_agent(concat!("triptych/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.into(), retry, token }
    }

    /// A short answer in memory, and the next page's address where there is one.
    pub(super) fn answer(&self, url: &str) -> Result<(Vec<u8>, Option<String>), FetchError> {
        self.persist(|_| {
            let response = self.request(url, 0, None)?;
            let next = header(&response, "link").and_then(|links| next_page(&links));
            let mut reader = response.into_body().into_with_config().limit(MAX_ANSWER_BYTES).reader();
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map_err(|e| network(url, &e))?;
            Ok((bytes, next))
        })
    }

    /// Brings a file into its part, from where an earlier attempt stopped if that can be told.
    pub(super) fn download(&self, wanted: &Wanted<'_>) -> Result<Received, FetchError> {
        let mut n_requests = 0;
        let mut may_begin_again = true;
        let mut content_type = None;
        loop {
            self.persist(|failures| {
                n_requests += 1;
                let before = size_of(wanted.part);
                let outcome = self.attempt(wanted, &mut content_type);
                if outcome.is_err() && size_of(wanted.part) > before && n_requests < MOST_REQUESTS {
                    // it came further, so it is worth going on
                    *failures = 0;
                }
                outcome
            })?;
            match check_hashes(wanted) {
                Ok((n_bytes, sha256)) => {
                    fs::remove_file(validator_path(wanted.part)).ok();
                    return Ok(Received { n_bytes, sha256, content_type, n_requests });
                }
                // what lay there from before may have been of another version
                Err(FetchError::Hash { .. }) if may_begin_again => {
                    may_begin_again = false;
                    discard(wanted.part);
                }
                Err(error) => {
                    discard(wanted.part);
                    return Err(error);
                }
            }
        }
    }

    /// Tries again as long as that may help. `work` may forgive earlier failures.
    fn persist<T>(&self, mut work: impl FnMut(&mut u32) -> Result<T, FetchError>) -> Result<T, FetchError> {
        let mut failures = 0;
        loop {
            match work(&mut failures) {
                Err(error) if error.is_transient() && failures + 1 < self.retry.n_attempts => {
                    let own = self.retry.pause.saturating_mul(1 << failures.min(16));
                    let asked = match &error {
                        FetchError::Status { retry_after_s: Some(seconds), .. } => {
                            Duration::from_secs(*seconds)
                        }
                        _ => Duration::ZERO,
                    };
                    let pause = own.max(asked);
                    std::thread::sleep(pause.min(LONGEST_PAUSE));
                    failures += 1;
                }
                outcome => return outcome,
            }
        }
    }

    fn attempt(&self, wanted: &Wanted<'_>, content_type: &mut Option<String>) -> Result<(), FetchError> {
        let Wanted { url, part, .. } = *wanted;
        let mut have = size_of(part);
        let validator = saved_validator(part, url);
        // without a hash or a validator nobody knows what the part is the beginning of
        if have > 0
            && (wanted.n_bytes.is_some_and(|n| have > n) || (wanted.hash.is_none() && validator.is_none()))
        {
            discard(part);
            have = 0;
        }
        if have > 0 && wanted.n_bytes == Some(have) {
            return Ok(());
        }
        let response = match self.request(url, have, validator.as_deref()) {
            Err(error @ FetchError::Status { status: 416, .. }) => {
                discard(part);
                return Err(error);
            }
            response => response?,
        };
        if response.status().as_u16() != 206 {
            have = 0;
        } else if have > 0 && range_start(&response) != Some(have) {
            discard(part);
            let problem = format!("expected the bytes from {have} on, got others");
            return Err(FetchError::Network { url: url.to_owned(), problem });
        }
        *content_type = header(&response, "content-type");
        let n_left = response.body().content_length();
        if let Some(total) = n_left.map(|n| n.saturating_add(have)) {
            if total > wanted.max_bytes {
                return Err(FetchError::TooLarge {
                    url: url.to_owned(),
                    limit: wanted.max_bytes,
                    got: total,
                });
            }
            if let Some(expected) = wanted.n_bytes
                && expected != total
            {
                discard(part);
                return Err(FetchError::Hash {
                    url: url.to_owned(),
                    expected: format!("{expected} bytes"),
                    got: format!("{total} bytes"),
                });
            }
        }
        let mut file = open_part(part, have)?;
        save_validator(part, url, &response)?;
        let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
        let n_new = copy(&mut body, &mut file, have, wanted)?;
        file.flush().map_err(|e| FetchError::io("write", part, e))?;
        if n_left.is_some_and(|expected| n_new < expected) {
            let problem =
                format!("the connection was cut after {n_new} of {} bytes", n_left.unwrap_or_default());
            return Err(FetchError::Network { url: url.to_owned(), problem });
        }
        Ok(())
    }

    fn request(
        &self,
        url: &str,
        have: u64,
        validator: Option<&str>,
    ) -> Result<ureq::http::Response<ureq::Body>, FetchError> {
        if !(url.starts_with("http://") || url.starts_with("https://")) {
            let problem = format!("expected http:// or https://, got {url:?}");
            return Err(FetchError::Malformed { what: "address".into(), place: "scheme".into(), problem });
        }
        let address = url.split('#').next().unwrap_or(url);
        let mut request = self.agent.get(utf8_percent_encode(address, STRAY).to_string());
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if have > 0 {
            request = request.header("range", format!("bytes={have}-"));
            if let Some(validator) = validator {
                request = request.header("if-range", validator);
            }
        }
        let response = request.call().map_err(|error| match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => FetchError::Malformed {
                what: "address".into(),
                place: url.to_owned(),
                problem: "expected an address, got something else".into(),
            },
            error => network(url, &error),
        })?;
        match response.status().as_u16() {
            200 | 206 => Ok(response),
            status => {
                let retry_after_s = header(&response, "retry-after").and_then(|seconds| seconds.parse().ok());
                Err(FetchError::Status { url: url.to_owned(), status, retry_after_s })
            }
        }
    }
}

/// Appends what comes, and sees to it that it is not too much or of another kind.
fn copy(body: &mut impl Read, file: &mut File, have: u64, wanted: &Wanted<'_>) -> Result<u64, FetchError> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let (mut n_new, mut start, mut is_checked) = (0, Vec::new(), have > 0);
    loop {
        let n = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(network(wanted.url, &e)),
        };
        if !is_checked {
            // a server may send the first bytes one by one
            start.extend_from_slice(&buffer[..n.min(START_BYTES - start.len())]);
            is_checked = start.len() == START_BYTES;
            if is_checked {
                (wanted.check)(&start)?;
            }
        }
        n_new += n as u64;
        if have + n_new > wanted.max_bytes {
            discard(wanted.part);
            return Err(FetchError::TooLarge {
                url: wanted.url.to_owned(),
                limit: wanted.max_bytes,
                got: have + n_new,
            });
        }
        file.write_all(&buffer[..n]).map_err(|e| FetchError::io("write", wanted.part, e))?;
    }
    if !is_checked {
        (wanted.check)(&start)?;
    }
    Ok(n_new)
}

fn check_hashes(wanted: &Wanted<'_>) -> Result<(u64, String), FetchError> {
    let (n_bytes, sha256, git_blob) = hashes(wanted.part)?;
    let (expected, got) = match &wanted.hash {
        Some(FileHash::Sha256(expected)) => (format!("sha256 {expected}"), format!("sha256 {sha256}")),
        Some(FileHash::GitBlob(expected)) => (format!("git blob {expected}"), format!("git blob {git_blob}")),
        None => (String::new(), String::new()),
    };
    let expected_bytes = wanted.n_bytes.unwrap_or(n_bytes);
    if expected_bytes != n_bytes {
        let (expected, got) = (format!("{expected_bytes} bytes"), format!("{n_bytes} bytes"));
        return Err(FetchError::Hash { url: wanted.url.to_owned(), expected, got });
    }
    if expected.eq_ignore_ascii_case(&got) {
        return Ok((n_bytes, sha256));
    }
    Err(FetchError::Hash { url: wanted.url.to_owned(), expected, got })
}

/// Of a part; a link that lies there is none.
fn size_of(part: &Path) -> u64 {
    fs::symlink_metadata(part).ok().filter(fs::Metadata::is_file).map_or(0, |metadata| metadata.len())
}

/// Forgets what has come so far.
pub(super) fn discard(part: &Path) {
    fs::remove_file(part).ok();
    fs::remove_file(validator_path(part)).ok();
}

fn open_part(part: &Path, have: u64) -> Result<File, FetchError> {
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

fn validator_path(part: &Path) -> PathBuf {
    part.with_extension("validator")
}

fn saved_validator(part: &Path, url: &str) -> Option<String> {
    let saved: Validator = serde_json::from_slice(&fs::read(validator_path(part)).ok()?).ok()?;
    (saved.url == url).then_some(saved.validator)
}

fn save_validator(
    part: &Path,
    url: &str,
    response: &ureq::http::Response<ureq::Body>,
) -> Result<(), FetchError> {
    let path = validator_path(part);
    // a weak one says nothing about bytes
    let tag = header(response, "etag").filter(|tag| !tag.starts_with("W/"));
    let Some(validator) = tag.or_else(|| header(response, "last-modified")) else {
        fs::remove_file(path).ok();
        return Ok(());
    };
    let saved = Validator { url: url.to_owned(), validator };
    let json = serde_json::to_vec(&saved).unwrap_or_default();
    fs::write(&path, json).map_err(|e| FetchError::io("write", &path, e))
}

fn header(response: &ureq::http::Response<ureq::Body>, name: &str) -> Option<String> {
    response.headers().get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned)
}

/// The first byte of `Content-Range: bytes 7-11/12`.
fn range_start(response: &ureq::http::Response<ureq::Body>) -> Option<u64> {
    header(response, "content-range")?.trim().strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

/// The address of `rel="next"` in a `Link` header.
fn next_page(links: &str) -> Option<String> {
    let link = links.split(',').find(|link| link.contains("rel=\"next\""))?;
    Some(link.split_once('<')?.1.split_once('>')?.0.to_owned())
}

fn network(url: &str, error: &dyn std::fmt::Display) -> FetchError {
    FetchError::Network { url: url.to_owned(), problem: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_links() {
        let links = "<https://hub/a?cursor=1>; rel=\"prev\", <https://hub/a?cursor=3>; rel=\"next\"";
        assert_eq!(next_page(links).as_deref(), Some("https://hub/a?cursor=3"));
        assert_eq!(next_page("<https://hub/a>; rel=\"prev\""), None);
    }
}
