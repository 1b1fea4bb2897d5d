//! Whatever a reader is fed, it ends, names what is wrong and harms nothing. The seeds are whole inputs of every layout; each is cut,
//! flipped and mixed up at places that are drawn.

use std::fs;
use std::sync::OnceLock;

use proptest::prelude::*;
use serde_json::Value;
use triptych_datasets::corpora::CORPORA;

use super::{Bench, jpeg, picture, tone};

/// The name of a format, and the files of a small source of it by their names.
type Seed = (&'static str, Vec<(&'static str, Vec<u8>)>);

/// A source of every format, or more.
fn seeds() -> &'static [Seed] {
    static SEEDS: OnceLock<Vec<Seed>> = OnceLock::new();
    SEEDS.get_or_init(|| {
        let text = |text: &str| text.as_bytes().to_vec();
        let tar = {
            let mut archive = tar::Builder::new(Vec::new());
            for (name, bytes) in [("a.jpg", jpeg(3)), ("a.txt", text("a")), ("b.wav", tone(1, 0)), ("b.json", text("{\"text\": \"b\"}"))] {
                let mut header = tar::Header::new_gnu();
                header.set_size(bytes.len() as u64);
                archive.append_data(&mut header, name, &bytes[..]).expect("memory takes it");
            }
            archive.into_inner().expect("memory takes it")
        };
        vec![
            ("manifest", vec![
                ("manifest.jsonl", text("{\"id\": \"a\", \"image\": \"a.png\", \"tags\": {\"x\": 1}}\n{\"audio\": \"a.wav\", \"start_s\": 0.01, \"end_s\": 0.05, \"texts\": [\"t\"]}\n")),
                ("a.png", picture(1, 0)),
                ("a.wav", tone(1, 0)),
            ]),
            ("images", vec![
                ("metadata.csv", text("file_name,text,split\na.png,\"a, b\",test\n")),
                ("a.png", picture(1, 0)),
            ]),
            ("images", vec![("a.jpg", jpeg(9)), ("a.txt", text("one\ntwo\n"))]),
            ("coco", vec![
                ("annotations/captions_val2017.json", text("{\"images\": [{\"id\": 1, \"file_name\": \"a.jpg\"}], \"annotations\": [{\"image_id\": 1, \"caption\": \"c\"}]}")),
                ("val2017/a.jpg", jpeg(9)),
            ]),
            ("flickr", vec![("Flickr8k.token.txt", text("a.jpg#0\tone\na.jpg#1\ttwo\n")), ("Images/a.jpg", jpeg(9))]),
            ("librispeech", vec![("dev/1/2/1-2.trans.txt", text("1-2-0000 WORDS\n")), ("dev/1/2/1-2-0000.flac", tone(1, 0))]),
            ("commonvoice", vec![("dev.tsv", text("client_id\tpath\tsentence\n1\ta.mp3\tWords.\n")), ("clips/a.mp3", tone(1, 0))]),
            ("ljspeech", vec![("metadata.csv", text("a|b|c\n")), ("wavs/a.wav", tone(1, 0))]),
            ("webdataset", vec![("x.tar", tar)]),
            ("parquet", vec![("x.parquet", include_bytes!("../../golden/huggingface.parquet").to_vec())]),
            ("text", vec![("a.txt", text("one\r\n\r\ntwo\n"))]),
            ("tuxpaint", vec![
                ("a/b.txt", text("A thing.\nfr.utf8=Une chose.\n")),
                ("a/b.png", picture(1, 0)),
                ("a/b_desc_fr.ogg", tone(1, 0)),
            ]),
            ("asterisk", vec![("core-sounds-en.txt", text("; c\na: Words.\nb/c: [tone]\n")), ("a.wav", tone(1, 0))]),
            ("fillets", vec![
                ("script/l/dialogs_cs.lua", text("dialogId(\"a\", \"f\", \"E\")\ndialogStr(\"C\")\n")),
                ("sound/l/cs/a.ogg", tone(1, 0)),
            ]),
        ]
    })
}

/// What is done to a file.
#[derive(Clone, Debug)]
enum Damage {
    Cut,
    Flip(u8),
    Insert(Vec<u8>),
    Repeat,
    Empty,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        Just(Damage::Cut),
        (1u8..=255).prop_map(Damage::Flip),
        prop::collection::vec(any::<u8>(), 1..9).prop_map(Damage::Insert),
        Just(Damage::Insert(b"../../".to_vec())),
        Just(Damage::Insert(b"\n\r\n\xef\xbb\xbf\0\"".to_vec())),
        Just(Damage::Repeat),
        Just(Damage::Empty),
    ]
}

fn apply(bytes: &mut Vec<u8>, place: usize, damage: &Damage) {
    let place = place % bytes.len().max(1);
    match damage {
        Damage::Cut => bytes.truncate(place),
        Damage::Flip(mask) => {
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= mask;
            }
        }
        Damage::Insert(more) => drop(bytes.splice(place..place, more.iter().copied())),
        Damage::Repeat => bytes.extend_from_within(..),
        Damage::Empty => bytes.clear(),
    }
}

#[test]
fn every_format_has_a_seed_that_imports_cleanly() {
    for format in CORPORA.iter().filter(|format| format.name() != "emoji") {
        let seeds: Vec<_> = seeds().iter().filter(|(name, _)| *name == format.name()).collect();
        assert!(!seeds.is_empty(), "{} has no seed", format.name());
        for (name, files) in seeds {
            let bench = Bench::new();
            bench.put_all(files);
            if *name != "parquet" {
                bench.import(name).assert_clean();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damaged_input_never_panics_and_never_leads_outside(
        seed in any::<prop::sample::Index>(),
        file in any::<prop::sample::Index>(),
        place in any::<usize>(),
        damage in damage(),
    ) {
        let (format, files) = seed.get(seeds());
        let broken = file.index(files.len());
        let bench = Bench::new();
        for (idx, (name, bytes)) in files.iter().enumerate() {
            let mut bytes = bytes.clone();
            if idx == broken {
                apply(&mut bytes, place, &damage);
            }
            bench.put(name, bytes);
        }
        // either it is told as a whole, or what is left is a corpus that is whole
        if bench.try_import(format, &bench.source(), &Value::Null, |_| {}).is_ok() {
            let corpus = triptych_datasets::shard::CorpusStream::open(bench.out()).expect("it was just written");
            corpus.verify().expect("it was just written");
        }
        let parent = bench.out();
        let beside = fs::read_dir(parent.parent().expect("it has one")).expect("readable").count();
        prop_assert!(beside <= 2, "something was written beside the two folders");
    }
}

/// Every place at which the smaller seeds can be cut, one after the other.
#[test]
fn text_inputs_may_be_cut_anywhere() {
    for (format, files) in seeds().iter().filter(|(format, _)| !matches!(*format, "webdataset" | "parquet")) {
        let bench = Bench::new();
        bench.put_all(files);
        let (name, bytes) = &files[0];
        for end in (0..bytes.len().min(200)).step_by(3) {
            bench.put(name, &bytes[..end]);
            bench.try_import(format, &bench.source(), &Value::Null, |request| request.is_dry_run = true).ok();
        }
    }
}
