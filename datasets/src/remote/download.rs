//! One file by HTTP: retried, resumed, bounded, hashed.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::hash::Digests;
use super::part::{MOST_REQUESTS, discard, open_part, size_of, validator_path};
use super::sniff::START_BYTES;
use super::{FetchError, Retry};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// A server that is silent for so long has gone away.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const CHUNK_BYTES: usize = 1 << 16;

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

/// Makes requests.
pub(super) struct Client {
    agent: ureq::Agent,
    retry: Retry,
}

/// A download.
pub(super) struct Wanted<'a> {
    pub url: &'a str,
    /// Where the bytes are gathered; complete when [`Client::download`] has returned.
    pub part: &'a Path,
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
    pub(super) fn new(retry: Retry) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(READ_TIMEOUT))
            .timeout_per_read(Some(READ_TIMEOUT))
            .http_status_as_error(false)
            .user_agent(concat!("triptych/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.into(), retry }
    }

    /// Brings a file into its part, from where an earlier attempt stopped if that can be told.
    pub(super) fn download(&self, wanted: &Wanted<'_>) -> Result<Received, FetchError> {
        let mut n_requests = 0;
        let mut content_type = None;
        self.retry.persist(|failures| {
            n_requests += 1;
            let before = size_of(wanted.part);
            let outcome = self.attempt(wanted, &mut content_type);
            if outcome.is_err() && size_of(wanted.part) > before && n_requests < MOST_REQUESTS {
                // it came further, so it is worth going on
                *failures = 0;
            }
            outcome
        })?;
        let Digests { n_bytes, sha256, .. } = Digests::of(wanted.part)?;
        fs::remove_file(validator_path(wanted.part)).ok();
        Ok(Received { n_bytes, sha256, content_type, n_requests })
    }

    fn attempt(&self, wanted: &Wanted<'_>, content_type: &mut Option<String>) -> Result<(), FetchError> {
        let Wanted { url, part, .. } = *wanted;
        let mut have = size_of(part);
        let validator = saved_validator(part, url);
        // without a validator nobody knows what the part is the beginning of
        if have > 0 && validator.is_none() {
            discard(part);
            have = 0;
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
        if let Some(total) = n_left.map(|n| n.saturating_add(have)).filter(|total| *total > wanted.max_bytes)
        {
            return Err(FetchError::TooLarge { url: url.to_owned(), limit: wanted.max_bytes, got: total });
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

fn network(url: &str, error: &dyn std::fmt::Display) -> FetchError {
    FetchError::Network { url: url.to_owned(), problem: error.to_string() }
}
