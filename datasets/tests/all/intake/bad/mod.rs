//! Everything that can be wrong with an item, in every format: it is named with its place and the reason, the rest goes
//! on, a strict import stops, and nothing outside the two folders is read or written.

mod layouts;
mod table;

use std::fs;
use std::path::Path;

use serde_json::Value;
use triptych_datasets::corpora::{CORPORA, ImportError};

use super::{Bench, Imported, picture, tone};
use crate::hostile::claiming_wav;
use crate::media::{float_wav, promising_png};
use layouts::{Carries, Files, Item, LAYOUTS, Layout, Listing};

impl Layout {
    fn media(&self, idx: usize) -> Option<Vec<u8>> {
        match self.carries {
            Carries::Picture => Some(picture(idx, 0)),
            Carries::Sound => Some(tone(idx, 0)),
            Carries::Nothing => None,
        }
    }

    fn item(&self, name: &str, idx: usize) -> Item {
        Item { name: name.to_owned(), words: format!("words of {name}").into_bytes(), media: self.media(idx) }
    }

    /// What lies in the source: the listing, then pictures and sounds by their places.
    fn files(&self, items: &[Item]) -> Files {
        let mut files = (self.about)(items);
        if self.listing != Listing::Packed {
            let media = |item: &Item| Some(((self.place)(&item.name), item.media.clone()?));
            files.extend(items.iter().filter_map(media));
        }
        files
    }

    fn put(&self, bench: &Bench, items: &[Item]) {
        for (name, bytes) in self.files(items) {
            bench.put(&name, bytes);
        }
    }

    /// The reason for which a strict import stops; it writes nothing.
    fn strict(&self, bench: &Bench) -> String {
        let stopped = bench.try_import(self.format, &bench.source(), &Value::Null, |request| {
            (request.is_strict, request.is_dry_run) = (true, true);
        });
        match stopped {
            Err(ImportError::Strict { failure }) => failure.to_string(),
            other => panic!("{}: expected a stop, got {other:?}", self.format),
        }
    }

    fn told(&self) -> String {
        format!("{} of {:?}s as {:?}", self.format, self.carries, self.listing)
    }
}

fn has_words(imported: &Imported, words: &str) -> bool {
    imported.samples.iter().any(|sample| sample.texts.iter().any(|text| text == words))
}

/// The only row of the ledger names a file, and the item by its name, its line or its part.
fn only_reason<'a>(imported: &'a Imported, told: &str) -> &'a str {
    let [row] = &imported.ledger[..] else { panic!("{told}: expected one row, got {:?}", imported.ledger) };
    let file = row["file"].as_str().unwrap_or_default();
    let is_placed =
        row["line"].is_u64() || row["part"].is_string() || row["id"].is_string() || file.contains("bad");
    assert!(!file.is_empty() && is_placed, "{told}: {row}");
    row["reason"].as_str().unwrap_or_default()
}

/// Two good items around one that is given.
fn between(layout: &Layout, bad: Item) -> Vec<Item> {
    vec![layout.item("a-good", 1), bad, layout.item("c-good", 3)]
}

fn assert_good(imported: &Imported, told: &str) {
    for name in ["a-good", "c-good"] {
        assert!(has_words(imported, &format!("words of {name}")), "{told}: {name} of {:?}", imported.ids());
    }
}

/// Nothing but the source, what was made of it, and what the test put there.
fn assert_nothing_beside(bench: &Bench, n_put: usize) {
    let parent = bench.out().with_file_name("");
    let beside: Vec<_> =
        fs::read_dir(&parent).expect("readable").flatten().map(|item| item.file_name()).collect();
    assert!(beside.len() <= 2 + n_put, "{beside:?}");
}

#[test]
fn every_format_has_a_layout_whose_items_arrive() {
    for format in CORPORA.iter().filter(|format| format.name() != "emoji") {
        assert!(LAYOUTS.iter().any(|layout| layout.format == format.name()), "{}", format.name());
    }
    for layout in LAYOUTS {
        let bench = Bench::new();
        layout.put(&bench, &between(layout, layout.item("bad", 2)));
        let imported = bench.import(layout.format);
        imported.assert_clean();
        assert_eq!(imported.samples.len(), 3, "{}", layout.told());
        for (idx, sample) in imported.samples.iter().enumerate() {
            let carried = sample.image.as_ref().or(sample.audio.as_ref()).map(|media| media.bytes.clone());
            assert_eq!(carried, layout.media(idx + 1), "{}", layout.told());
        }
    }
}

/// What is wrong, the bytes, and what the reason says.
fn bad_media(carries: Carries) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let (image, sound) = (picture(2, 0), tone(2, 0));
    match carries {
        Carries::Picture => vec![
            ("empty", Vec::new(), "empty"),
            ("cut", image[..image.len() / 2].to_vec(), "broken picture"),
            ("a sound", sound, "expected a picture, got a file of kind wav"),
            ("words", b"some words".to_vec(), "expected a PNG"),
            ("a bomb", promising_png(1 << 30, 1 << 30), "at most 16384 pixels a side"),
            ("1x100000", promising_png(1, 100_000), "at most 16384 pixels a side"),
        ],
        Carries::Sound => {
            // at the lowest rate that is taken
            let n_samples = 3700 * 1000;
            let mut long = claiming_wav(1, 1000, 8, n_samples);
            long.resize(44 + n_samples as usize, 128);
            vec![
                ("empty", Vec::new(), "empty"),
                ("cut", sound[..50].to_vec(), ""),
                ("a picture", image, "expected a sound, got a file of kind png"),
                ("words", b"some words".to_vec(), "expected WAV"),
                ("more than an hour", long, "at most 3600 s"),
                ("a header of thirty hours", claiming_wav(1, 16_000, 16, 3_456_000_000), ""),
                ("not a number", float_wav(&[0.1, f32::NAN, 0.2], 1), "expected finite samples, got NaN"),
            ]
        }
        Carries::Nothing => Vec::new(),
    }
}

#[test]
fn a_bad_picture_or_sound_costs_itself_in_every_format() {
    for layout in LAYOUTS {
        for (what, bytes, expected) in bad_media(layout.carries) {
            let told = format!("{}, {what}", layout.told());
            let bench = Bench::new();
            let bad = Item { media: Some(bytes), ..layout.item("bad", 2) };
            layout.put(&bench, &between(layout, bad));
            let imported = bench.import(layout.format);
            if layout.format == "parquet" && ["a picture", "a sound"].contains(&what) {
                // of a table the content says what a column is
                assert_eq!(imported.assert_clean().samples.len(), 3, "{told}");
                continue;
            }
            assert_eq!(imported.samples.len(), 2, "{told}: {:?}", imported.ids());
            assert_good(&imported, &told);
            let reason = only_reason(&imported, &told);
            assert!(!reason.is_empty() && reason.contains(expected), "{told}: {reason}");
            assert!(layout.strict(&bench).contains(reason), "{told}");
            assert_nothing_beside(&bench, 0);
        }
    }
}

/// A picture and sounds that nobody may read, beside the source.
fn put_secrets(bench: &Bench) {
    let parent = bench.out().with_file_name("");
    fs::write(parent.join("secret.png"), picture(7, 2)).expect("the folder is writable");
    for ending in ["wav", "flac", "mp3", "ogg"] {
        fs::write(parent.join(format!("secret.{ending}")), tone(9, 1)).expect("the folder is writable");
    }
}

fn assert_secret(imported: &Imported, told: &str) {
    for sample in &imported.samples {
        let media = sample.image.iter().chain(&sample.audio);
        assert!(
            media.clone().all(|media| media.bytes != picture(7, 2) && media.bytes != tone(9, 1)),
            "{told}"
        );
    }
}

#[test]
fn names_that_lead_out_of_the_source_are_refused_in_every_format() {
    let is_listed = |layout: &&Layout| match layout.listing {
        Listing::Lines | Listing::Document => layout.carries != Carries::Nothing,
        Listing::Packed => layout.format == "parquet",
        Listing::Files => false,
    };
    for layout in LAYOUTS.iter().filter(is_listed) {
        let bench = Bench::new();
        let up = "../".repeat(layout.n_below + 1);
        let absolute = bench.out().with_file_name("secret").display().to_string();
        let deep = format!("a-good/../{up}secret");
        for name in [format!("{up}secret"), absolute, deep] {
            let told = format!("{}, {name}", layout.told());
            put_secrets(&bench);
            let bad = Item { media: None, ..layout.item(&name, 2) };
            layout.put(&bench, &between(layout, bad));
            let imported = bench.import(layout.format);
            assert_good(&imported, &told);
            assert_eq!(imported.samples.len(), 2, "{told}: {:?}", imported.ids());
            assert_secret(&imported, &told);
            if layout.format == "fillets" && name.starts_with('/') {
                // below the folder of the recordings there is no such file: a line that nobody speaks
                imported.assert_clean();
                continue;
            }
            let reason = only_reason(&imported, &told);
            assert!(
                reason.contains("inside the source") || reason.contains("there is none"),
                "{told}: {reason}"
            );
            assert!(layout.strict(&bench).contains(reason), "{told}");
            assert_nothing_beside(&bench, 5);
        }
    }
}

#[cfg(unix)]
fn link(from: &Path, to: &Path) {
    fs::remove_file(to).ok();
    std::os::unix::fs::symlink(from, to).expect("links work here");
}

#[cfg(unix)]
#[test]
fn pictures_and_sounds_that_are_links_out_of_the_source_are_refused_in_every_format() {
    let is_there = |layout: &&Layout| layout.listing != Listing::Packed && layout.carries != Carries::Nothing;
    for layout in LAYOUTS.iter().filter(is_there) {
        let told = layout.told();
        let bench = Bench::new();
        put_secrets(&bench);
        layout.put(&bench, &between(layout, layout.item("bad", 2)));
        let place = (layout.place)("bad");
        let secret = format!("secret.{}", place.rsplit('.').next().unwrap_or_default());
        link(&bench.out().with_file_name(secret), &bench.source().join(place));
        let imported = bench.import(layout.format);
        assert_good(&imported, &told);
        assert_secret(&imported, &told);
        // formats that look through the whole folder name the file as well as the line about it
        let reasons: Vec<_> = imported.ledger.iter().filter_map(|row| row["reason"].as_str()).collect();
        assert!((1..=2).contains(&reasons.len()), "{told}: {reasons:?}");
        assert!(
            reasons.iter().all(|reason| reason.contains("a link that leads out of it")),
            "{told}: {reasons:?}"
        );
        assert!(layout.strict(&bench).contains("a link that leads out of it"), "{told}");
    }
}

#[cfg(unix)]
#[test]
fn listings_that_are_links_out_of_the_source_are_not_read() {
    for layout in LAYOUTS {
        let told = layout.told();
        let bench = Bench::new();
        let items = between(layout, layout.item("bad", 2));
        layout.put(&bench, &items);
        let (name, bytes) =
            (layout.about)(&items).remove(if layout.listing == Listing::Files { 1 } else { 0 });
        let outside = bench.out().with_file_name("outside");
        fs::write(&outside, bytes).expect("the folder is writable");
        link(&outside, &bench.source().join(&name));
        let tried = bench.try_import(layout.format, &bench.source(), &Value::Null, |_| {});
        match (layout.listing, tried) {
            (Listing::Files, Ok(summary)) => {
                assert!(summary.n_failed > 0 && summary.n_samples >= 2, "{told}: {summary:?}");
                let reasons: Vec<_> = summary.failures.iter().map(ToString::to_string).collect();
                assert!(reasons.iter().all(|reason| reason.contains(name.as_str())), "{told}: {reasons:?}");
            }
            // pictures of a folder without captions are samples too
            (_, Ok(summary)) => {
                assert!(layout.format == "images" && summary.n_texts == 0, "{told}: {summary:?}")
            }
            (listing, Err(error)) => assert!(listing != Listing::Files, "{told}: {error}"),
        }
    }
}

/// Words and the names of samples, whatever their order.
fn said(imported: &Imported) -> Vec<(String, Vec<String>)> {
    let mut said: Vec<_> = imported.samples.iter().map(|s| (s.id.clone(), s.texts.clone())).collect();
    said.sort();
    said
}

#[test]
fn line_endings_and_byte_order_marks_are_no_content_in_any_format() {
    for layout in LAYOUTS.iter().filter(|layout| layout.listing != Listing::Packed) {
        let items = between(layout, layout.item("bad", 2));
        let bench = Bench::new();
        layout.put(&bench, &items);
        let plain = said(&bench.import(layout.format));
        let lf_to_crlf = |bytes: &[u8]| {
            bytes
                .iter()
                .flat_map(|b| if *b == b'\n' { vec![b'\r', b'\n'] } else { vec![*b] })
                .collect::<Vec<u8>>()
        };
        for has_mark in [false, true] {
            for (name, bytes) in (layout.about)(&items) {
                let mark = if has_mark { &b"\xef\xbb\xbf"[..] } else { b"" };
                bench.put(&name, [mark, &lf_to_crlf(&bytes)].concat());
            }
            let imported = bench.import(layout.format);
            imported.assert_clean();
            assert_eq!(said(&imported), plain, "{}, with a mark: {has_mark}", layout.told());
        }
    }
}

#[test]
fn words_that_are_no_utf_8_cost_their_item_or_their_document() {
    for layout in LAYOUTS {
        let told = layout.told();
        let bench = Bench::new();
        let bad = Item { words: b"wo\xffrds".to_vec(), ..layout.item("bad", 2) };
        layout.put(&bench, &between(layout, bad));
        if layout.listing == Listing::Document {
            let tried = bench.try_import(layout.format, &bench.source(), &Value::Null, |_| {});
            let error = tried.expect_err("its only document is broken").to_string();
            assert!(error.contains("UTF-8") || error.contains("unicode"), "{told}: {error}");
            continue;
        }
        let imported = bench.import(layout.format);
        if layout.format == "parquet" {
            // what is no text in a column of texts is a broken file: what stands behind it is lost, and that is said
            assert!(has_words(&imported, "words of a-good") && imported.samples.len() == 1, "{told}");
            let reason = only_reason(&imported, &told);
            assert!(
                reason.contains("the rest cannot be read") && imported.ledger[0]["part"] == "row 2",
                "{told}"
            );
            continue;
        }
        assert_good(&imported, &told);
        assert!(
            imported.samples.iter().flat_map(|s| &s.texts).all(|text| text.starts_with("words of")),
            "{told}"
        );
        let reason = only_reason(&imported, &told);
        assert!(reason.contains("UTF-8"), "{told}: {reason}");
        assert!(layout.strict(&bench).contains(reason), "{told}");
    }
}

#[test]
fn a_name_that_comes_twice_is_one_sample_and_the_second_is_told() {
    // in a folder no name is twice; lines and rows of others have numbers for names
    let has_names =
        |layout: &&Layout| layout.listing != Listing::Files && !matches!(layout.format, "text" | "parquet");
    for layout in LAYOUTS.iter().filter(has_names) {
        let told = layout.told();
        let bench = Bench::new();
        let again = Item { words: b"other words".to_vec(), ..layout.item("bad", 2) };
        let items = [layout.item("bad", 2), layout.item("a-good", 1), again, layout.item("c-good", 3)];
        layout.put(&bench, &items);
        let imported = bench.import(layout.format);
        assert_good(&imported, &told);
        assert!(
            imported.samples.len() == 3 && has_words(&imported, "words of bad"),
            "{told}: {:?}",
            imported.ids()
        );
        let reason = only_reason(&imported, &told);
        let expected = match layout.format {
            "webdataset" => "expected the members of \"bad\" side by side",
            _ => "expected an identifier that no earlier sample has",
        };
        assert!(reason.contains(expected), "{told}: {reason}");
    }
}

#[test]
fn listings_without_what_they_need_are_named() {
    for (format, file, content, expected) in [
        (
            "manifest",
            "manifest.jsonl",
            "{\"speaker\": \"x\"}\n",
            "expected at least one of image, audio, text",
        ),
        ("images", "metadata.csv", "picture,words\na.png,x\n", "expected a column file_name"),
        ("coco", "annotations/captions_val2017.json", "{\"images\": []}", "`annotations`"),
        ("flickr", "results.csv", "image| number\na.jpg| 1\n", "expected a column `image_name`"),
        ("flickr", "Flickr8k.token.txt", "a.jpg\n", "a tab and a caption"),
        ("librispeech", "dev-clean/1/2/1-2.trans.txt", "1-2-0000\n", "a name, a space and words"),
        ("commonvoice", "dev.tsv", "client_id\tpath\n1\ta.mp3\n", "expected a column `sentence`"),
        ("ljspeech", "metadata.csv", "name only\n", "expected NAME|printed|spoken"),
        ("webdataset", "x.tar", "no archive", "x.tar"),
        ("parquet", "x.parquet", "no table", "x.parquet"),
        ("tuxpaint", "a.txt", "\n", "expected an English caption"),
        ("asterisk", "core-sounds-en.txt", "words only\n", "expected NAME: WORDS"),
    ] {
        let bench = Bench::new();
        // so that the source holds what a picture or a sound could be
        bench.put("a.png", picture(1, 0)).put("a.wav", tone(1, 0)).put(file, content);
        let tried = bench.try_import(format, &bench.source(), &Value::Null, |_| {});
        let told = match tried {
            Ok(summary) => summary.failures.first().map(ToString::to_string).unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        assert!(told.contains(expected) && told.contains(file), "{format}: {told}");
        // and nothing at all in it
        bench.put(file, "");
        bench.try_import(format, &bench.source(), &Value::Null, |request| request.is_dry_run = true).ok();
    }
}
