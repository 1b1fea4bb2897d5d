//! Slices and splits: what stands where is decided by each sample alone, and adds up.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use proptest::prelude::*;
use triptych_datasets::pipeline::{MergeOptions, Options, PipelineError, Recipe, merge};
use triptych_datasets::sample::{Sample, Split};
use triptych_datasets::shard::Corpus;

use super::{ids, ledger, options, recipe, run, text_sample, write_corpus, write_raw};
use crate::fixture::samples;

const STAGES: &str = "seed = 2\n[normalise]\n[filter]\naudio_s = { max = 0.12 }\n[split]\nkeep = false\nshares = { train = 0.5, validation = 0.25, test = 0.25 }\n";

fn slice(recipe: &Recipe, dir: &std::path::Path, idx: u32, n: u32) -> Result<Corpus, PipelineError> {
    let out = dir.join(format!("part-{idx}"));
    let options = Options { out: Some(out), slice: format!("{idx}/{n}").parse().ok(), ..options() };
    run(recipe, &options).map(|made| super::opened(&made.corpus))
}

fn by_id(corpus: &Corpus) -> BTreeMap<String, Sample> {
    (0..corpus.len()).map(|idx| corpus.read(idx).expect("it is there")).map(|s| (s.id.clone(), s)).collect()
}

#[test]
fn slices_that_are_prepared_at_once_merge_to_what_one_process_prepares() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write_raw(dir.path(), samples(20));
    let recipe = recipe(dir.path(), STAGES);
    let whole = run(&recipe, &options()).unwrap_or_else(|e| panic!("{e}"));
    let n = 4;
    std::thread::scope(|scope| {
        let (recipe, dir) = (&recipe, dir.path());
        let start = |idx| scope.spawn(move || slice(recipe, dir, idx, n));
        let threads: Vec<_> = (0..n).map(start).collect();
        for thread in threads {
            let corpus = thread.join().expect("no panic").unwrap_or_else(|e| panic!("{e}"));
            assert!(!corpus.is_empty());
        }
    });
    let parts: Vec<PathBuf> = (0..n).map(|idx| dir.path().join(format!("part-{idx}"))).collect();
    let merged =
        merge(&parts, &dir.path().join("merged"), &MergeOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    merged.corpus.verify().expect("it was just written");
    assert_eq!(by_id(&super::opened(&merged.corpus)), by_id(&super::opened(&whole.corpus)));
    assert_eq!(super::opened(&merged.corpus).licences(), super::opened(&whole.corpus).licences());
    assert_eq!(merged.report.splits, whole.report.splits);
    let totals = |stages: &[triptych_datasets::pipeline::StageReport]| {
        stages.iter().map(|stage| (stage.name.clone(), stage.n_in, stage.n_out)).collect::<Vec<_>>()
    };
    assert_eq!(totals(&merged.report.stages), totals(&whole.report.stages));
    let sorted = |name: &str| {
        let mut lines: Vec<String> = ledger(&dir.path().join(name)).into_iter().map(|line| line.id).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted("merged"), sorted("out"));
    // merging again replaces it
    let again =
        merge(&parts, &dir.path().join("merged"), &MergeOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(again.corpus.content_hash(), merged.report.content_hash);

    let out = dir.path().join("wrong");
    let refused = |parts: &[PathBuf], words: &str| {
        let error = merge(parts, &out, &MergeOptions::default()).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    };
    refused(&parts[..2], "missing: 2, 3");
    refused(&[parts[0].clone(), parts[0].clone()], "another part is too");
    refused(&[], "at least one corpus");
    refused(&[dir.path().join("none")], "not a complete corpus");
    assert!(
        merge(&parts[..2], &out, &MergeOptions { allows_missing: true, ..MergeOptions::default() }).is_ok()
    );
    assert!(merge(&parts, &parts[0], &MergeOptions::default()).is_err_and(|e| e.is_usage()));
}

#[test]
fn an_identifier_of_two_parts_is_named_with_both_places() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    write_corpus(&a, vec![text_sample("one", "1"), text_sample("two", "2")]);
    write_corpus(&b, vec![text_sample("two", "other")]);
    let error = merge(&[a.clone(), b.clone()], &dir.path().join("out"), &MergeOptions::default());
    let error = error.expect_err("`two` is in both").to_string();
    for place in ["\"two\"".to_owned(), a.display().to_string(), b.display().to_string()] {
        assert!(error.contains(&place), "{error}");
    }
    assert!(Corpus::open(dir.path().join("out")).is_err());
}

/// Samples whose groups, captions and speakers are drawn from few, so that they hang together in many ways.
fn related() -> impl Strategy<Value = Vec<Sample>> {
    let one = (0..12u8, 0..20u8, 0..8u8, prop::sample::select(vec![Split::Train, Split::Train, Split::Test]));
    prop::collection::vec(one, 1..40).prop_map(|rows| {
        let sample = |(n, (group, caption, speaker, split)): (usize, (u8, u8, u8, Split))| Sample {
            group: format!("group {group}"),
            split,
            tags: [("speaker".to_owned(), if speaker == 0 { String::new() } else { format!("s{speaker}") })]
                .into(),
            ..text_sample(&format!("sample-{n}"), &format!("Caption {caption}"))
        };
        rows.into_iter().enumerate().map(sample).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn nothing_that_is_named_stands_on_two_sides(samples in related(), seed in 0u64..100, keep: bool) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let tests: BTreeSet<String> =
            samples.iter().filter(|s| s.split == Split::Test).map(|s| s.id.clone()).collect();
        write_raw(dir.path(), samples);
        for by in ["\"group\"", "\"group\", \"caption\"", "\"tag:speaker\"", "\"caption\", \"tag:speaker\""] {
            let stages = format!(
                "seed = {seed}\n[split]\nby = [{by}]\nkeep = {keep}\nshares = {{ train = 0.4, validation = 0.3, test = 0.3 }}\n"
            );
            let out = dir.path().join(by.replace(['"', ':', ',', ' '], ""));
            let made = run(&recipe(dir.path(), &stages), &Options { out: Some(out), ..options() });
            let corpus = super::opened(&made.unwrap_or_else(|e| panic!("{e}")).corpus);
            let mut sides: BTreeMap<String, Split> = BTreeMap::new();
            for entry in corpus.entries() {
                let mut values = Vec::new();
                if by.contains("group") { values.push(format!("g {}", entry.group)); }
                if by.contains("caption") { values.push(format!("c {}", entry.texts[0].to_lowercase())); }
                if by.contains("speaker") && !entry.tags["speaker"].is_empty() {
                    values.push(format!("s {}", entry.tags["speaker"]));
                }
                for value in values {
                    prop_assert_eq!(*sides.entry(value).or_insert(entry.split), entry.split);
                }
                if keep && tests.contains(&entry.id) {
                    prop_assert_eq!(entry.split, Split::Test);
                }
            }
        }
    }
}

#[test]
fn shares_are_met_and_nothing_moves_when_samples_are_added() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let many =
        |n: usize| (0..n).map(|n| text_sample(&format!("s{n}"), &format!("text {n}"))).collect::<Vec<_>>();
    write_corpus(&dir.path().join("raw"), many(3000));
    let stages = "[split]\nshares = { train = 0.8, validation = 0.1, test = 0.1 }\n";
    let first = run(&recipe(dir.path(), stages), &Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let shares: Vec<u64> = first.report.splits.values().copied().collect();
    // test, train, validation; three standard deviations are 50 and 66
    assert!(shares[0].abs_diff(300) < 50 && shares[1].abs_diff(2400) < 66, "{shares:?}");
    write_corpus(&dir.path().join("raw"), many(3300));
    let again = Options { out: Some(dir.path().join("again")), ..Options::default() };
    let second = run(&recipe(dir.path(), stages), &again).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(ids(&first.corpus), ids(&second.corpus)[..3000]);
    for (a, b) in super::opened(&first.corpus).entries().iter().zip(super::opened(&second.corpus).entries()) {
        assert_eq!(a.split, b.split, "{}", a.id);
    }
}
