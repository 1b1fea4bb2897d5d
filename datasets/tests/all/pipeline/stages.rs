//! What each stage does to samples, hostile ones among them.

use std::path::Path;

use triptych_datasets::audio::{Waveform, decode, encode_wav};
use triptych_datasets::image::{Pixels, encode_png};
use triptych_datasets::pipeline::{Comparison, PipelineError, Similarity, prepare};
use triptych_datasets::sample::{Media, Sample, Split};

use super::{audio_sample, ids, image_sample, ledger, options, recipe, run, text_sample, write_raw};
use crate::fixture::{picture, tone};

fn wav(rate_hz: u32, seconds: f32, sample: impl Fn(usize) -> f32) -> Vec<u8> {
    let samples = (0..(seconds * rate_hz as f32) as usize).map(sample).collect();
    encode_wav(&Waveform { samples, rate_hz }).expect("it is short")
}

/// A WAV of floats that are no numbers.
fn wav_of_nan() -> Vec<u8> {
    let mut bytes = b"RIFF\x34\0\0\0WAVEfmt \x10\0\0\0\x03\0\x01\0".to_vec();
    bytes.extend(16_000u32.to_le_bytes());
    bytes.extend(64_000u32.to_le_bytes());
    bytes.extend(b"\x04\0\x20\0data\x10\0\0\0");
    bytes.extend([0, 0, 0xc0, 0x7f].repeat(4));
    bytes
}

/// A PNG whose header promises 60000 x 60000 pixels.
fn bomb() -> Vec<u8> {
    let mut bytes = picture(0, 0);
    bytes[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    bytes[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    let crc = super::crc(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    bytes
}

#[test]
fn hostile_samples_go_to_the_ledger_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let png = picture(1, 1);
    let plain = tone(1, 1);
    let train = Split::Train;
    write_raw(
        dir.path(),
        vec![
            image_sample("good-image", png.clone(), "png", train),
            image_sample("empty-image", Vec::new(), "png", train),
            image_sample("cut-image", png[..png.len() / 2].to_vec(), "png", train),
            image_sample("text-as-image", b"hello".to_vec(), "jpg", train),
            image_sample("bomb", bomb(), "png", train),
            image_sample("wrong-ending", png.clone(), "jpg", train),
            image_sample(
                "line",
                encode_png(&Pixels::filled(16_000, 1, [1; 3])).expect("it fits"),
                "png",
                train,
            ),
            audio_sample("good-audio", plain.clone(), "wav", train),
            audio_sample("empty-audio", Vec::new(), "wav", train),
            audio_sample("nan", wav_of_nan(), "wav", train),
            audio_sample("header-alone", plain[..44].to_vec(), "wav", train),
            audio_sample("image-as-audio", png, "mp3", train),
            audio_sample("long", wav(8000, 3.0, |_| 0.1), "wav", train),
            Sample { id: "nothing".to_owned(), ..Sample::default() },
            text_sample("blank", " \u{0}\t "),
            text_sample("good-text", "a text"),
        ],
    );
    let recipe =
        recipe(dir.path(), "[decode]\nmax_audio_s = 2\n[normalise]\n[filter]\nimage_aspect = { max = 20 }\n");
    let made = run(&recipe, &options()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(ids(&made.corpus), ["good-image", "wrong-ending", "good-audio", "good-text"]);
    let ending = super::opened(&made.corpus).read(1).expect("it is there").image.map(|image| image.extension);
    assert_eq!(ending.as_deref(), Some("png"));
    let ledger = ledger(&dir.path().join("out"));
    assert_eq!(ledger.len(), 12);
    assert!(ledger.iter().all(|line| !line.reason.is_empty() && !line.stage.is_empty()));
    assert_eq!(ledger.iter().filter(|line| line.is_bad).count(), 10);
    let reason =
        |id: &str| ledger.iter().find(|line| line.id == id).map(|line| line.reason.as_str()).unwrap_or("");
    assert!(reason("bomb").contains("at most"), "{}", reason("bomb"));
    assert!(reason("nan").contains("finite"), "{}", reason("nan"));
    assert!(reason("long").contains("at most 2 s"), "{}", reason("long"));
    assert_eq!(reason("line"), "expected an aspect of at most 20, got 16000");
    let decode = &made.report.stages[0];
    assert_eq!((decode.n_in, decode.n_out, decode.n_bad), (16, 6, 10));

    let strict = super::Options { is_strict: true, out: Some(dir.path().join("strict")), ..options() };
    let error = run(&recipe, &strict).expect_err("there are bad samples");
    assert!(matches!(&error, PipelineError::BadItem { id, .. } if id == "empty-image"), "{error}");
    assert!(triptych_datasets::shard::Corpus::open(dir.path().join("strict")).is_err());
}

#[test]
fn normalised_sound_is_16_khz_and_pictures_fit() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let large = encode_png(&Pixels::filled(300, 200, [200, 10, 10])).expect("it fits");
    let sine = |rate: f32| move |i: usize| (std::f32::consts::TAU * 440.0 * i as f32 / rate).sin() * 0.5;
    write_raw(
        dir.path(),
        vec![
            image_sample("large", large, "png", Split::Train),
            image_sample("small", picture(0, 0), "png", Split::Train),
            audio_sample("plain", wav(16_000, 0.2, sine(16_000.0)), "wav", Split::Train),
            audio_sample("fast", wav(44_100, 0.2, sine(44_100.0)), "wav", Split::Train),
            Sample {
                texts: vec!["Cafe\u{301}".into(), "Café ".into(), "".into()],
                ..text_sample("text", "")
            },
        ],
    );
    let made = run(&recipe(dir.path(), "[normalise]\nimage_max_side = 100\n"), &options())
        .unwrap_or_else(|e| panic!("{e}"));
    let read = |idx| super::opened(&made.corpus).read(idx).expect("it is there");
    let large = read(0).image.expect("it has one");
    let pixels = triptych_datasets::image::decode(&large.bytes, "png").expect("it is a picture");
    assert_eq!((pixels.width, pixels.height), (100, 67));
    assert_eq!(read(1).image.map(|image| image.bytes), Some(picture(0, 0)), "it fitted already");
    assert_eq!(read(2).audio.map(|audio| audio.bytes), Some(wav(16_000, 0.2, sine(16_000.0))));
    let sound = decode(&read(3).audio.expect("it has one").bytes, "wav", 10.0).expect("it is a sound");
    assert_eq!((sound.rate_hz, sound.samples.len()), (16_000, 3200));
    assert_eq!(read(4).texts, ["Café"]);
}

#[test]
fn filters_keep_what_they_should_and_say_why_not() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let tone = |i: usize| (i as f32 * 0.2).sin() * 0.5;
    let german = "Wer reitet so spät durch Nacht und Wind? Es ist der Vater mit seinem Kind; er hat den Knaben wohl in dem Arm, er fasst ihn sicher, er hält ihn warm";
    let english = "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, and it was the season of light";
    let said = |id: &str, bytes, text: &str| Sample {
        texts: vec![text.to_owned()],
        ..audio_sample(id, bytes, "wav", Split::Train)
    };
    write_raw(
        dir.path(),
        vec![
            text_sample("english", english),
            text_sample("german", german),
            text_sample("short", "red"),
            text_sample("emoji", "red apple \u{1f34e}"),
            Sample { texts: vec!["no".into(), "red apple".into()], ..text_sample("half", "") },
            said("spoken", wav(16_000, 1.0, tone), "twelve signs"),
            said("fast", wav(16_000, 0.3, tone), "a text far too long for a third of a second"),
            said("silent", wav(16_000, 1.0, |i| if i < 3000 { tone(i) } else { 0.0 }), "twelve signs"),
            said("clipped", wav(16_000, 1.0, |i| (tone(i) * 9.0).clamp(-1.0, 1.0)), "twelve signs"),
            image_sample("tiny", picture(0, 0), "png", Split::Train),
        ],
    );
    let stages = r#"
[filter]
languages = ["eng"]
language_confidence = 0.1
text_characters = { min = 5 }
characters = '\p{L}\p{N} .,;?'
characters_a_second = { min = 3, max = 30 }
audio_silence = { max = 0.5 }
audio_clipping = { max = 0.1 }
image_side = { min = 32 }
"#;
    let made = run(&recipe(dir.path(), stages), &options()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(ids(&made.corpus), ["english", "half", "spoken"]);
    assert_eq!(super::opened(&made.corpus).entries()[1].texts, ["red apple"]);
    let ledger = ledger(&dir.path().join("out"));
    let kinds: Vec<(&str, &str)> = ledger.iter().map(|line| (line.id.as_str(), line.kind.as_str())).collect();
    assert_eq!(
        kinds,
        [
            ("german", "language"),
            ("short", "text_characters"),
            ("emoji", "text_character"),
            ("fast", "speech_rate"),
            ("silent", "audio_silence"),
            ("clipped", "audio_clipping"),
            ("tiny", "image_side"),
        ]
    );
    assert!(ledger.iter().all(|line| !line.is_bad));
}

/// Similar is what shares its first letter.
struct FirstLetter;

impl Similarity for FirstLetter {
    fn identity(&self) -> String {
        "first letter".to_owned()
    }

    fn compare(&self, comparisons: &[Comparison<'_>]) -> Result<Vec<Vec<f32>>, String> {
        let of = |comparison: &Comparison<'_>| {
            let is_picture = comparison.image.is_some();
            comparison
                .texts
                .iter()
                .map(|text| if text.starts_with('p') == is_picture { 0.9 } else { 0.1 })
                .collect()
        };
        Ok(comparisons.iter().map(of).collect())
    }
}

#[test]
fn a_model_filters_and_classifies_without_examples() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let wrong = Sample {
        texts: vec!["sound of it".into()],
        ..image_sample("wrong", picture(2, 2), "png", Split::Train)
    };
    write_raw(
        dir.path(),
        vec![
            image_sample("right", picture(1, 1), "png", Split::Train),
            wrong,
            audio_sample("heard", tone(2, 1), "wav", Split::Train),
            text_sample(
                "text",
                "a text alone is not compared; It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, and it was the season of light",
            ),
        ],
    );
    let stages = r#"
[filter]
similarity = { min = 0.5 }
[classify.language]
min_characters = 10
min_confidence = 0.1
[[classify.rule]]
tag = "kind"
value = "bare"
pattern = "^a text"
[[classify.zero_shot]]
tag = "kind"
labels = { seen = "picture", heard = "noise" }
"#;
    let recipe = recipe(dir.path(), stages);
    let made = prepare(&recipe, &options(), Some(&FirstLetter), &|_| std::ops::ControlFlow::Continue(()));
    let made = made.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(ids(&made.corpus), ["right", "heard", "text"]);
    let corpus = super::opened(&made.corpus);
    let kinds: Vec<&str> = corpus.entries().iter().map(|entry| entry.tags["kind"].as_str()).collect();
    assert_eq!(kinds, ["seen", "heard", "bare"]);
    assert_eq!(super::opened(&made.corpus).entries()[2].tags.get("language").map(String::as_str), Some("en"));
}

#[test]
fn several_sources_follow_each_other_and_repeated_identifiers_are_named() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    super::write_corpus(
        &dir.path().join("a"),
        vec![text_sample("one", "first"), text_sample("two", "second")],
    );
    super::write_corpus(
        &dir.path().join("b"),
        vec![text_sample("two", "other"), text_sample("three", "third")],
    );
    let mut recipe = recipe(dir.path(), "");
    recipe.sources = vec![dir.path().join("a"), dir.path().join("b")];
    let made = run(&recipe, &options()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(ids(&made.corpus), ["one", "two", "three"]);
    let ledger = ledger(&dir.path().join("out"));
    assert!(ledger[0].id == "two" && ledger[0].reason.ends_with("/a"), "{ledger:?}");
    let strict = super::Options { is_strict: true, out: Some(dir.path().join("strict")), ..options() };
    assert!(matches!(run(&recipe, &strict), Err(PipelineError::BadItem { .. })));
}

#[test]
fn an_empty_source_gives_an_empty_corpus() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write_raw(dir.path(), Vec::new());
    let stages = "[normalise]\n[filter]\n[deduplicate]\n[anonymise]\n[classify]\n[split]\n";
    let made = run(&recipe(dir.path(), stages), &options()).unwrap_or_else(|e| panic!("{e}"));
    assert!(made.corpus.is_empty());
    let tokenize = run(&recipe(dir.path(), &format!("{stages}[tokenize]\n")), &options());
    assert!(matches!(tokenize, Err(PipelineError::Tokenizer(_))));
}

#[test]
fn a_vocabulary_is_trained_once_and_can_be_reused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write_raw(dir.path(), crate::fixture::samples(4));
    let made = run(&recipe(dir.path(), "[tokenize]\nvocabulary = 50\n"), &options())
        .unwrap_or_else(|e| panic!("{e}"));
    let trained = made.report.tokenizer.expect("there is one");
    let file = dir.path().join("out").join(&trained.file);
    assert!(trained.unknown_share == 0.0 && trained.characters_a_token > 1.0 && trained.n_texts > 0);
    let reuse = format!("[tokenize]\nfile = {:?}\n", file.display().to_string());
    let again = super::Options { out: Some(dir.path().join("again")), ..options() };
    let made = run(&recipe(dir.path(), &reuse), &again).unwrap_or_else(|e| panic!("{e}"));
    let reused = made.report.tokenizer.expect("there is one");
    assert_eq!((reused.hash, reused.n_texts), (trained.hash, 0));
    assert!(Path::new(&dir.path().join("again/tokenizer.json")).is_file());
}

#[test]
fn media_of_a_sample_come_through_whole() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let both = Sample {
        audio: Some(Media { bytes: tone(1, 0), extension: "wav".to_owned() }),
        ..image_sample("both", picture(3, 1), "png", Split::Test)
    };
    write_raw(dir.path(), vec![both.clone()]);
    let made =
        run(&recipe(dir.path(), "[normalise]\n[anonymise]\n"), &options()).unwrap_or_else(|e| panic!("{e}"));
    made.corpus.verify().expect("it was just written");
    assert_eq!(super::opened(&made.corpus).read(0).expect("it is there"), both);
}
