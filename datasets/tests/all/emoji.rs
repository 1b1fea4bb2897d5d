//! The bundled corpus, a handful of concepts of it.

use std::cell::RefCell;
use std::fs;

use triptych_datasets::audio::decode as decode_audio;
use triptych_datasets::corpora::emoji::{self, EmojiOptions};
use triptych_datasets::corpora::{ImportError, Request, importer};
use triptych_datasets::image::decode;
use triptych_datasets::loader::Selection;
use triptych_datasets::sample::Split;

fn few() -> EmojiOptions {
    EmojiOptions {
        side: 32,
        styles: Some(vec!["noto".to_owned(), "twemoji".to_owned()]),
        voices: Some(vec!["en-us".to_owned(), "slt".to_owned()]),
        n_known: Some(3),
        n_unknown: Some(1),
    }
}

#[test]
fn import_gives_whole_samples_and_is_done_once() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let seen = RefCell::new(Vec::new());
    let progress =
        |done: usize, total: usize, what: &str| seen.borrow_mut().push((done, total, what.to_owned()));
    let corpus = emoji::import(&few(), dir.path(), &progress).expect("the bundle is whole");
    assert_eq!(corpus.len(), 4 * 4);
    assert_eq!(seen.borrow().last().map(|(done, total, _)| (*done, *total)), Some((16, 16)));
    corpus.verify().expect("it was just written");
    for idx in 0..corpus.len() {
        let sample = corpus.read(idx).expect("it was just written");
        assert_eq!(sample.texts.first(), Some(&sample.group));
        assert_eq!(sample.tags.get("concept"), Some(&sample.group));
        let held_out_maker = ["style", "voice"]
            .iter()
            .any(|key| sample.tags.get(*key).is_some_and(|maker| maker == "twemoji" || maker == "slt"));
        let is_test = held_out_maker || sample.tags["known"] == "no";
        assert_eq!(sample.split == Split::Test, is_test, "{}", sample.id);
        if let Some(image) = sample.image {
            let pixels = decode(&image.bytes, &image.extension).expect("it was just drawn");
            assert_eq!((pixels.width, pixels.height), (32, 32));
            assert!(pixels.rgb.iter().any(|v| *v < 128), "{} is blank", sample.id);
        } else {
            let sound = sample.audio.expect("no picture, so a sound");
            let waveform = decode_audio(&sound.bytes, &sound.extension, 10.0).expect("it was just cut");
            assert_eq!(waveform.rate_hz, 16_000);
            assert!((0.2..4.0).contains(&waveform.duration_s()), "{} s", waveform.duration_s());
            let loudest = waveform.samples.iter().fold(0.0f32, |a, b| a.max(b.abs()));
            assert!(loudest > 0.1, "{} is silent", sample.id);
            assert_eq!(sample.tags["synthetic"], "yes");
        }
    }
    let unseen = Selection::of_split(Split::Test).with_tag("voice", ["slt"]).with_tag("known", ["yes"]);
    assert_eq!(corpus.select(&unseen).len(), 3);
    assert!(corpus.licences().iter().any(|licence| licence.licence == "CC-BY-4.0"));

    let hash = corpus.content_hash().to_owned();
    drop(corpus);
    seen.borrow_mut().clear();
    let again = emoji::import(&few(), dir.path(), &progress).expect("it lies there");
    assert_eq!(seen.borrow().last(), Some(&(16, 16, "already prepared".to_owned())));
    assert_eq!(again.content_hash(), hash);
    drop(again);

    let other = EmojiOptions { n_known: Some(2), ..few() };
    let smaller = emoji::import(&other, dir.path(), &progress).expect("the bundle is whole");
    assert_eq!(smaller.len(), 3 * 4);
}

#[test]
fn registry_takes_options_as_a_map() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let emoji = importer("emoji").expect("it is registered");
    let options =
        serde_json::json!({"side": 16, "styles": ["noto"], "voices": [], "n_known": 2, "n_unknown": 0});
    let request = Request::new(None, dir.path(), &options);
    let mut dry = request;
    dry.is_dry_run = true;
    let planned = emoji.import(&dry).expect("the bundle is whole");
    assert_eq!(fs::read_dir(dir.path()).expect("it is there").count(), 0, "a dry run wrote something");
    let made = emoji.import(&request).expect("the bundle is whole");
    assert_eq!((made.n_samples, made.n_images, made.is_new), (2, 2, true));
    assert_eq!((planned.n_samples, planned.splits), (made.n_samples, made.splits.clone()));
    assert!(!emoji.import(&request).expect("it lies there").is_new);
    let wrong = serde_json::json!({"styles": ["nato"]});
    let error = emoji.import(&Request::new(None, dir.path(), &wrong)).expect_err("no such style");
    assert!(matches!(error, ImportError::Options { .. }), "{error}");
    assert!(error.to_string().contains("expected some of noto, fluent"), "{error}");
}

#[test]
fn held_out_makers_are_those_of_the_baseline() {
    let held_out = |list: Vec<(&'static str, bool)>| -> Vec<&str> {
        list.into_iter().filter(|(_, is_held_out)| *is_held_out).map(|(name, _)| name).collect()
    };
    assert_eq!(held_out(emoji::styles().collect()), ["twemoji"]);
    assert_eq!(held_out(emoji::voices().collect()), ["slt", "scotland-m3", "joe"]);
}
