//! The page over small corpora made on the spot.

use std::path::Path;

use tempfile::TempDir;
use triptych_datasets::audio::{Waveform, encode_wav};
use triptych_datasets::image::{Pixels, encode_png};
use triptych_datasets::sample::{Media, Sample, Split};
use triptych_datasets::shard::{Corpus, Licence, ShardWriter};
use triptych_datasets::survey::survey;

use super::{Choice, write};
use crate::report::tests::{markup, sample::HOSTILE};

/// Pictures and sounds of a few things in two splits, every word of them `word`.
fn samples(word: impl Fn(&str) -> String) -> Vec<Sample> {
    let mut samples = Vec::new();
    for n in 0..24usize {
        let pixels = Pixels::filled(30 + n, 60, [10 * n as u8, 80, 200]);
        let tone = |i: usize| (i as f32 * 0.05 * (n + 1) as f32).sin() * 0.4;
        let wave = Waveform { samples: (0..1600 + 400 * n).map(tone).collect(), rate_hz: 16_000 };
        let plain = |maker: &str| Sample {
            id: format!("thing-{n}/{maker}"),
            source: word("source"),
            group: word(&format!("thing {}", n % 8)),
            split: if n % 3 == 0 { Split::Test } else { Split::Train },
            texts: vec![word(&format!("thing number {n}")), word("something")],
            tags: [("voice", maker), ("synthetic", "yes")]
                .map(|(key, value)| (word(key), word(value)))
                .into_iter()
                .collect(),
            ..Sample::default()
        };
        let media = |bytes: Vec<u8>, extension: &str| Some(Media { bytes, extension: extension.to_owned() });
        samples.push(Sample { image: media(encode_png(&pixels).unwrap(), "png"), ..plain("drawn") });
        samples.push(Sample { audio: media(encode_wav(&wave).unwrap(), "wav"), ..plain("said") });
    }
    samples
}

fn corpus(samples: Vec<Sample>, word: impl Fn(&str) -> String) -> (TempDir, Corpus) {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = ShardWriter::create(dir.path(), "things").unwrap();
    for sample in samples {
        writer.push(sample).unwrap();
    }
    let licence = Licence {
        part: word("all"),
        source: word("here"),
        version: word("1"),
        licence: word("CC0-1.0"),
        attribution: word("nobody"),
        files: Vec::new(),
    };
    let corpus = writer.finish(&[licence]).unwrap();
    (dir, corpus)
}

fn page(corpus: &Corpus, choice: Choice) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.html");
    write(corpus, &survey(corpus, None, &|_, _, _| {}), choice, &path).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside the page");
    std::fs::read_to_string(path).unwrap()
}

fn hostile() -> (TempDir, Corpus) {
    let mut samples = samples(|_| HOSTILE.to_owned());
    // a picture and a sound that do not decode, and a leak
    samples[0].image = Some(Media { bytes: HOSTILE.as_bytes().to_vec(), extension: "png".to_owned() });
    samples[1].audio = Some(Media { bytes: HOSTILE.as_bytes().to_vec(), extension: "wav".to_owned() });
    samples[2].image = samples[6].image.clone();
    let (dir, corpus) = corpus(samples, |_| HOSTILE.to_owned());
    let failure = serde_json::json!({"id": HOSTILE, "file": HOSTILE, "kind": HOSTILE, "reason": HOSTILE});
    std::fs::write(dir.path().join("ledger.jsonl"), format!("{failure}\n{HOSTILE}\n")).unwrap();
    (dir, corpus)
}

#[test]
fn the_page_keeps_its_structure() {
    let (_dir, corpus) = corpus(samples(str::to_owned), str::to_owned);
    let tags = markup::parse(&page(&corpus, Choice::default())).unwrap();
    insta::assert_snapshot!(markup::outline(&tags));
}

#[test]
fn every_tag_closes_whatever_is_present_or_absent() {
    let only = |keep: fn(&Sample) -> bool| {
        let mut kept = samples(str::to_owned);
        kept.retain(keep);
        kept
    };
    let mut wordless = samples(str::to_owned);
    wordless.iter_mut().for_each(|sample| (sample.texts, sample.tags) = Default::default());
    let mut texts = samples(str::to_owned);
    texts.iter_mut().for_each(|sample| (sample.image, sample.audio) = (None, None));
    let variants = [
        Vec::new(),
        only(|sample| sample.image.is_some()),
        only(|sample| sample.audio.is_some()),
        wordless,
        texts,
    ];
    for (variant, samples) in variants.into_iter().enumerate() {
        let (_dir, corpus) = corpus(samples, str::to_owned);
        if let Err(fault) = markup::parse(&page(&corpus, Choice::default())) {
            panic!("variant {variant}: {fault}");
        }
    }
}

#[test]
fn nothing_is_loaded_from_elsewhere_and_hostile_texts_are_not_obeyed() {
    let (_dir, corpus) = hostile();
    let page = page(&corpus, Choice::default());
    let tags = markup::parse(&page).unwrap();
    assert_eq!(tags.iter().filter(|tag| tag.name == "script").count(), 1, "only the page's own script");
    assert!(!page.contains("<img src=http") && !page.contains("alert(\"x\")"));
    for tag in &tags {
        assert!(!matches!(tag.name.as_str(), "link" | "iframe" | "object" | "embed" | "base"), "{tag:?}");
        for (key, value) in &tag.attributes {
            match key.as_str() {
                "src" => assert!(
                    ["data:image/png;base64,", "data:image/jpeg;base64,", "data:audio/wav;base64,"]
                        .iter()
                        .any(|start| value.starts_with(start))
                ),
                "href" => assert!(value.starts_with('#'), "{tag:?}"),
                "srcset" | "action" | "data" | "poster" | "xlink:href" => panic!("{tag:?}"),
                handler => assert!(!handler.starts_with("on"), "{tag:?}"),
            }
        }
    }
    let style = &page[page.find("<style>").unwrap()..page.find("</style>").unwrap()];
    assert!(!style.contains("url(") && !style.contains("@import"));
    assert!(page.contains("default-src &#x27;none&#x27;") || page.contains("default-src 'none'"));
}

#[test]
fn what_does_not_decode_is_shown_as_such_and_leaks_are_told_first() {
    let (_dir, corpus) = hostile();
    let page = page(&corpus, Choice::default());
    assert!(page.contains("2 pictures and sounds cannot be read"), "{}", &page[..page.len().min(20_000)]);
    assert!(page.contains("Leak: 1 of the pictures in test stand in train too"));
    assert!(
        page.contains("What did not get in") && page.contains("ledger.jsonl line 2: expected a JSON object")
    );
}

#[test]
fn pictures_and_sounds_are_described_and_speech_is_called_synthetic() {
    let (_dir, corpus) = corpus(samples(str::to_owned), str::to_owned);
    let page = page(&corpus, Choice::default());
    let tags = markup::parse(&page).unwrap();
    let n_players = tags.iter().filter(|tag| tag.name == "audio").count();
    assert!(n_players >= 12, "{n_players}");
    assert_eq!(page.matches(" · synthetic speech<").count(), n_players);
    for tag in &tags {
        match tag.name.as_str() {
            "img" => assert!(tag.value("alt").is_some_and(|alt| alt.starts_with("picture of: "))),
            "audio" => {
                assert!(tag.has("controls") && tag.value("aria-label").is_some_and(|name| !name.is_empty()))
            }
            "th" => assert!(tag.has("scope"), "{tag:?}"),
            "svg" => assert!(tag.has("aria-label") || tag.value("aria-hidden") == Some("true"), "{tag:?}"),
            _ => {}
        }
    }
    let mut ids: Vec<&str> = tags.iter().filter_map(|tag| tag.value("id")).collect();
    for href in tags.iter().filter_map(|tag| tag.value("href")) {
        assert!(ids.contains(&&href[1..]), "{href}");
    }
    let n_ids = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), n_ids);
}

#[test]
fn the_seed_decides_what_is_shown_and_the_same_seed_shows_the_same() {
    let (_dir, corpus) = corpus(samples(str::to_owned), str::to_owned);
    let choice = Choice { seed: 1, n_pictures: 4, n_sounds: 1 };
    let first = page(&corpus, choice);
    assert_eq!(first, page(&corpus, choice));
    assert_ne!(first, page(&corpus, Choice { seed: 2, ..choice }));
    let tags = markup::parse(&first).unwrap();
    let n_shown = tags.iter().filter(|tag| tag.has("data-item")).count();
    assert_eq!(n_shown, 2 * 4 + 2, "four pictures and a sound of each of two splits");
}

#[test]
fn a_page_that_cannot_be_written_names_its_file() {
    let (_dir, corpus) = corpus(samples(str::to_owned).into_iter().take(2).collect(), str::to_owned);
    let found = survey(&corpus, None, &|_, _, _| {});
    let missing = Path::new("/no-such-folder/page.html");
    let message = write(&corpus, &found, Choice::default(), missing).unwrap_err().to_string();
    assert!(message.contains("/no-such-folder/page.html: "), "{message}");
}
