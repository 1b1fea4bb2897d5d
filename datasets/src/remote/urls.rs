//! Lists of addresses to a folder of files.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::download::{Client, Wanted};
use super::ledger::Ledger;
use super::part::discard;
use super::sniff::{Kind, START_BYTES, sniff};
use super::threads::in_threads;
use super::{Accept, FetchError, LedgerLine, Outcome, Retry, UrlItem};
use crate::shard::write_atomic;

/// What `data import` reads of the folder.
const MANIFEST: &str = "manifest.jsonl";
/// Ends of names of files that are not whole yet.
const PART: &str = "part";

/// How a list is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlOptions {
    /// Downloads at once.
    pub n_threads: usize,
    /// Of one file.
    pub max_bytes: u64,
    /// What is kept; by the first bytes, whatever the server calls it.
    pub accept: Accept,
    /// Whether what failed in an earlier run is tried again.
    pub retries_failed: bool,
    /// How patient each download is.
    pub retry: Retry,
}

impl Default for UrlOptions {
    fn default() -> Self {
        Self {
            n_threads: 8,
            max_bytes: 256 << 20,
            accept: Accept::default(),
            retries_failed: false,
            retry: Retry::default(),
        }
    }
}

/// What came of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct UrlSummary {
    /// Different addresses.
    pub n_addresses: usize,
    /// Files that lie in the folder now.
    pub n_files: usize,
    /// Those of them that came in this run.
    pub n_new: usize,
    /// Bytes of the new ones.
    pub n_new_bytes: u64,
    /// Addresses without a file, by the kind of the reason; `ledger.jsonl` has each reason.
    pub failed: BTreeMap<String, usize>,
}

/// Fetches what a list names into a folder, or goes on with it.
///
/// ```text
/// ab/abcd0123456789ef.jpg ...    named after the address alone, ending by the first bytes
/// ledger.jsonl                   what became of every address: file, size, hash, or why there is none
/// manifest.jsonl                 a line a row of the list whose file is there, with the row's other columns, for import
/// ```
///
/// `progress` is called with the addresses done and to do, and how the last ended.
///
/// # Errors
/// A folder that cannot be written to. What happens to single addresses is written down, and the rest goes on.
pub fn fetch_urls(
    items: &[UrlItem],
    dir: &Path,
    options: &UrlOptions,
    progress: &dyn Fn(usize, usize, &str),
) -> Result<UrlSummary, FetchError> {
    fs::create_dir_all(dir).map_err(|e| FetchError::io("create", dir, e))?;
    let mut ledger = Ledger::open(dir)?;
    let mut seen = HashSet::new();
    let addresses: Vec<&str> =
        items.iter().map(|item| item.url.as_str()).filter(|url| seen.insert(*url)).collect();
    let to_do: Vec<&str> =
        addresses.iter().copied().filter(|url| is_open(ledger.outcome(url), dir, options)).collect();
    let mut summary = UrlSummary { n_addresses: addresses.len(), ..UrlSummary::default() };
    let (mut n_done, n_all) = (addresses.len() - to_do.len(), addresses.len());
    progress(n_done, n_all, "");
    let client = Client::new(options.retry);
    in_threads(
        options.n_threads,
        &to_do,
        |url| fetch(&client, url, dir, options),
        |url, fetched| {
            let outcome = match fetched {
                Ok(outcome) => outcome,
                Err(error) if error.is_local() => return Err(error),
                Err(error) => Outcome::Failed { kind: error.kind().to_owned(), reason: error.to_string() },
            };
            let message = match &outcome {
                Outcome::Ok { n_bytes, .. } => {
                    summary.n_new += 1;
                    summary.n_new_bytes += n_bytes;
                    String::new()
                }
                Outcome::Failed { reason, .. } => reason.clone(),
            };
            ledger.record(LedgerLine { url: (*url).to_owned(), outcome })?;
            n_done += 1;
            progress(n_done, n_all, &message);
            Ok(())
        },
    )?;
    for url in &addresses {
        match ledger.outcome(url) {
            Some(Outcome::Ok { .. }) => summary.n_files += 1,
            Some(Outcome::Failed { kind, .. }) => *summary.failed.entry(kind.clone()).or_default() += 1,
            None => {}
        }
    }
    write_manifest(items, &ledger, dir)?;
    Ok(summary)
}

/// Whether an address is still to be fetched.
fn is_open(outcome: Option<&Outcome>, dir: &Path, options: &UrlOptions) -> bool {
    match outcome {
        // a ledger from elsewhere must not lead out of the folder, not even to look
        Some(Outcome::Ok { file, n_bytes, .. }) => {
            !is_own_name(file)
                || fs::metadata(dir.join(file)).map_or(true, |metadata| metadata.len() != *n_bytes)
        }
        Some(Outcome::Failed { .. }) => options.retries_failed,
        None => true,
    }
}

fn fetch(client: &Client, url: &str, dir: &Path, options: &UrlOptions) -> Result<Outcome, FetchError> {
    let name = blake3::hash(url.as_bytes()).to_hex()[..24].to_owned();
    let folder = dir.join(&name[..2]);
    make_folder(&folder)?;
    let part = folder.join(&name).with_extension(PART);
    let check = |start: &[u8]| options.accept.check(url, start);
    let wanted = Wanted { url, part: &part, max_bytes: options.max_bytes, check: &check };
    let received = client.download(&wanted).inspect_err(|error| {
        if !error.is_transient() {
            discard(&part);
        }
    })?;
    let start = read_start(&part)?;
    let extension =
        sniff(&start).map(|(_, extension)| extension).or_else(|| plain_extension(url)).unwrap_or("bin");
    let path = part.with_extension(extension);
    fs::rename(&part, &path).map_err(|e| FetchError::io("rename", &path, e))?;
    Ok(Outcome::Ok {
        file: format!("{}/{name}.{extension}", &name[..2]),
        n_bytes: received.n_bytes,
        sha256: received.sha256,
        content_type: received.content_type,
    })
}

/// A folder that is really one: a link that lies there already may lead elsewhere.
fn make_folder(folder: &Path) -> Result<(), FetchError> {
    fs::create_dir_all(folder).map_err(|e| FetchError::io("create", folder, e))?;
    let metadata = fs::symlink_metadata(folder).map_err(|e| FetchError::io("read", folder, e))?;
    if metadata.is_dir() {
        return Ok(());
    }
    let name = folder.display().to_string();
    Err(FetchError::io(
        "create",
        folder,
        std::io::Error::other(format!("{name} is a link, expected a folder")),
    ))
}

fn read_start(path: &Path) -> Result<Vec<u8>, FetchError> {
    use std::io::Read;
    let file = fs::File::open(path).map_err(|e| FetchError::io("read", path, e))?;
    let mut start = Vec::new();
    file.take(START_BYTES as u64).read_to_end(&mut start).map_err(|e| FetchError::io("read", path, e))?;
    Ok(start)
}

/// The ending that an address has, if it is a short one of plain letters.
fn plain_extension(url: &str) -> Option<&str> {
    let path = url.split(['?', '#']).next()?.splitn(4, '/').nth(3)?;
    let (_, extension) = path.rsplit('/').next()?.rsplit_once('.')?;
    let is_plain = (1..=8).contains(&extension.len())
        && extension.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && extension != PART;
    is_plain.then_some(extension)
}

/// `ab/abcd....jpg` and nothing else.
fn is_own_name(file: &str) -> bool {
    file.split_once('/').is_some_and(|(folder, name)| {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'.';
        folder.len() == 2
            && folder.bytes().all(|b| b.is_ascii_hexdigit())
            && name.starts_with(folder)
            && name.bytes().all(is_plain)
    })
}

/// The rows of the list whose files are there, as `data import` takes them.
fn write_manifest(items: &[UrlItem], ledger: &Ledger, dir: &Path) -> Result<(), FetchError> {
    let path: PathBuf = dir.join(MANIFEST);
    let mut lines = Vec::new();
    for item in items {
        let Some(Outcome::Ok { file, n_bytes, .. }) = ledger.outcome(&item.url) else { continue };
        let is_there = |metadata: fs::Metadata| metadata.is_file() && metadata.len() == *n_bytes;
        if !is_own_name(file) || !fs::symlink_metadata(dir.join(file)).is_ok_and(is_there) {
            continue;
        }
        let kind = sniff(&read_start(&dir.join(file))?).map_or(Kind::Other, |(kind, _)| kind);
        let key = match kind {
            Kind::Image => "image",
            Kind::Audio => "audio",
            Kind::Other => "file",
        };
        let mut row = serde_json::Map::new();
        row.insert(key.to_owned(), Value::from(file.as_str()));
        row.insert("source".to_owned(), Value::from(item.url.as_str()));
        for (name, value) in &item.fields {
            let name = if name == "caption" && !item.fields.contains_key("text") { "text" } else { name };
            row.entry(name.to_owned()).or_insert_with(|| value.clone());
        }
        serde_json::to_writer(&mut lines, &row).map_err(|e| FetchError::io("write", &path, e.into()))?;
        lines.write_all(b"\n").map_err(|e| FetchError::io("write", &path, e))?;
    }
    write_atomic(&path, &lines).map_err(|e| FetchError::io("write", &path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_plain() {
        assert!(is_own_name("ab/abcd.jpg"));
        for name in [
            "../x",
            "/etc/passwd",
            "ab/../../x",
            "ab/abcd/../x",
            "ab",
            "zz/zz.jpg",
            "ab/cd.jpg",
            "ab/ab\\..\\x",
        ] {
            assert!(!is_own_name(name), "{name}");
        }
        assert_eq!(plain_extension("http://a.b/c/d.txt?x=1.png"), Some("txt"));
        for url in [
            "http://a.com",
            "http://a/b",
            "http://a/b.",
            "http://a/b.T/x",
            "http://a/b.toolongending",
            "http://a/b.p%2Fq",
        ] {
            assert_eq!(plain_extension(url), None, "{url}");
        }
    }
}
