//! What every format has from the intake: a ledger, a dry run, strictness, splits, limits, and the same bytes again.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use triptych_datasets::corpora::intake::SplitRule;
use triptych_datasets::corpora::{CORPORA, ImportError, Request, importer};
use triptych_datasets::sample::Split;
use triptych_datasets::shard::{Corpus, CorpusStream, ShardWriter};

use super::{Bench, picture, tone};

fn things(n_lines: usize) -> String {
    (0..n_lines).map(|n| format!("{{\"id\": \"{n}\", \"text\": \"thing {n}\"}}\n")).collect()
}

fn files(dir: &Path) -> Vec<String> {
    let Ok(listing) = fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> =
        listing.map(|item| item.expect("readable").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn dry_run_says_the_same_and_writes_nothing() {
    let bench = Bench::new();
    bench.put("a.png", picture(1, 0)).put(
        "manifest.jsonl",
        things(7) + "{\"id\": \"3\", \"text\": \"twice\"}\n{\"image\": \"a.png\"}\n{\n",
    );
    let before = files(&bench.source());
    let planned = bench
        .try_import("manifest", &bench.source(), &Value::Null, |request| request.is_dry_run = true)
        .expect("it is well formed");
    assert!(!bench.out().exists());
    assert_eq!(files(&bench.source()), before);
    let made = bench.import("manifest").summary;
    assert_eq!((planned.n_samples, planned.n_images, planned.n_failed), (8, 1, 2));
    assert_eq!((made.n_samples, made.n_images, made.n_failed), (8, 1, 2));
    assert_eq!(
        (&planned.failures, &planned.splits, planned.n_bytes),
        (&made.failures, &made.splits, made.n_bytes)
    );
    assert_eq!((planned.previews.len(), made.previews.len()), (5, 0));
    assert_eq!(planned.content_hash, None);
}

#[test]
fn strict_stops_at_the_first_failure_and_leaves_no_corpus() {
    let bench = Bench::new();
    bench.put("manifest.jsonl", things(3) + "{}\n" + &things(2));
    let error = bench
        .try_import("manifest", &bench.source(), &Value::Null, |request| request.is_strict = true)
        .expect_err("a line is wrong");
    assert!(matches!(&error, ImportError::Strict { failure } if failure.place.line == Some(4)), "{error}");
    assert!(Corpus::open(bench.out()).is_err());
    let ledger = fs::read_to_string(bench.out().join("ledger.jsonl")).expect("the failure is named");
    assert_eq!(ledger.lines().count(), 1);
}

#[test]
fn ledger_of_an_earlier_import_does_not_stay() {
    let bench = Bench::new();
    bench.put("manifest.jsonl", things(1) + "{}\n");
    assert_eq!(bench.import("manifest").ledger.len(), 1);
    bench.put("manifest.jsonl", things(1));
    bench.import("manifest").assert_clean();
    assert!(!bench.out().join("ledger.jsonl").exists());
}

#[test]
fn same_input_gives_the_same_content_hash_and_other_input_another() {
    let hash = |n_lines: usize| {
        let bench = Bench::new();
        bench
            .put("a.wav", tone(1, 0))
            .put("manifest.jsonl", things(n_lines) + "{\"audio\": \"a.wav\", \"start_s\": 0.01}\n");
        bench.import("manifest").summary.content_hash
    };
    assert_eq!(hash(600), hash(600));
    assert_ne!(hash(600), hash(601));
}

#[test]
fn order_is_that_of_the_source_for_any_number_of_threads() {
    let bench = Bench::new();
    bench.put("manifest.jsonl", things(1500));
    let imported = bench.import("manifest");
    let expected: Vec<String> = (0..1500).map(|n| n.to_string()).collect();
    assert_eq!(imported.ids(), expected);
}

#[test]
fn nothing_to_import_is_an_error_with_the_first_reason() {
    let bench = Bench::new();
    bench.put("manifest.jsonl", "{}\n[]\n");
    let error = bench.import_file("manifest", "manifest.jsonl").expect_err("no line is good");
    assert!(
        error
            .to_string()
            .starts_with("nothing was imported, 2 items failed; the first: manifest.jsonl line 1"),
        "{error}"
    );
    assert!(error.hint().is_some_and(|hint| hint.contains("ledger.jsonl")));
    bench.put("manifest.jsonl", "");
    let error = bench.import_file("manifest", "manifest.jsonl").expect_err("it is empty");
    assert!(error.hint().is_some_and(|hint| hint.contains("--dry-run")), "{error}");
    assert!(Corpus::open(bench.out()).is_err());
}

#[test]
fn corpus_that_lies_there_survives_an_import_that_cannot_begin() {
    let bench = Bench::new();
    bench.put("manifest.jsonl", things(2));
    bench.import("manifest");
    let wrong = bench.try_import("coco", &bench.source(), &Value::Null, |_| {});
    assert!(wrong.is_err_and(|e| e.to_string().contains("expected annotations/captions_")));
    assert_eq!(Corpus::open(bench.out()).expect("it was not touched").len(), 2);
}

#[test]
fn corpus_is_not_written_into_its_source_nor_over_it() {
    let bench = Bench::new();
    bench.put("manifest.jsonl", things(2)).put("deep/x.txt", "");
    let source = bench.source();
    for out in [source.clone(), source.join("new/er"), source.join("deep"), source.join("..")] {
        let error = importer("manifest")
            .expect("it is registered")
            .import(&Request::new(Some(&source), &out, &Value::Null))
            .expect_err("they overlap");
        assert!(matches!(error, ImportError::Overlap { .. }), "{error}");
    }
    assert_eq!(files(&source), ["deep", "manifest.jsonl"]);
}

#[test]
fn foreign_archives_in_the_folder_are_not_removed() {
    let bench = Bench::new();
    fs::create_dir(bench.out()).expect("writable");
    fs::write(bench.out().join("precious-000000.tar"), "mine").expect("writable");
    bench.put("manifest.jsonl", things(2));
    bench.import("manifest");
    assert!(bench.out().join("precious-000000.tar").exists());
    // a corpus under another name goes, with its archives
    let writer = ShardWriter::create(bench.out(), "other").expect("writable");
    drop(writer);
    assert_eq!(files(&bench.out()), ["precious-000000.tar"]);
}

#[test]
fn splits_follow_the_rule() {
    let bench = Bench::new();
    let line = |n: usize| format!("{{\"text\": \"t\", \"speaker\": \"s{}\", \"group\": \"g{n}\"}}\n", n % 20);
    bench.put(
        "manifest.jsonl",
        (0..400).map(line).collect::<String>() + "{\"text\": \"x\", \"split\": \"test\", \"group\": \"x\"}\n",
    );
    let import = |rule: &str, shares: (u8, u8)| {
        let rule: SplitRule = rule.parse().expect("it is a rule");
        let out = bench.out();
        let source = bench.source();
        let mut request = Request::new(Some(&source), &out, &Value::Null).with_shares(shares.0, shares.1);
        request.split = &rule;
        importer("manifest").expect("it is registered").import(&request).map(|summary| {
            let corpus = Corpus::open(&out).expect("it was just written");
            (
                summary,
                corpus
                    .entries()
                    .iter()
                    .map(|e| (e.tags.get("speaker").cloned(), e.split))
                    .collect::<Vec<_>>(),
            )
        })
    };
    let (summary, _) = import("source", (10, 20)).expect("all is well");
    let n_test = summary.splits[&Split::Test];
    assert!((50..120).contains(&n_test), "{n_test}");
    let (_, entries) = import("tag:speaker", (30, 30)).expect("all is well");
    for speaker in (0..20).map(|n| format!("s{n}")) {
        let mut splits: Vec<Split> = entries
            .iter()
            .filter(|(tag, _)| tag.as_ref() == Some(&speaker))
            .map(|(_, split)| *split)
            .collect();
        splits.dedup();
        assert_eq!(splits.len(), 1, "{speaker} stands on two sides");
    }
    let (summary, _) = import("train", (5, 5)).expect("all is well");
    assert_eq!(summary.splits.into_iter().collect::<Vec<_>>(), [(Split::Train, 400), (Split::Test, 1)]);
    assert!(matches!(import("source", (60, 50)), Err(ImportError::Options { .. })));
}

#[test]
fn limits_hold_for_files_texts_and_sounds() {
    let bench = Bench::new();
    let long = "x".repeat(3000);
    bench.put("big.png", vec![7; 3000]).put("a.wav", tone(5, 0));
    bench.put("manifest.jsonl", format!("{{\"image\": \"big.png\"}}\n{{\"text\": \"{long}\"}}\n{{\"audio\": \"a.wav\"}}\n{{\"text\": \"ok\"}}\n"));
    let summary = bench
        .try_import("manifest", &bench.source(), &Value::Null, |request| {
            request.max_item_bytes = 2000;
            request.max_sound_s = 0.01;
        })
        .expect("a line is good");
    assert_eq!((summary.n_samples, summary.n_failed), (1, 3));
    let reasons: Vec<&str> = summary.failures.iter().map(|failure| failure.reason.as_str()).collect();
    assert!(reasons[0].contains("expected at most 2000 bytes, \"big.png\" is longer"), "{reasons:?}");
    assert!(reasons[1].contains("expected at most 2000 bytes of text, got 3000"), "{reasons:?}");
    assert!(reasons[2].contains("2000 bytes") || reasons[2].contains("at most 0.01 s"), "{reasons:?}");
}

#[test]
fn licence_ledger_has_what_was_said() {
    let bench = Bench::new();
    bench.put("manifest.jsonl", things(1));
    let said = |licence: Option<&'static str>| {
        let summary = bench
            .try_import("manifest", &bench.source(), &Value::Null, |request| {
                request.licence = licence;
                request.attribution = licence.map(|_| "by me");
            })
            .expect("all is well");
        let rows = CorpusStream::open(bench.out())
            .and_then(|corpus| corpus.licences())
            .expect("it was just written");
        (summary.has_unknown_licence, rows[0].licence.clone(), rows[0].attribution.clone())
    };
    assert_eq!(said(Some("CC-BY-4.0")), (false, "CC-BY-4.0".to_owned(), "by me".to_owned()));
    assert_eq!(said(None), (true, "unknown".to_owned(), String::new()));
}

#[test]
fn every_format_refuses_an_empty_folder_and_a_missing_one() {
    let bench = Bench::new();
    for format in CORPORA.iter().filter(|format| format.name() != "emoji") {
        for source in [bench.source(), bench.source().join("none")] {
            let error = bench.try_import(format.name(), &source, &Value::Null, |_| {}).map(|_| ());
            let error = error.expect_err(format.name());
            assert!(!bench.out().join("index.json").exists(), "{}", format.name());
            assert!(!error.to_string().is_empty());
        }
        let out = bench.out();
        let error = format.import(&Request::new(None, &out, &json!(null))).expect_err("no source");
        assert!(matches!(error, ImportError::NoSource { .. }), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains(format.name())));
    }
}
