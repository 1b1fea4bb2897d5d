//! Preparations that are stopped and go on.

use std::cell::Cell;
use std::fs;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use triptych_datasets::draw::Draw;
use triptych_datasets::pipeline::{Event, Options, PipelineError, outline, prepare};

use super::{ids, ledger, options, recipe, run, write_raw};
use crate::fixture::samples;

const STAGES: &str = r#"
seed = 3
[normalise]
image_max_side = 16
[filter]
audio_s = { max = 0.11 }
[deduplicate]
[anonymise]
[classify]
[[classify.rule]]
tag = "domain"
value = "things"
words = ["thing"]
[split]
by = ["group"]
keep = false
[tokenize]
vocabulary = 60
[shard]
mib = 0.01
"#;

#[test]
fn ten_stops_at_random_moments_give_the_same_corpus_and_no_chunk_twice() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write_raw(dir.path(), samples(9));
    let recipe = recipe(dir.path(), STAGES);
    let n_pieces = Cell::new(0);
    let undisturbed = prepare(&recipe, &options(), None, &|event: Event| {
        n_pieces.set(n_pieces.get() + usize::from(event.is_new));
        ControlFlow::Continue(())
    });
    let undisturbed = undisturbed.unwrap_or_else(|e| panic!("{e}"));
    undisturbed.corpus.verify().expect("it was just written");
    assert!(n_pieces.get() > 60, "{} pieces of work", n_pieces.get());

    let again = Options { out: Some(dir.path().join("again")), ..options() };
    let mut draw = Draw::new(7, 0, "", "stops");
    let mut n_stops = 0;
    let prepared = loop {
        let left = Cell::new(if n_stops < 10 { 1 + draw.below(8) } else { usize::MAX });
        let result = prepare(&recipe, &again, None, &|event: Event| {
            left.set(left.get() - usize::from(event.is_new));
            if left.get() == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match result {
            Ok(prepared) => break prepared,
            Err(PipelineError::Stopped) => n_stops += 1,
            Err(e) => panic!("{e}"),
        }
    };
    assert_eq!(n_stops, 10);
    assert_eq!(prepared.corpus.content_hash(), undisturbed.corpus.content_hash());
    assert_eq!(ids(&prepared.corpus), ids(&undisturbed.corpus));
    assert_eq!(ledger(&dir.path().join("again")), ledger(&dir.path().join("out")));
}

#[test]
fn work_that_is_done_is_not_done_again() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write_raw(dir.path(), samples(9));
    let recipe = recipe(dir.path(), STAGES);
    let n_new = AtomicUsize::new(0);
    let count = |event: Event| {
        n_new.fetch_add(usize::from(event.is_new), Ordering::Relaxed);
        ControlFlow::Continue(())
    };
    prepare(&recipe, &options(), None, &count).unwrap_or_else(|e| panic!("{e}"));
    let n_whole = n_new.swap(0, Ordering::Relaxed);

    // stopped after every single piece of work, and the pieces counted over all processes
    let again = Options { out: Some(dir.path().join("again")), ..options() };
    loop {
        let result = prepare(&recipe, &again, None, &|event: Event| {
            n_new.fetch_add(usize::from(event.is_new), Ordering::Relaxed);
            if event.is_new { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match result {
            Ok(_) => break,
            Err(PipelineError::Stopped) => {}
            Err(e) => panic!("{e}"),
        }
    }
    assert_eq!(n_new.swap(0, Ordering::Relaxed), n_whole);

    let prepared = prepare(&recipe, &again, None, &count).unwrap_or_else(|e| panic!("{e}"));
    assert!(prepared.was_there);
    assert_eq!(n_new.load(Ordering::Relaxed), 0);
}

#[test]
fn a_changed_stage_leaves_the_stages_before_it() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write_raw(dir.path(), samples(9));
    run(&recipe(dir.path(), STAGES), &options()).unwrap_or_else(|e| panic!("{e}"));
    let changed = recipe(dir.path(), &STAGES.replace("seed = 3", "seed = 4"));
    let outline = outline(&changed, &options(), None).unwrap_or_else(|e| panic!("{e}"));
    assert!(!outline.is_prepared);
    for stage in &outline.stages {
        let expected = if stage.name == "split" { 0 } else { stage.n_chunks };
        assert_eq!(stage.n_chunks_done, expected, "{}", stage.name);
    }
    let prepared = run(&changed, &options()).unwrap_or_else(|e| panic!("{e}"));
    for stage in &prepared.report.stages {
        let is_cached = !matches!(stage.name.as_str(), "split" | "tokenize" | "shard");
        assert_eq!(stage.is_cached, is_cached, "{}", stage.name);
    }
}

#[test]
fn a_damaged_cache_is_made_again_or_named() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write_raw(dir.path(), samples(9));
    let recipe = recipe(dir.path(), STAGES);
    let whole = run(&recipe, &options()).unwrap_or_else(|e| panic!("{e}")).corpus.content_hash().to_owned();
    let cache = dir.path().join("out/.cache");
    let decode = fs::read_dir(&cache).expect("there is a cache").flatten();
    let decode = decode.map(|item| item.path()).find(|path| path.to_string_lossy().contains("decode-"));
    let decode = decode.expect("the first stage has a folder");
    let chunk = decode.join("chunk-000001");
    let bytes = fs::read(&chunk).expect("there is a chunk");
    fs::write(&chunk, &bytes[..bytes.len() - 1]).expect("it is writable");
    // a chunk that is cut while its stage counts as done is named, with what to do
    let again = Options { out: Some(dir.path().join("again")), cache: Some(cache.clone()), ..options() };
    let error = run(&recipe, &again).expect_err("a chunk is cut");
    assert!(matches!(error, PipelineError::Cache { .. }), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("delete the folder")), "{:?}", error.hint());
    // as long as its stage is under way it is only made again
    fs::remove_file(decode.join("done.json")).expect("there is one");
    let prepared = run(&recipe, &again).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(prepared.corpus.content_hash(), whole);
}

#[test]
fn a_folder_with_another_corpus_or_a_source_is_not_written_over() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write_raw(dir.path(), samples(2));
    super::write_corpus(&dir.path().join("other"), samples(1));
    let recipe = recipe(dir.path(), "");
    for name in ["raw", "other"] {
        let options = Options { out: Some(dir.path().join(name)), ..options() };
        let error = run(&recipe, &options).expect_err("it would be lost");
        assert!(error.is_usage() && error.hint().is_some(), "{error}");
    }
    assert!(triptych_datasets::shard::Corpus::open(dir.path().join("raw")).is_ok());
}

#[test]
fn two_at_once_in_one_folder_are_refused_and_in_one_cache_agree() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write_raw(dir.path(), samples(9));
    let recipe = recipe(dir.path(), STAGES);
    let inner = std::sync::Mutex::new(None);
    prepare(&recipe, &options(), None, &|event: Event| {
        if event.stage == "filter" {
            inner.lock().expect("no one panicked").get_or_insert_with(|| run(&recipe, &options()).err());
        }
        ControlFlow::Continue(())
    })
    .unwrap_or_else(|e| panic!("{e}"));
    let inner = inner.into_inner().expect("no one panicked").flatten();
    assert!(matches!(inner, Some(PipelineError::Busy { .. })), "{inner:?}");

    let cache = Some(dir.path().join("cache"));
    let hashes: Vec<String> = std::thread::scope(|scope| {
        let start = |n: usize| {
            let options =
                Options { out: Some(dir.path().join(format!("out-{n}"))), cache: cache.clone(), ..options() };
            let recipe = &recipe;
            scope.spawn(move || run(recipe, &options).map(|made| made.corpus.content_hash().to_owned()))
        };
        let threads: Vec<_> = (0..3).map(start).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic").unwrap_or_else(|e| panic!("{e}")))
            .collect()
    });
    assert!(hashes.windows(2).all(|pair| pair[0] == pair[1]), "{hashes:?}");
}
