//! Downloads against a server in the same process, which fails in every way that servers fail.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use sha1::Digest;
use triptych_datasets::remote::{
    Accept, FetchError, HubAccess, HubRequest, HubSummary, LedgerLine, Outcome, Retry, UrlItem, UrlOptions,
    UrlSummary, fetch_hub, fetch_urls, read_list,
};

use crate::fixture::{picture, tone};
use crate::server::{Answer, Request, Server};

const AT_ONCE: Retry = Retry { n_attempts: 3, pause: Duration::ZERO };
const NO_PATIENCE: Retry = Retry { n_attempts: 1, pause: Duration::ZERO };
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn options() -> UrlOptions {
    UrlOptions { retry: AT_ONCE, n_threads: 3, max_bytes: 100_000, ..UrlOptions::default() }
}

fn items(server: &Server, paths: &[&str]) -> Vec<UrlItem> {
    let item = |path: &&str| UrlItem { url: format!("{}{path}", server.address), fields: Default::default() };
    paths.iter().map(item).collect()
}

fn fetch(items: &[UrlItem], dir: &Path, options: &UrlOptions) -> UrlSummary {
    fetch_urls(items, dir, options, &|_, _, _| {}).expect("the folder is writable")
}

/// The last line of each address, by its path.
fn ledger(dir: &Path, server: &Server) -> BTreeMap<String, Outcome> {
    let text = fs::read_to_string(dir.join("ledger.jsonl")).expect("it was written");
    let line = |line: &str| serde_json::from_str::<LedgerLine>(line).expect("it is a line of a ledger");
    text.lines().map(line).map(|line| (line.url.replace(&server.address, ""), line.outcome)).collect()
}

fn file_of(dir: &Path, outcome: &Outcome) -> Vec<u8> {
    let Outcome::Ok { file, .. } = outcome else { panic!("expected a file, got {outcome:?}") };
    fs::read(dir.join(file)).expect("it is where the ledger says")
}

fn sha256(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn git_blob(bytes: &[u8]) -> String {
    let whole = [format!("blob {}\0", bytes.len()).as_bytes(), bytes].concat();
    sha1::Sha1::digest(whole).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn list_server() -> Server {
    Server::start(|request| match request.path.as_str() {
        "/cat.jpeg?size=1" => Answer::file(request, &picture(3, 0), "\"a\""),
        "/voice" => Answer::file(request, &tone(2, 1), "\"b\""),
        "/page.png" => Answer::body("<!DOCTYPE html><html>login</html>").with("Content-Type", "image/png"),
        "/large.png" => Answer::body([&picture(1, 1)[..], &[0; 200_000]].concat()),
        "/busy.png" if request.n_before < 2 => Answer::status(503),
        "/busy.png" => Answer::file(request, &picture(2, 2), "\"c\""),
        "/cut.wav" => Answer::file(request, &tone(9, 0), "\"d\"").cut_after(1500),
        "/empty.png" => Answer::body(""),
        _ => Answer::status(404),
    })
}

const LISTED: [&str; 8] = [
    "/cat.jpeg?size=1",
    "/voice",
    "/page.png",
    "/large.png",
    "/busy.png",
    "/cut.wav",
    "/gone.png",
    "/empty.png",
];

#[test]
fn every_address_of_a_list_has_its_fate_written_down() {
    let (server, dir) = (list_server(), tempfile::tempdir().expect("a temporary folder"));
    let mut items = items(&server, &LISTED);
    // twice in the list, fetched once; its fields go to the manifest
    items.push(UrlItem {
        fields: json!({"caption": "a cat"}).as_object().cloned().unwrap_or_default(),
        ..items[0].clone()
    });
    items.push(UrlItem { url: "ftp://elsewhere/file".to_owned(), fields: Default::default() });
    let summary = fetch(&items, dir.path(), &options());
    assert_eq!((summary.n_addresses, summary.n_files, summary.n_new), (9, 4, 4));
    let failed = [("kind", 2), ("malformed", 1), ("status", 1), ("too_large", 1)];
    assert_eq!(summary.failed, failed.map(|(kind, n)| (kind.to_owned(), n)).into());
    let ledger = ledger(dir.path(), &server);
    assert_eq!(file_of(dir.path(), &ledger["/cat.jpeg?size=1"]), picture(3, 0));
    assert_eq!(file_of(dir.path(), &ledger["/voice"]), tone(2, 1));
    assert_eq!(file_of(dir.path(), &ledger["/busy.png"]), picture(2, 2));
    assert_eq!(file_of(dir.path(), &ledger["/cut.wav"]), tone(9, 0));
    let reason = |path: &str| match &ledger[path] {
        Outcome::Failed { reason, .. } => reason.replace(&server.address, ""),
        outcome => panic!("expected a failure, got {outcome:?}"),
    };
    assert_eq!(reason("/page.png"), "/page.png: expected a picture or a sound, got a web page");
    assert_eq!(reason("/empty.png"), "/empty.png: expected a picture or a sound, got something unknown");
    assert_eq!(reason("/gone.png"), "/gone.png: expected the file, got HTTP status 404");
    let n_bytes = picture(1, 1).len() + 200_000;
    assert_eq!(reason("/large.png"), format!("/large.png: expected at most 100000 bytes, got {n_bytes}"));
    let Outcome::Ok { file, sha256: hash, .. } = &ledger["/cat.jpeg?size=1"] else { panic!("it came") };
    assert!(
        file.ends_with(".png") && *hash == sha256(&picture(3, 0)),
        "named and hashed by its bytes: {file}"
    );

    let manifest = fs::read_to_string(dir.path().join("manifest.jsonl")).expect("it was written");
    let rows: Vec<Value> = manifest.lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
    assert_eq!(rows.len(), 5);
    assert_eq!(rows[4], json!({"image": file, "source": items[0].url, "text": "a cat"}));
    assert!(rows[1]["audio"].as_str().is_some_and(|file| file.ends_with(".wav")), "{}", rows[1]);
    let is_left_over = |path: &&String| path.ends_with(".part") || path.ends_with(".validator");
    assert_eq!(walk(dir.path()).iter().find(is_left_over), None);
}

fn walk(dir: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    for item in fs::read_dir(dir).expect("it is a folder").flatten() {
        let path = item.path();
        if path.is_dir() { paths.extend(walk(&path)) } else { paths.push(path.display().to_string()) }
    }
    paths
}

#[test]
fn what_is_there_is_not_fetched_again_and_failures_only_when_asked() {
    let (server, dir) = (list_server(), tempfile::tempdir().expect("a temporary folder"));
    let items = items(&server, &LISTED);
    let first = fetch(&items, dir.path(), &options());
    server.take_requests();
    let second = fetch(&items, dir.path(), &options());
    assert_eq!(server.take_requests().len(), 0);
    assert_eq!((second.n_files, second.n_new, &second.failed), (first.n_files, 0, &first.failed));
    fetch(&items, dir.path(), &UrlOptions { retries_failed: true, ..options() });
    let mut again: Vec<String> = server.take_requests().into_iter().map(|request| request.path).collect();
    again.sort();
    again.dedup();
    assert_eq!(again, ["/empty.png", "/gone.png", "/large.png", "/page.png"]);
    // a file that somebody removed comes again
    let Outcome::Ok { file, .. } = &ledger(dir.path(), &server)["/voice"] else { panic!("it came") };
    fs::remove_file(dir.path().join(file)).expect("it is there");
    assert_eq!(fetch(&items, dir.path(), &options()).n_new, 1);
}

#[test]
fn interrupted_downloads_go_on_where_they_stopped() {
    let server = Server::start(|request| Answer::file(request, &tone(20, 0), "\"v1\"").cut_after(1200));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let items = items(&server, &["/long.wav"]);
    let options = UrlOptions { retry: NO_PATIENCE, retries_failed: true, ..options() };
    // each run gets 1,200 bytes further
    let n_runs = tone(20, 0).len().div_ceil(1200);
    for run in 0..n_runs {
        let summary = fetch(&items, dir.path(), &options);
        let request = server.take_requests().remove(0);
        let range = (run > 0).then(|| format!("bytes={}-", run * 1200));
        assert_eq!(request.headers.get("range"), range.as_ref());
        assert_eq!(request.headers.get("if-range").map(String::as_str), range.as_ref().map(|_| "\"v1\""));
        assert_eq!(summary.n_files, usize::from(run + 1 == n_runs), "run {run}");
    }
    assert_eq!(file_of(dir.path(), &ledger(dir.path(), &server)["/long.wav"]), tone(20, 0));
}

#[test]
fn half_of_an_old_version_is_never_joined_with_half_of_a_new_one() {
    let server = Server::start(|request| match request.n_before {
        0 => Answer::file(request, &tone(20, 0), "\"v1\"").cut_after(1200),
        _ => Answer::file(request, &tone(25, 1), "\"v2\""),
    });
    let dir = tempfile::tempdir().expect("a temporary folder");
    let summary = fetch(&items(&server, &["/changed.wav"]), dir.path(), &options());
    assert_eq!(summary.n_files, 1);
    assert_eq!(file_of(dir.path(), &ledger(dir.path(), &server)["/changed.wav"]), tone(25, 1));
    // without a tag nothing is known of what lies there
    let server = Server::start(|request| match request.n_before {
        0 => Answer::body(tone(20, 0)).cut_after(1200),
        _ => Answer::body(tone(25, 1)),
    });
    let items = items(&server, &["/untagged.wav"]);
    fetch(&items, dir.path(), &options());
    assert!(server.take_requests().iter().all(|request| !request.headers.contains_key("range")));
    assert_eq!(file_of(dir.path(), &ledger(dir.path(), &server)["/untagged.wav"]), tone(25, 1));
}

#[test]
fn only_what_is_asked_for_is_kept() {
    let (server, dir) = (list_server(), tempfile::tempdir().expect("a temporary folder"));
    let items = items(&server, &["/voice", "/busy.png", "/page.png"]);
    let only = |accept| UrlOptions { accept, retries_failed: true, ..options() };
    assert_eq!(fetch(&items, &dir.path().join("a"), &only(Accept::Audio)).n_files, 1);
    assert_eq!(fetch(&items, &dir.path().join("b"), &only(Accept::Image)).n_files, 1);
    assert_eq!(fetch(&items, &dir.path().join("c"), &only(Accept::Any)).n_files, 3);
}

#[test]
fn servers_that_are_not_there_are_failures_not_errors() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = closed.local_addr().expect("it is bound");
    drop(closed);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let list = dir.path().join("list.txt");
    fs::write(&list, format!("http://{address}/a.png\nhttp://[bad/b.png\n")).expect("the folder is writable");
    let items = read_list(&list, None).expect("two lines");
    let summary = fetch(&items, &dir.path().join("out"), &options());
    assert_eq!(summary.failed, [("malformed".to_owned(), 1), ("network".to_owned(), 1)].into());
    // a folder that cannot be made is an error
    let error = fetch_urls(&items, &list, &options(), &|_, _, _| {}).expect_err("a file is in the way");
    assert!(matches!(error, FetchError::Io { .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn links_in_the_folder_lead_nowhere() {
    let (server, dir) = (list_server(), tempfile::tempdir().expect("a temporary folder"));
    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    let items = items(&server, &["/voice"]);
    let name = blake3::hash(items[0].url.as_bytes()).to_hex()[..2].to_owned();
    std::os::unix::fs::symlink(elsewhere.path(), dir.path().join(name)).expect("links are possible");
    let error = fetch_urls(&items, dir.path(), &options(), &|_, _, _| {}).expect_err("a link is in the way");
    assert!(error.to_string().contains("is a link, expected a folder"), "{error}");
    assert_eq!(walk(elsewhere.path()).len(), 0);
}

// the hub

const CARD: &[u8] = b"---\nlicense: mit\n---\n# A card\n";

fn rows() -> Vec<u8> {
    (0..5000u32).flat_map(u32::to_le_bytes).collect()
}

fn tree_item(path: &str, bytes: &[u8], is_large: bool) -> Value {
    let mut item = json!({"type": "file", "path": path, "size": bytes.len(), "oid": git_blob(bytes)});
    if is_large {
        item["oid"] = json!("0".repeat(40));
        item["lfs"] = json!({"oid": sha256(bytes), "size": bytes.len(), "pointerSize": 130});
    }
    item
}

/// Answers as the hub does for `owner/name`: a small file, a large one, one in a folder, on two pages.
fn hub_answer(request: &Request) -> Answer {
    let page = format!("/api/datasets/owner/name/tree/{COMMIT}?recursive=true");
    let resolve = format!("/datasets/owner/name/resolve/{COMMIT}/");
    let host = &request.headers["host"];
    match request.path.as_str() {
        "/api/datasets/owner/name/revision/main" => {
            Answer::body(json!({"sha": COMMIT, "tags": ["size:n", "license:mit"]}).to_string())
        }
        path if path == page => {
            let items = json!([tree_item("README.md", CARD, false), {"type": "directory", "path": "data", "oid": "0"}]);
            Answer::body(items.to_string())
                .with("Link", format!("<http://{host}/api/page2?cursor=x>; rel=\"next\""))
        }
        "/api/page2?cursor=x" => {
            Answer::body(json!([tree_item("data/train 0.bin", &rows(), true)]).to_string())
        }
        path => match path.strip_prefix(&resolve) {
            Some("README.md") => Answer::file(request, CARD, "\"card\""),
            Some("data/train%200.bin") => Answer::status(302).with("Location", "/cdn/rows"),
            _ if path == "/cdn/rows" => Answer::file(request, &rows(), "\"rows\""),
            _ => Answer::status(404),
        },
    }
}

fn access(server: &Server, cache: &Path) -> HubAccess {
    HubAccess { endpoint: server.address.clone(), token: None, cache: cache.to_owned(), is_offline: false }
}

fn request() -> HubRequest {
    HubRequest { retry: AT_ONCE, n_threads: 2, ..HubRequest::new("owner/name") }
}

fn hub(access: &HubAccess, request: &HubRequest, dir: &Path) -> Result<HubSummary, FetchError> {
    fetch_hub(access, request, dir, &|_, _, _| {})
}

#[test]
fn data_sets_come_whole_and_are_checked() {
    let (server, dir) = (Server::start(hub_answer), tempfile::tempdir().expect("a temporary folder"));
    let access =
        HubAccess { token: Some("hf_secret".to_owned()), ..access(&server, &dir.path().join("cache")) };
    let out = dir.path().join("out");
    let summary = hub(&access, &request(), &out).expect("the hub is there");
    assert_eq!((summary.n_files, summary.n_new, summary.licence.as_deref()), (2, 2, Some("mit")));
    assert_eq!((summary.commit.as_str(), summary.n_bytes), (COMMIT, (CARD.len() + rows().len()) as u64));
    assert_eq!(fs::read(out.join("README.md")).expect("it came"), CARD);
    assert_eq!(fs::read(out.join("data/train 0.bin")).expect("it came"), rows());
    for request in server.take_requests() {
        let token = request.headers.get("authorization").map(String::as_str);
        let expected = (!request.path.starts_with("/cdn")).then_some("Bearer hf_secret");
        assert_eq!(token, expected, "{}: the token is for the hub alone", request.path);
    }
    // what is there is checked, not fetched; what was changed comes again
    fs::write(out.join("README.md"), vec![b'x'; CARD.len()]).expect("it is writable");
    let again = hub(&access, &request(), &out).expect("the hub is there");
    assert_eq!((again.n_files, again.n_new), (2, 1));
    assert_eq!(fs::read(out.join("README.md")).expect("it came"), CARD);
    let fetched = server.take_requests().into_iter().filter(|request| request.path.contains("resolve"));
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
        .filter(|request| request.path == "/cdn/rows")
        .map(|request| request.headers.get("range").cloned())
        .collect();
    let expected = [None, Some("bytes=6000-"), Some("bytes=12000-"), Some("bytes=18000-")];
    assert_eq!(ranges, expected.map(|range| range.map(ToOwned::to_owned)));
    assert_eq!(fs::read(dir.path().join("out/data/train 0.bin")).expect("it came"), rows());
}

#[test]
fn damaged_files_are_not_kept() {
    let server = Server::start(|request| match request.path.as_str() {
        "/cdn/rows" => Answer::body(vec![7; rows().len()]),
        _ => hub_answer(request),
    });
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("out");
    let error = hub(&access(&server, dir.path()), &request(), &out).expect_err("the hash is another");
    assert!(error.to_string().starts_with("1 of 2 files failed, the first: "), "{error}");
    assert!(
        error.to_string().contains(&format!("expected sha256 {}, got sha256 ", sha256(&rows()))),
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
    for answer in ["", "[]", "{\"sha\": \"../..\"}", "{\"sha\": 3}"] {
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
    // online too, what the cache has is not fetched
    hub(&access(&server, &cache), &request(), &dir.path().join("other")).expect("the hub is there");
    assert!(server.take_requests().iter().all(|request| request.path.starts_with("/api/")));
    // a blob that is not what its name says is not taken
    let blob = cache.join("datasets--owner--name/blobs").join(git_blob(CARD));
    fs::write(blob, vec![b'x'; CARD.len()]).expect("it is writable");
    assert!(hub(&offline, &request(), &dir.path().join("third")).is_err());
}
