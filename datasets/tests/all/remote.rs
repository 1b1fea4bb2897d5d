//! Lists of addresses against a server in the same process, which fails in every way that servers fail.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use triptych_datasets::remote::{
    Accept, FetchError, LedgerLine, Outcome, Retry, UrlItem, UrlOptions, UrlSummary, fetch_urls, read_list,
};

use crate::fixture::{picture, tone};
use crate::server::{Answer, Server, sha256, walk};

const AT_ONCE: Retry = Retry { n_attempts: 3, pause: Duration::ZERO };
const NO_PATIENCE: Retry = Retry { n_attempts: 1, pause: Duration::ZERO };

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
