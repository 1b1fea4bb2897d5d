//! Repositories of the Hugging Face hub against a server in the same process, which fails in every way that hubs fail.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use sha1::Digest;
use triptych_datasets::remote::{
    FetchError, HubAccess, HubRequest, HubSummary, RepoKind, Retry, fetch_hub, snapshot_hub,
};

use crate::server::{Answer, Request, Server, sha256, walk};

const AT_ONCE: Retry = Retry { n_attempts: 3, pause: Duration::ZERO };
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn git_blob(bytes: &[u8]) -> String {
    let whole = [format!("blob {}\0", bytes.len()).as_bytes(), bytes].concat();
    sha1::Sha1::digest(whole).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What stands in git for a large file.
fn pointer(bytes: &[u8]) -> String {
    let (hash, n_bytes) = (sha256(bytes), bytes.len());
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{hash}\nsize {n_bytes}\n")
}

const CARD: &[u8] = b"---\nlicense: mit\n---\n# A card\n";

fn rows() -> Vec<u8> {
    (0..5000u32).flat_map(u32::to_le_bytes).collect()
}

fn tree_item(path: &str, bytes: &[u8], is_large: bool) -> Value {
    let mut item = json!({"type": "file", "path": path, "size": bytes.len(), "oid": git_blob(bytes)});
    if is_large {
        item["oid"] = json!(git_blob(pointer(bytes).as_bytes()));
        item["lfs"] = json!({"oid": sha256(bytes), "size": bytes.len(), "pointerSize": 130});
    }
    item
}

/// Answers as the hub does for `owner/name`, a data set and a model: a small file, a large one in a folder, on two pages.
fn hub_answer(request: &Request) -> Answer {
    let host = &request.headers["host"];
    let path = request.path.as_str();
    let kind = path.strip_prefix("/api/").and_then(|path| path.split('/').next()).unwrap_or_default();
    if path == format!("/api/{kind}/owner/name/revision/main") {
        let info = json!({"id": "owner/name", "sha": COMMIT, "tags": ["size:n", "license:mit"]});
        return Answer::body(info.to_string());
    }
    if path == format!("/api/{kind}/owner/name/tree/{COMMIT}?recursive=true") {
        let items = json!([
            tree_item("README.md", CARD, false),
            {"type": "directory", "path": "data", "oid": "0"},
        ]);
        let next = format!("<http://{host}/api/page2?cursor=x>; rel=\"next\"");
        return Answer::body(items.to_string()).with("Link", next);
    }
    if path == "/api/page2?cursor=x" {
        return Answer::body(json!([tree_item("data/train 0.bin", &rows(), true)]).to_string());
    }
    let file = path.strip_prefix("/datasets").unwrap_or(path);
    match file.strip_prefix(&format!("/owner/name/resolve/{COMMIT}/")) {
        Some("README.md") => Answer::file(request, CARD, "\"card\""),
        Some("data/train%200.bin") => Answer::status(302).with("Location", "/cdn/rows"),
        _ if path == "/cdn/rows" => Answer::file(request, &rows(), "\"rows\""),
        _ => Answer::status(404),
    }
}

fn access(server: &Server, cache: &Path) -> HubAccess {
    HubAccess { endpoint: server.address.clone(), token: None, cache: cache.to_owned(), is_offline: false }
}

fn request() -> HubRequest {
    HubRequest { retry: AT_ONCE, n_threads: 2, ..HubRequest::new(RepoKind::Dataset, "owner/name") }
}

fn hub(access: &HubAccess, request: &HubRequest, dir: &Path) -> Result<HubSummary, FetchError> {
    fetch_hub(access, request, dir, &|_, _, _| {})
}

#[test]
fn data_sets_come_whole_and_are_checked() {
    let store = Server::start(|request| Answer::file(request, &rows(), "\"rows\""));
    let address = store.address.clone();
    let server = Server::start(move |request| match request.path.contains("train") {
        true => Answer::status(302).with("Location", format!("{address}/rows")),
        false => hub_answer(request),
    });
    let dir = tempfile::tempdir().expect("a temporary folder");
    let access =
        HubAccess { token: Some("hf_secret".to_owned()), ..access(&server, &dir.path().join("cache")) };
    let out = dir.path().join("out");
    let summary = hub(&access, &request(), &out).expect("the hub is there");
    assert_eq!((summary.n_files, summary.n_new, summary.licence.as_deref()), (2, 2, Some("mit")));
    assert_eq!((summary.commit.as_str(), summary.n_bytes), (COMMIT, (CARD.len() + rows().len()) as u64));
    assert_eq!(fs::read(out.join("README.md")).expect("it came"), CARD);
    assert_eq!(fs::read(out.join("data/train 0.bin")).expect("it came"), rows());
    assert!(!access.cache.exists(), "a folder of one's own needs no cache");
    let token = |request: &Request| request.headers.get("authorization").cloned();
    let asked = server.take_requests();
    assert!(asked.iter().all(|request| token(request).as_deref() == Some("Bearer hf_secret")));
    let stored = store.take_requests();
    assert!(!stored.is_empty() && stored.iter().all(|request| token(request).is_none()));
    // what is there is checked, not fetched; what was changed comes again
    fs::write(out.join("README.md"), vec![b'x'; CARD.len()]).expect("it is writable");
    let again = hub(&access, &request(), &out).expect("the hub is there");
    assert_eq!((again.n_files, again.n_new), (2, 1));
    assert_eq!(fs::read(out.join("README.md")).expect("it came"), CARD);
    let fetched = server
        .take_requests()
        .into_iter()
        .filter(|request| request.method == "GET" && request.path.contains("resolve"));
    assert_eq!(fetched.count(), 1);
}

#[test]
fn patterns_choose_files() {
    let (server, dir) = (Server::start(hub_answer), tempfile::tempdir().expect("a temporary folder"));
    let request = HubRequest { include: vec!["*.bin".to_owned()], ..request() };
    let summary =
        hub(&access(&server, dir.path()), &request, &dir.path().join("out")).expect("the hub is there");
    assert_eq!(summary.n_files, 1);
    assert!(!dir.path().join("out/README.md").exists());
    let bad = HubRequest { include: vec!["[".to_owned()], ..request };
    assert!(matches!(hub(&access(&server, dir.path()), &bad, dir.path()), Err(FetchError::Malformed { .. })));
}

#[test]
fn cut_connections_cost_only_what_had_not_come() {
    let server = Server::start(|request| match request.path.as_str() {
        "/cdn/rows" => hub_answer(request).cut_after(6000),
        _ => hub_answer(request),
    });
    let dir = tempfile::tempdir().expect("a temporary folder");
    hub(&access(&server, dir.path()), &request(), &dir.path().join("out")).expect("it goes on by itself");
    let ranges: Vec<Option<String>> = server
        .take_requests()
        .into_iter()
        .filter(|request| request.method == "GET" && request.path == "/cdn/rows")
        .map(|request| request.headers.get("range").cloned())
        .collect();
    let expected = [None, Some("bytes=6000-19999"), Some("bytes=12000-19999"), Some("bytes=18000-19999")];
    assert_eq!(ranges, expected.map(|range| range.map(ToOwned::to_owned)));
    assert_eq!(fs::read(dir.path().join("out/data/train 0.bin")).expect("it came"), rows());
}

fn other() -> Vec<u8> {
    vec![7; rows().len()]
}

#[test]
fn damaged_files_are_not_kept() {
    let server = Server::start(|request| match request.path.as_str() {
        "/cdn/rows" => Answer::body(other()),
        _ => hub_answer(request),
    });
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("out");
    let error = hub(&access(&server, dir.path()), &request(), &out).expect_err("the hash is another");
    assert!(error.to_string().starts_with("1 of 2 files failed, the first: "), "{error}");
    assert!(
        error.to_string().contains(&format!(
            "got git blob {} (sha256 {})",
            git_blob(pointer(&other()).as_bytes()),
            sha256(&other())
        )),
        "{error}"
    );
    assert!(error.hint().is_some() && error.kind() == "hash");
    assert!(!out.join("data/train 0.bin").exists() && out.join("README.md").exists());
}

#[test]
fn refusals_are_told_in_words() {
    for (status, has_token, expected) in [
        (
            401,
            false,
            "does not let anyone without a token read the data set \"owner/name\" (HTTP status 401)",
        ),
        (403, true, "does not let the given token read the data set \"owner/name\" (HTTP status 403)"),
        (404, true, "has no data set \"owner/name\" at revision \"main\", or does not show it"),
        (500, true, "expected the file, got HTTP status 500"),
    ] {
        let server = Server::start(move |_| Answer::status(status));
        let dir = tempfile::tempdir().expect("a temporary folder");
        let token = has_token.then(|| "hf_secret".to_owned());
        let access = HubAccess { token, ..access(&server, dir.path()) };
        let error = hub(&access, &request(), dir.path()).expect_err("the hub refuses");
        let message = error.to_string();
        assert!(message.contains(expected) && !message.contains("hf_secret"), "{message}");
        assert!(status == 500 || error.hint().is_some(), "{message}");
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", closed.local_addr().expect("it is bound"));
    drop(closed);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let access = HubAccess { endpoint, token: None, cache: dir.path().to_owned(), is_offline: false };
    let error = hub(&access, &request(), dir.path()).expect_err("nobody listens");
    assert!(matches!(error, FetchError::Network { .. }), "{error}");
    assert!(error.to_string().contains("Connection refused"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("is there a network")));
}

#[test]
fn listings_that_lead_out_of_the_folder_are_refused() {
    for path in ["../outside", "/etc/outside", "data/../../outside", "data\\..\\outside", "c:outside"] {
        let server = Server::start(move |request| match request.path.contains("/tree/") {
            true => Answer::body(json!([tree_item(path, CARD, false)]).to_string()),
            false => hub_answer(request),
        });
        let dir = tempfile::tempdir().expect("a temporary folder");
        let out = dir.path().join("out");
        let error = hub(&access(&server, dir.path()), &request(), &out).expect_err("the name leads out");
        assert!(matches!(error, FetchError::UnsafeName { .. }), "{error}");
        assert_eq!(walk(dir.path()).len(), 0);
    }
    for answer in [
        "",
        "[]",
        "{\"id\": \"a/b\"}",
        "{\"id\": \"a/b\", \"sha\": \"../..\"}",
        "{\"id\": \"a/b\", \"sha\": 3}",
    ] {
        let server = Server::start(move |_| Answer::body(answer));
        let dir = tempfile::tempdir().expect("a temporary folder");
        let error = hub(&access(&server, dir.path()), &request(), dir.path()).expect_err("it is no answer");
        assert!(matches!(error, FetchError::Malformed { .. }), "{error}");
    }
}

/// The cache as other programs leave it: links to files named after their hashes.
#[cfg(unix)]
fn fill_cache(cache: &Path) {
    let repo = cache.join("datasets--owner--name");
    let snapshot = repo.join("snapshots").join(COMMIT);
    fs::create_dir_all(snapshot.join("data")).expect("the folder is writable");
    fs::create_dir_all(repo.join("blobs")).expect("the folder is writable");
    fs::create_dir_all(repo.join("refs")).expect("the folder is writable");
    fs::write(repo.join("refs/main"), COMMIT).expect("the folder is writable");
    let files = [
        ("README.md", git_blob(CARD), CARD.to_vec(), ".."),
        ("data/train 0.bin", sha256(&rows()), rows(), "../.."),
    ];
    for (path, hash, bytes, up) in files {
        fs::write(repo.join("blobs").join(&hash), bytes).expect("the folder is writable");
        std::os::unix::fs::symlink(format!("{up}/../blobs/{hash}"), snapshot.join(path))
            .expect("links are possible");
    }
}

#[cfg(unix)]
#[test]
fn offline_the_cache_is_used_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(hub_answer);
    let cache = dir.path().join("cache");
    let offline = HubAccess { is_offline: true, ..access(&server, &cache) };
    let out = dir.path().join("out");
    let error = hub(&offline, &request(), &out).expect_err("the cache is empty");
    assert!(error.to_string().starts_with("offline (HF_HUB_OFFLINE is set), and "), "{error}");
    fill_cache(&cache);
    let summary = hub(&offline, &request(), &out).expect("the cache has it");
    assert_eq!((summary.n_files, summary.commit.as_str()), (2, COMMIT));
    assert_eq!(fs::read(out.join("data/train 0.bin")).expect("it came"), rows());
    assert_eq!(server.take_requests().len(), 0);
    let (snapshot, _) = snapshot_hub(&offline, &request(), &|_, _, _| {}).expect("the cache has it");
    assert_eq!(fs::read(snapshot.join("README.md")).expect("it is there"), CARD);
    let elsewhere = HubRequest { revision: "../main".to_owned(), ..request() };
    assert!(matches!(hub(&offline, &elsewhere, &out), Err(FetchError::UnsafeName { .. })));
    // online too, what the cache has is not fetched
    hub(&access(&server, &cache), &request(), &dir.path().join("other")).expect("the hub is there");
    assert!(server.take_requests().iter().all(|request| request.path.starts_with("/api/")));
    // a blob that is not what its name says is not taken
    let blob = cache.join("datasets--owner--name/blobs").join(git_blob(CARD));
    fs::write(blob, vec![b'x'; CARD.len()]).expect("it is writable");
    assert!(hub(&offline, &request(), &dir.path().join("third")).is_err());
}

#[test]
fn listings_that_make_no_sense_are_refused() {
    let file = || tree_item("a.txt", CARD, false);
    let mut odd = file();
    odd["oid"] = json!("../../blob");
    for (items, expected) in [
        (json!([file(), file()]), "expected every path once, got \"a.txt\" again"),
        (json!([odd]), "expected 40 hexadecimal digits, got \"../../blob\""),
        (json!([{"type": "file"}]), "missing field"),
        (json!({}), "expected a sequence"),
    ] {
        let server = Server::start(move |request| match request.path.contains("/tree/") {
            true => Answer::body(items.to_string()),
            false => hub_answer(request),
        });
        let dir = tempfile::tempdir().expect("a temporary folder");
        let error = hub(&access(&server, dir.path()), &request(), dir.path()).expect_err("it is no listing");
        assert!(matches!(error, FetchError::Malformed { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    // a page that names itself as the next one
    let server = Server::start(|request| match request.path.contains("/tree/") {
        true => {
            let next = format!("<http://{}{}>; rel=\"next\"", request.headers["host"], request.path);
            Answer::body(json!([tree_item("a.txt", CARD, false)]).to_string()).with("Link", next)
        }
        false => hub_answer(request),
    });
    let dir = tempfile::tempdir().expect("a temporary folder");
    let error = hub(&access(&server, dir.path()), &request(), dir.path()).expect_err("it goes in circles");
    assert!(error.to_string().contains("again"), "{error}");
}

#[test]
fn files_that_are_too_long_or_begin_anew_are_no_harm() {
    let server = Server::start(|request| match request.path.as_str() {
        "/cdn/rows" => Answer::body([rows(), rows()].concat()),
        _ => hub_answer(request),
    });
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("out");
    let error = hub(&access(&server, dir.path()), &request(), &out).expect_err("it is too long");
    assert!(error.to_string().contains("expected 20000 bytes, got more"), "{error}");
    assert_eq!(walk(&out).len(), 1, "{:?}", walk(&out));
    // asked for the rest, this one sends everything
    let server = Server::start(|request| match (request.path.as_str(), request.n_before) {
        ("/cdn/rows", 0) if request.method == "GET" => Answer::body(rows()).cut_after(6000),
        ("/cdn/rows", _) => Answer::body(rows()),
        _ => hub_answer(request),
    });
    hub(&access(&server, dir.path()), &request(), &out).expect("the hub is there");
    assert_eq!(fs::read(out.join("data/train 0.bin")).expect("it came"), rows());
}

#[test]
fn a_stopped_run_is_gone_on_with_by_the_next_one() {
    let server = Server::start(|request| match request.path.as_str() {
        "/cdn/rows" => {
            hub_answer(request).cut_after(if request.headers.contains_key("range") { 20_000 } else { 6000 })
        }
        _ => hub_answer(request),
    });
    let dir = tempfile::tempdir().expect("a temporary folder");
    let no_patience = Retry { n_attempts: 1, pause: Duration::ZERO };
    let request = HubRequest { kind: RepoKind::Model, retry: no_patience, ..request() };
    let access = access(&server, &dir.path().join("cache"));
    let error = snapshot_hub(&access, &request, &|_, _, _| {}).expect_err("the connection is cut");
    assert!(error.to_string().starts_with("1 of 2 files failed, the first: "), "{error}");
    server.take_requests();
    let (_, summary) = snapshot_hub(&access, &request, &|_, _, _| {}).expect("the hub is there");
    assert_eq!((summary.n_files, summary.n_new), (2, 1));
    let ranges =
        server.take_requests().into_iter().filter_map(|request| request.headers.get("range").cloned());
    assert!(ranges.eq(["bytes=6000-19999", "bytes=6000-19999"]), "asked for, and where that led");
}

#[cfg(unix)]
#[test]
fn models_lie_in_the_cache_as_other_programs_leave_them() {
    let (server, dir) = (Server::start(hub_answer), tempfile::tempdir().expect("a temporary folder"));
    let access = access(&server, &dir.path().join("cache"));
    let request = HubRequest { kind: RepoKind::Model, ..request() };
    let snapshot = |access: &HubAccess| snapshot_hub(access, &request, &|_, _, _| {});
    let (folder, summary) = snapshot(&access).expect("the hub is there");
    let repo = access.cache.join("models--owner--name");
    assert_eq!(folder, repo.join("snapshots").join(COMMIT));
    assert_eq!((summary.n_files, summary.n_new), (2, 2));
    assert_eq!(fs::read_to_string(repo.join("refs/main")).expect("it was written"), COMMIT);
    for (path, up, hash, bytes) in [
        ("README.md", "../..", git_blob(CARD), CARD.to_vec()),
        ("data/train 0.bin", "../../..", sha256(&rows()), rows()),
    ] {
        let link = fs::read_link(folder.join(path)).expect("it is a link");
        assert_eq!(link, PathBuf::from(format!("{up}/blobs/{hash}")));
        assert_eq!(fs::read(folder.join(path)).expect("it leads there"), bytes);
    }
    assert_eq!(walk(&repo.join("blobs")).len(), 2);
    // nothing comes twice, not even for another name
    server.take_requests();
    fs::remove_file(folder.join("data/train 0.bin")).expect("it is there");
    let (_, again) = snapshot(&access).expect("the hub is there");
    assert_eq!((again.n_files, again.n_new), (2, 0));
    assert!(server.take_requests().iter().all(|request| request.path.starts_with("/api/")));
    // offline it is found, and a folder of one's own is filled from it
    let offline = HubAccess { is_offline: true, ..access };
    assert_eq!(
        snapshot(&offline).expect("the cache has it"),
        (folder, HubSummary { licence: None, ..again })
    );
    let out = dir.path().join("out");
    assert_eq!(hub(&offline, &request, &out).expect("the cache has it").n_new, 2);
    assert_eq!(server.take_requests().len(), 0);
}
