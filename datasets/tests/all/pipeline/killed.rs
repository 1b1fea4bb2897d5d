//! Processes that are killed, and processes side by side: this test's own binary, started again as a child.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use triptych_datasets::draw::Draw;
use triptych_datasets::pipeline::{DeduplicateSettings, Event, MergeOptions, Options, merge, prepare};
use triptych_datasets::sample::{Sample, Split};
use triptych_datasets::shard::CorpusStream;

use super::{ledger, options, recipe, run, text_sample, write_raw};
use crate::fixture::samples;

const DIR: &str = "TRIPTYCH_TEST_PREPARE_DIR";
const OUT: &str = "TRIPTYCH_TEST_PREPARE_OUT";
const SLICE: &str = "TRIPTYCH_TEST_PREPARE_SLICE";
const STAGES: &str =
    "[normalise]\nimage_max_side = 16\n[deduplicate]\n[anonymise]\n[split]\n[shard]\nmib = 0.02\n";
/// Duplicates are looked for within a slice only.
const SLICE_STAGES: &str = "[normalise]\nimage_max_side = 16\n[anonymise]\n[split]\n[shard]\nmib = 0.02\n";

fn child(dir: &Path, out: &Path, slice: Option<&str>) -> Child {
    let mut command = Command::new(env::current_exe().expect("this test is a program"));
    command.args(["--exact", "pipeline::killed::as_a_child_it_prepares", "--nocapture", "--test-threads=1"]);
    command.env(DIR, dir).env(OUT, out).stdout(Stdio::piped()).stderr(Stdio::null());
    match slice {
        Some(slice) => command.env(SLICE, slice),
        None => command.env_remove(SLICE),
    };
    command.spawn().expect("the program starts")
}

/// Does nothing unless one of the tests below started it.
#[test]
fn as_a_child_it_prepares() {
    let (Some(dir), Some(out)) = (env::var_os(DIR), env::var_os(OUT)) else { return };
    let options = Options {
        out: Some(out.into()),
        slice: env::var(SLICE).ok().map(|slice| slice.parse().unwrap_or_else(|e| panic!("{e}"))),
        ..options()
    };
    let tell = |event: Event| {
        let mut stdout = std::io::stdout().lock();
        // a parent that has heard enough is no failure
        writeln!(stdout, "\npiece {} {}", event.stage, event.is_new).and_then(|()| stdout.flush()).ok();
        ControlFlow::Continue(())
    };
    let stages = if options.slice.is_some() { SLICE_STAGES } else { STAGES };
    prepare(&recipe(Path::new(&dir), stages), &options, None, &tell).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn killed_ten_times_it_makes_the_same_corpus() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write_raw(dir.path(), samples(12));
    let undisturbed = run(&recipe(dir.path(), STAGES), &options()).unwrap_or_else(|e| panic!("{e}"));
    let out = dir.path().join("again");
    let mut draw = Draw::new(11, 0, "", "kills");
    let mut n_new = 0;
    for _ in 0..10 {
        let mut child = child(dir.path(), &out, None);
        let stdout = child.stdout.take().expect("it is piped");
        let n_pieces = 1 + draw.below(9);
        let is_new = |line: &String| line.starts_with("piece") && line.ends_with("true");
        n_new += BufReader::new(stdout).lines().map_while(Result::ok).filter(is_new).take(n_pieces).count();
        child.kill().expect("it runs");
        child.wait().expect("it was killed");
    }
    assert!(n_new > 10, "{n_new} pieces of work before the kills");
    let prepared = run(&recipe(dir.path(), STAGES), &Options { out: Some(out), ..options() });
    let prepared = prepared.unwrap_or_else(|e| panic!("{e}"));
    prepared.corpus.verify().expect("it was just written");
    assert_eq!(prepared.corpus.content_hash(), undisturbed.corpus.content_hash());
}

#[test]
fn three_processes_prepare_slices_side_by_side() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write_raw(dir.path(), samples(12));
    let parts: Vec<_> = (0..3).map(|idx| dir.path().join(format!("part-{idx}"))).collect();
    let children: Vec<Child> = parts
        .iter()
        .enumerate()
        .map(|(idx, part)| child(dir.path(), part, Some(&format!("{idx}/3"))))
        .collect();
    for mut child in children {
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).lines().map_while(Result::ok).for_each(drop);
        assert!(child.wait().expect("it ends").success());
    }
    let merged = merge(&parts, &dir.path().join("merged"), &MergeOptions::default());
    let merged = merged.unwrap_or_else(|e| panic!("{e}"));
    merged.corpus.verify().expect("it was just written");
    let whole = run(&recipe(dir.path(), SLICE_STAGES), &options()).unwrap_or_else(|e| panic!("{e}"));
    let sorted = |corpus: &CorpusStream| {
        let corpus = super::opened(corpus);
        let mut rows: Vec<_> = corpus.entries().iter().map(|entry| (entry.id.clone(), entry.split)).collect();
        rows.sort();
        rows
    };
    assert_eq!(sorted(&merged.corpus), sorted(&whole.corpus));
}

#[test]
fn duplicates_of_slices_that_processes_prepared_are_found_when_they_are_merged() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let text = |n: usize, name: &str, split, word: &str| {
        let words: Vec<String> = (1..13).map(|k| ((n * 13 + k) * 104_729 % 999_983).to_string()).collect();
        Sample {
            split,
            ..text_sample(&format!("{name}-{n}"), &format!("{word} there was {}", words.join(" ")))
        }
    };
    let mut samples = Vec::new();
    for n in 0..12 {
        samples.push(text(n, "first", Split::Train, "once"));
        samples.push(text(n, "edited", Split::Train, "Once,"));
        samples.push(text(n, "changed", Split::Train, "twice"));
        samples.push(text(n, "held", if n < 4 { Split::Test } else { Split::Train }, "once"));
    }
    write_raw(dir.path(), samples);
    let whole = run(&recipe(dir.path(), "[deduplicate]\n"), &options()).unwrap_or_else(|e| panic!("{e}"));
    let parts: Vec<_> = (0..3).map(|idx| dir.path().join(format!("part-{idx}"))).collect();
    let slice =
        |(idx, part): (usize, &std::path::PathBuf)| child(dir.path(), part, Some(&format!("{idx}/3")));
    for mut child in parts.iter().enumerate().map(slice).collect::<Vec<Child>>() {
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).lines().map_while(Result::ok).for_each(drop);
        assert!(child.wait().expect("it ends").success());
    }
    let kept = |settings: Option<DeduplicateSettings>| {
        let options = MergeOptions { deduplicate: settings, ..MergeOptions::default() };
        let made = merge(&parts, &dir.path().join("merged"), &options).unwrap_or_else(|e| panic!("{e}"));
        made.corpus.verify().expect("it was just written");
        super::opened(&made.corpus).entries().to_vec()
    };
    let without = kept(None);
    let with = kept(Some(DeduplicateSettings::default()));
    assert!(with.len() < without.len(), "{} of {}", with.len(), without.len());
    assert_eq!(with.len(), whole.corpus.len());
    for n in 0..12 {
        let same: Vec<_> = with.iter().filter(|entry| entry.id.ends_with(&format!("-{n}"))).collect();
        assert_eq!(same.len(), 1, "{same:?}");
        // it was there as a test sample
        assert!(n >= 4 || same[0].split == Split::Test, "{same:?}");
    }
    let ledger = ledger(&dir.path().join("merged"));
    assert_eq!(ledger.len(), without.len() - with.len(), "each that went is named");
    assert!(ledger.iter().all(|line| !line.reason.is_empty()));
    assert!(!dir.path().join("merged/.deduplicated").exists());
}
