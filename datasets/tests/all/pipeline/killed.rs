//! Processes that are killed, and processes side by side: this test's own binary, started again as a child.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use triptych_datasets::draw::Draw;
use triptych_datasets::pipeline::{Event, MergeOptions, Options, merge, prepare};
use triptych_datasets::shard::Corpus;

use super::{options, recipe, run, write_raw};
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
    let sorted = |corpus: &Corpus| {
        let mut rows: Vec<_> = corpus.entries().iter().map(|entry| (entry.id.clone(), entry.split)).collect();
        rows.sort();
        rows
    };
    assert_eq!(sorted(&merged.corpus), sorted(&whole.corpus));
}
