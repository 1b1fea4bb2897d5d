//! Surveys against counts by hand, audits of damaged corpora, comparisons.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;
use triptych_datasets::audio::{Waveform, encode_wav};
use triptych_datasets::image::{Pixels, encode_png};
use triptych_datasets::sample::{Sample, Split};
use triptych_datasets::shard::{Corpus, Licence, ShardWriter};
use triptych_datasets::survey::{
    Audit, AuditOptions, Change, Leak, Problem, TokenCounter, audio_header, audit, compare, image_header,
    survey,
};
use triptych_datasets::text::{Tokenizer, TokenizerKind};

use crate::fixture::{licences, media, picture, samples, tone, write};

fn png(width: usize, height: usize, rgb: [u8; 3]) -> Vec<u8> {
    encode_png(&Pixels::filled(width, height, rgb)).expect("the pixels fit")
}

fn wav(n_samples: usize, rate_hz: u32) -> Vec<u8> {
    encode_wav(&Waveform { samples: vec![0.25; n_samples], rate_hz }).expect("it is short")
}

fn sample(id: &str, group: &str, split: Split, texts: &[&str], tags: &[(&str, &str)]) -> Sample {
    Sample {
        id: id.to_owned(),
        source: "by hand".to_owned(),
        group: group.to_owned(),
        split,
        texts: texts.iter().map(|text| (*text).to_owned()).collect(),
        tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..Sample::default()
    }
}

/// Seven samples whose every figure is counted by hand below.
fn by_hand() -> Vec<Sample> {
    use Split::{Test, Train, Validation};
    let english = [("language", "EN"), ("kind", "a")];
    let mut list = vec![
        sample("s0", "apple", Train, &["A red apple", "a RED  apple"], &english),
        sample("s1", "apple", Train, &["red"], &[("kind", "b")]),
        sample("s2", "apple", Test, &["a red apple"], &[("kind", "a")]),
        sample("s3", "pear", Train, &["Съешь же ещё этих мягких французских булок, да выпей чаю"], &[]),
        sample("s4", "plum", Train, &["plum", " "], &[("kind", "c")]),
        sample("s5", "plum", Validation, &[], &[]),
        sample("s6", "void", Test, &[], &[]),
    ];
    list[0].image = media(png(40, 20, [1, 2, 3]), "png");
    list[1].image = media(png(10, 20, [1, 2, 3]), "png");
    list[2].image = media(png(40, 20, [1, 2, 3]), "png");
    list[3].audio = media(wav(8_000, 16_000), "wav");
    list[4].audio = media(wav(16_000, 8_000), "wav");
    list[5].audio = media(b"no sound at all".to_vec(), "wav");
    list
}

fn written(samples: Vec<Sample>) -> (TempDir, Corpus) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let corpus = write(dir.path(), samples);
    (dir, corpus)
}

#[test]
fn figures_are_those_counted_by_hand() {
    let (_dir, corpus) = written(by_hand());
    let found = survey(&corpus, None, &|_, _, _| {});
    let total = &found.total;
    assert_eq!((total.n_samples, total.n_groups, total.n_texts, total.n_words), (7, 4, 7, 21));
    assert_eq!((total.n_images, total.n_sounds, total.n_empty), (3, 3, 1));
    assert!((total.sound_s - 2.5).abs() < 1e-9);
    let bytes = |pick: fn(&Sample) -> Option<usize>| by_hand().iter().filter_map(pick).sum::<usize>() as u64;
    assert_eq!(total.image_bytes, bytes(|sample| sample.image.as_ref().map(|media| media.bytes.len())));
    assert_eq!(total.sound_bytes, bytes(|sample| sample.audio.as_ref().map(|media| media.bytes.len())));
    let by_split: Vec<(Split, u64, u64)> =
        found.splits.iter().map(|(split, amounts)| (*split, amounts.n_samples, amounts.n_groups)).collect();
    assert_eq!(by_split, [(Split::Train, 4, 3), (Split::Validation, 1, 1), (Split::Test, 2, 2)]);

    let images = found.images.expect("there are pictures");
    let width = images.width.expect("three widths");
    assert_eq!((width.min, width.median, width.mean, width.max), (10.0, 40.0, 30.0, 40.0));
    assert_eq!(images.aspect.map(|aspect| (aspect.min, aspect.max)), Some((0.5, 2.0)));
    assert_eq!((images.formats[0].value.as_str(), images.formats[0].n), ("png", 3));
    assert_eq!(images.pixels.lowest[0].id, "s1");
    assert_eq!((found.repeated_images.n_sets, found.repeated_images.n_surplus), (1, 1));
    assert_eq!(found.repeated_images.across[0].ids, ["s0", "s2"]);
    let leak = |held_out, seen_in, n| Leak { held_out, seen_in, n };
    assert_eq!(found.repeated_images.leaks, [leak(Split::Test, Split::Train, 1)]);

    let sounds = found.sounds.expect("there are sounds");
    let duration = sounds.duration_s.expect("two lengths");
    assert_eq!((duration.n, duration.min, duration.median, duration.max), (2, 0.5, 1.25, 2.0));
    let rates: Vec<&str> = sounds.rates_hz.iter().map(|count| count.value.as_str()).collect();
    assert_eq!(rates, ["16000", "8000"]);
    assert_eq!((sounds.channels[0].value.as_str(), sounds.channels[0].n), ("1", 2));
    // "plum" takes two seconds, 56 characters half a one
    assert_eq!(sounds.characters_per_s.map(|rate| (rate.min, rate.max)), Some((2.0, 112.0)));
    assert_eq!((found.n_unreadable, found.unreadable[0].id.as_str()), (1, "s5"));

    let texts = found.texts.expect("there are texts");
    assert_eq!((texts.n_empty, texts.n_said_twice), (1, 1));
    assert_eq!(texts.n_words.map(|n| (n.min, n.max, n.n)), Some((0.0, 10.0, 7)));
    let vocabulary = &texts.vocabulary;
    assert_eq!((vocabulary.n_words, vocabulary.n_distinct, vocabulary.n_hapaxes), (21, 14, 11));
    assert_eq!((vocabulary.most_frequent[0].value.as_str(), vocabulary.most_frequent[0].n), ("red", 4));
    let languages = &texts.languages;
    assert_eq!((languages.tagged[0].value.as_str(), languages.tagged[0].n), ("en", 2));
    assert_eq!((languages.guessed[0].value.as_str(), languages.guessed[0].n), ("Russian", 1));
    assert_eq!((languages.n_short, languages.n_unsure), (3, 0));
    assert_eq!(found.repeated_texts.across[0].shared.as_deref(), Some("A red apple"));
    assert_eq!(found.repeated_texts.leaks, [leak(Split::Test, Split::Train, 1)]);

    let groups: Vec<Option<&str>> = found.groups.across.iter().map(|set| set.shared.as_deref()).collect();
    assert_eq!(groups, [Some("apple"), Some("plum")]);
    let kind = found.tags.iter().find(|tag| tag.key == "kind").expect("it is a tag");
    assert_eq!((kind.n_samples, kind.n_values), (4, 3));
    assert_eq!((kind.values[0].value.as_str(), kind.values[0].n), ("a", 2));
    assert_eq!(kind.values[0].splits, BTreeMap::from([(Split::Train, 1), (Split::Test, 1)]));
}

#[test]
fn tokens_are_counted_where_there_is_a_tokenizer() {
    let (_dir, corpus) = written(by_hand());
    let tokenizer =
        Tokenizer::train(TokenizerKind::Characters, &["a red apple plum"], 60).expect("plain text");
    let counter = TokenCounter::new(tokenizer);
    let texts = survey(&corpus, Some(&counter), &|_, _, _| {}).texts.expect("there are texts");
    let tokens = texts.n_tokens.expect("they were counted");
    // normalised: 11, 11, 3, 11, 56, 4 and 0 characters
    assert_eq!((tokens.n, tokens.sum, tokens.max), (7, 96.0, 56.0));
}

#[test]
fn an_empty_corpus_has_no_figures_and_no_problem() {
    let (dir, corpus) = written(Vec::new());
    let found = survey(&corpus, None, &|_, _, _| {});
    assert_eq!((found.total.n_samples, found.splits.len()), (0, 0));
    assert!(found.images.is_none() && found.sounds.is_none() && found.texts.is_none());
    drop(corpus);
    assert_eq!(checked(dir.path(), true).problems, []);
}

#[test]
fn the_same_corpus_gives_the_same_figures() {
    let (_dir, corpus) = written(samples(12));
    let json = || serde_json::to_string(&survey(&corpus, None, &|_, _, _| {})).expect("it is plain");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread starts");
    assert_eq!(json(), pool.install(json));
}

#[test]
fn a_damaged_picture_is_named_and_the_rest_is_measured() {
    let (dir, corpus) = written(samples(4));
    let member = corpus.entries()[2].image.clone().expect("it has a picture");
    drop(corpus);
    flip(&dir.path().join("things-000000.tar"), member.offset as usize + 40, 1);
    let corpus = Corpus::open(dir.path()).expect("sizes are as before");
    let found = survey(&corpus, None, &|_, _, _| {});
    assert_eq!((found.n_unreadable, found.unreadable[0].id.as_str()), (1, "thing-0/blue"));
    assert!(found.unreadable[0].problem.contains("expected blake3"), "{:?}", found.unreadable);
    let width = found.images.and_then(|images| images.width).expect("the others have widths");
    assert_eq!(width.n, found.total.n_images - 1);
}

#[test]
fn headers_that_are_none_say_what_was_expected() {
    for bytes in [&b""[..], b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"text"] {
        assert!(image_header(bytes, "png").is_err(), "{bytes:?}");
        assert!(audio_header(bytes, "wav").is_err(), "{bytes:?}");
    }
    let svg = br#"<svg xmlns="http://www.w3.org/2000/svg" width="30.5" height="20"/>"#;
    assert_eq!(image_header(svg, "svg").map(|header| (header.width, header.height)), Ok((31, 20)));
    let header = audio_header(&wav(800, 16_000), "wav").expect("it is a sound");
    assert_eq!((header.rate_hz, header.n_channels, header.duration_s), (Some(16_000), Some(1), Some(0.05)));
}

// audits

fn checked(dir: &Path, decode: bool) -> Audit {
    audit(dir, AuditOptions { decode, ..AuditOptions::default() }, &|_, _| {}).expect("there is an index")
}

fn flip(path: &Path, place: usize, mask: u8) {
    let mut bytes = fs::read(path).expect("it is there");
    bytes[place] ^= mask;
    fs::write(path, bytes).expect("it is writable");
}

fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .expect("it is there")
        .map(|item| item.expect("it is readable").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_whole_corpus_has_no_problem_and_everything_decodes() {
    let (dir, corpus) = written(samples(8));
    let found = checked(dir.path(), true);
    assert_eq!(found.problems, []);
    let n_media =
        corpus.entries().iter().map(|entry| entry.image.iter().chain(&entry.audio).count() as u64).sum();
    assert_eq!((found.n_samples, found.n_media, found.n_decoded), (corpus.len() as u64, n_media, n_media));
    assert_eq!(found.n_files, files(dir.path()).len() as u64);
    let n_bytes: u64 = files(dir.path())
        .iter()
        .map(|name| fs::metadata(dir.path().join(name)).expect("it is there").len())
        .sum();
    assert_eq!(found.n_bytes, n_bytes);
}

#[test]
fn any_flipped_byte_is_blamed_on_its_file_alone() {
    let (dir, corpus) = written(samples(5));
    drop(corpus);
    for name in files(dir.path()) {
        let path = dir.path().join(&name);
        let whole = fs::read(&path).expect("it is there");
        // so many that each kind of place is met
        let step = if name.ends_with(".tar") { 211 } else { 5 };
        for place in (0..whole.len()).step_by(step) {
            flip(&path, place, 1 << (place % 8));
            let found = checked(dir.path(), false);
            assert!(found.n_problems > 0, "{name}: byte {place} flipped unnoticed");
            let blamed = |problem: &Problem| problem.file == name;
            assert!(found.problems.iter().all(blamed), "{name}, byte {place}: {:#?}", found.problems);
            fs::write(&path, &whole).expect("it is writable");
        }
    }
    assert_eq!(checked(dir.path(), true).problems, []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_change_of_any_file_is_blamed_on_it(
        file in any::<prop::sample::Index>(),
        places in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let (dir, corpus) = written(samples(4));
        drop(corpus);
        let names = files(dir.path());
        let name = file.get(&names);
        let path = dir.path().join(name);
        let whole = fs::read(&path).expect("it is there");
        let mut bytes = whole.clone();
        for (place, value) in places {
            let place = place.index(bytes.len());
            bytes[place] ^= value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        prop_assume!(bytes != whole);
        fs::write(&path, bytes).expect("it is writable");
        let found = checked(dir.path(), true);
        prop_assert!(found.n_problems > 0);
        prop_assert!(found.problems.iter().all(|problem| problem.file == *name), "{:#?}", found.problems);
    }
}

#[test]
fn several_damages_are_told_each_with_sample_and_byte() {
    let (dir, corpus) = written(samples(4));
    let first = corpus.entries()[0].image.clone().expect("it has a picture");
    let second = corpus.entries()[1].image.clone().expect("it has a picture");
    drop(corpus);
    let path = dir.path().join("things-000000.tar");
    flip(&path, first.offset as usize + 30, 4);
    flip(&path, second.offset as usize - 512 + 5, 4);
    // the record of the first sample, inside one of its words
    let bytes = fs::read(&path).expect("it is there");
    let word = bytes.windows(7).position(|window| window == b"a thing").expect("its text");
    flip(&path, word, 2);
    let found = checked(dir.path(), false);
    let places: Vec<(Option<&str>, Option<u64>)> =
        found.problems.iter().map(|problem| (problem.sample.as_deref(), problem.byte)).collect();
    assert_eq!(
        places,
        [
            (None, None),
            (Some("thing-0/red"), Some(512)),
            (Some("thing-0/red"), Some(first.offset)),
            (None, Some(second.offset - 512)),
        ],
        "{:#?}",
        found.problems
    );
    assert!(found.problems[1].problem.ends_with("got other texts"), "{:?}", found.problems[1]);
    // the second picture's header is damaged, not the picture
    assert_eq!(found.n_media, checked(dir.path(), true).n_decoded);
}

#[test]
fn missing_and_exchanged_shards_are_told() {
    let (dir, corpus) = written(samples(8));
    drop(corpus);
    let path = |name: &str| dir.path().join(name);
    fs::copy(path("things-000000.tar"), path("things-000001.tar")).expect("it is writable");
    fs::remove_file(path("things-000002.tar")).expect("it is there");
    let found = checked(dir.path(), false);
    let blamed: std::collections::BTreeSet<&str> =
        found.problems.iter().map(|problem| problem.file.as_str()).collect();
    assert_eq!(blamed.into_iter().collect::<Vec<_>>(), ["things-000001.tar", "things-000002.tar"]);
    let limited = AuditOptions { decode: false, n_shown_a_file: 2 };
    let limited = audit(dir.path(), limited, &|_, _| {}).expect("there is an index");
    assert_eq!(limited.n_problems, found.n_problems);
    assert_eq!(limited.problems.len(), 3);
}

#[test]
fn media_that_do_not_decode_are_found_by_decoding_alone() {
    let mut list = samples(3);
    let cut = png(30, 30, [9, 9, 9]);
    list[0].image = media(cut[..cut.len() / 2].to_vec(), "png");
    let n_audio = list.iter().position(|sample| sample.audio.is_some()).expect("one has a sound");
    list[n_audio].audio = media(b"RIFF\0\0\0\0WAVE".to_vec(), "wav");
    let (dir, corpus) = written(list);
    assert_eq!(checked(dir.path(), false).problems, []);
    let found = checked(dir.path(), true);
    let ids: Vec<Option<&str>> = found.problems.iter().map(|problem| problem.sample.as_deref()).collect();
    assert_eq!(ids, [Some("thing-0/red"), Some(corpus.entries()[n_audio].id.as_str())]);
    assert!(found.problems.iter().all(|problem| problem.problem.starts_with("does not decode: ")));
}

#[test]
fn a_folder_without_an_index_is_no_corpus() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let error = audit(dir.path(), AuditOptions::default(), &|_, _| {}).expect_err("it is empty");
    assert!(error.hint().is_some(), "{error}");
}

#[test]
fn progress_ends_at_the_bytes_of_all_shards() {
    let (dir, corpus) = written(samples(8));
    drop(corpus);
    for decode in [false, true] {
        let last = std::sync::Mutex::new((0, 0));
        let options = AuditOptions { decode, ..AuditOptions::default() };
        audit(dir.path(), options, &|done, total| {
            let mut last = last.lock().expect("no thread panicked");
            *last = (last.0.max(done), total);
        })
        .expect("there is an index");
        let (done, total) = *last.lock().expect("no thread panicked");
        assert!(done == total && total > 0, "{done} of {total}");
    }
}

// comparisons

#[test]
fn a_corpus_is_the_same_as_itself_however_it_is_cut() {
    let (_first_dir, first) = written(samples(6));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut writer = ShardWriter::create(dir.path(), "another").expect("it is writable");
    for sample in samples(6).into_iter().rev() {
        writer.push(sample).expect("the sample is well formed");
    }
    let second = writer.finish(&licences()).expect("it is writable");
    let found = compare(&first, &second, 5);
    assert!(found.is_same(), "{found:?}");
    assert_eq!(found.n_same, first.len() as u64);
}

#[test]
fn differences_are_those_made_by_hand() {
    let before = samples(4);
    let mut after = samples(5);
    let removed = after.remove(0);
    after[0].texts = vec!["another".to_owned()];
    after[1].split = Split::Validation;
    after[1].image = media(picture(9, 1), "png");
    after[2].tags.insert("colour".to_owned(), "teal".to_owned());
    after[2].tags.insert("new".to_owned(), "1".to_owned());
    let n = after.iter().position(|sample| sample.audio.is_some()).expect("one has a sound");
    after[n].audio = media(tone(9, 1), "wav");
    after[n].group = "elsewhere".to_owned();
    let ids: Vec<String> = [0, 1, 2, n].iter().map(|idx| after[*idx].id.clone()).collect();
    let (_first_dir, first) = written(before);
    let (_second_dir, second) = written(after);
    let found = compare(&first, &second, 100);
    assert!(!found.is_same());
    assert_eq!(found.removed, [removed.id]);
    assert_eq!((found.n_added, found.n_changed), (5, found.changed.len() as u64));
    assert!(found.added.iter().all(|id| id.starts_with("thing-4/")), "{:?}", found.added);
    let mut changed: Vec<(&str, Vec<Change>)> = found
        .changed
        .iter()
        .map(|sample| (sample.id.as_str(), sample.changes.keys().copied().collect()))
        .collect();
    changed.sort();
    let mut expected = vec![
        (ids[0].as_str(), vec![Change::Texts]),
        (ids[1].as_str(), vec![Change::Picture, Change::Split]),
        (ids[2].as_str(), vec![Change::Tags]),
        (ids[3].as_str(), vec![Change::Sound, Change::Group]),
    ];
    if ids[2] == ids[3] {
        expected.truncate(2);
        expected.push((ids[2].as_str(), vec![Change::Sound, Change::Group, Change::Tags]));
    }
    expected.sort();
    assert_eq!(changed, expected);
    let tags =
        found.changed.iter().find_map(|sample| sample.changes.get(&Change::Tags)).expect("one changed");
    assert_eq!(tags[1], "colour=teal, new=1");
    assert_eq!(compare(&first, &second, 1).added.len(), 1);
}

#[test]
fn another_ledger_is_a_difference() {
    let (_first_dir, first) = written(samples(2));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut writer = ShardWriter::create(dir.path(), "things").expect("it is writable");
    for sample in samples(2) {
        writer.push(sample).expect("the sample is well formed");
    }
    let second = writer.finish(&[Licence::default()]).expect("it is writable");
    let found = compare(&first, &second, 1);
    assert!(found.is_ledger_changed && !found.is_same());
}
