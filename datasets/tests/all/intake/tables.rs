//! Archives and parquet tables.

use std::path::Path;

use serde_json::json;
use triptych_datasets::sample::Split;
use triptych_datasets::shard::Corpus;

use super::{Bench, jpeg, picture, tone};
use crate::fixture::{samples, write};

/// Four rows in the layout of Hugging Face`s `datasets`; `make_parquet.py` beside it says what is in them.
const TABLE: &[u8] = include_bytes!("../../golden/huggingface.parquet");

fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, *bytes).expect("memory takes it");
    }
    archive.into_inner().expect("memory takes it")
}

#[test]
fn web_dataset_of_others_is_read_by_its_endings() {
    let bench = Bench::new();
    let wav = tone(1, 0);
    let tar = archive(&[
        ("folder/000.jpg", &jpeg(1)),
        ("folder/000.txt", b" a caption\n"),
        (
            "folder/000.json",
            b"{\"caption\": \"a caption\", \"texts\": [\"more\"], \"width\": 16, \"nested\": {}}",
        ),
        ("folder/001.wav", &wav),
        ("folder/001.cls", b"3"),
        ("folder/002.seg.png", b"ignored"),
        ("folder/003.json", b"{cut"),
        ("folder/004.png", b"no picture"),
        ("folder/005.txt", b"\xff\xfe"),
    ]);
    bench.put("train-000000.tar", tar);
    let imported = bench.import("webdataset");
    assert_eq!(imported.ids(), ["train-000000/folder/000", "train-000000/folder/001"]);
    let first = &imported.samples[0];
    assert_eq!((first.texts.join("|").as_str(), first.split), ("a caption|more", Split::Train));
    assert_eq!(first.tags["width"], "16");
    assert_eq!(imported.samples[1].tags["class"], "3");
    assert_eq!(imported.samples[1].audio.as_ref().map(|audio| audio.bytes.clone()), Some(wav));
    assert_eq!(imported.ledger.len(), 4);
    let summary = bench.import_file("webdataset", "train-000000.tar").expect("one archive is enough");
    assert_eq!(summary.n_samples, 2);
    assert_eq!(Corpus::open(bench.out()).expect("just written").entries()[0].id, "folder/000");
}

#[test]
fn our_own_shards_come_back_as_they_were() {
    let bench = Bench::new();
    let corpus = write(&bench.source(), samples(5));
    let expected: Vec<_> =
        (0..corpus.len()).map(|idx| corpus.read(idx).expect("it was just written")).collect();
    let imported = bench.import("webdataset");
    imported.assert_clean();
    assert_eq!(imported.samples.len(), expected.len());
    for (mut got, expected) in imported.samples.into_iter().zip(expected) {
        got.source.clone_from(&expected.source);
        assert_eq!(got, expected);
    }
}

#[test]
fn hostile_members_cost_their_sample_and_nothing_is_written_outside() {
    let bench = Bench::new();
    let mut tar = Vec::new();
    for (name, kind) in [
        (&b"../up.txt"[..], tar::EntryType::Regular),
        (b"/etc/passwd.txt", tar::EntryType::Regular),
        (b"a/../../b.txt", tar::EntryType::Regular),
        (b"good.txt", tar::EntryType::Regular),
        (b"link.txt", tar::EntryType::Symlink),
        (b"hard.txt", tar::EntryType::Link),
        (b"device.txt", tar::EntryType::Char),
        (b"\xff.txt", tar::EntryType::Regular),
        (b"also.txt", tar::EntryType::Regular),
        (b"good.txt", tar::EntryType::Regular),
    ] {
        let mut header = tar::Header::new_old();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_size(3);
        header.set_entry_type(kind);
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(b"abc");
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    bench.put("x.tar", tar);
    let imported = bench.import("webdataset");
    assert_eq!(imported.ids(), ["x/good", "x/also"]);
    assert_eq!(imported.ledger.len(), 8);
    let beside: Vec<_> =
        std::fs::read_dir(bench.out().parent().expect("it has one")).expect("readable").collect();
    assert_eq!(beside.len(), 2, "{beside:?}");
}

#[test]
fn archive_cut_short_gives_what_is_whole() {
    let bench = Bench::new();
    let whole = archive(&[("a.txt", b"one"), ("b.txt", b"two"), ("c.png", &picture(1, 0))]);
    bench.put("x.tar", &whole[..2 * 1024 + 512 + 40]);
    let imported = bench.import("webdataset");
    assert_eq!(imported.ids(), ["x/a", "x/b"]);
    assert_eq!(imported.ledger.len(), 1);
}

fn put_table(bench: &Bench, name: &str) {
    bench.put(name, TABLE);
    let beside = Path::new(name).with_file_name("beside.png");
    bench.put(&beside.to_string_lossy(), picture(1, 0));
}

#[test]
fn hugging_face_table_gives_pictures_sounds_and_texts() {
    let bench = Bench::new();
    put_table(&bench, "data/validation-00000-of-00001.parquet");
    let imported = bench.import("parquet");
    let prefix = "data/validation-00000-of-00001";
    assert_eq!(
        imported.ids(),
        [format!("{prefix}/000000000"), format!("{prefix}/000000001"), format!("{prefix}/000000003")]
    );
    let first = &imported.samples[0];
    assert_eq!(first.split, Split::Validation);
    assert_eq!(first.texts, ["a red square", "red"]);
    assert_eq!((first.tags["label"].as_str(), first.tags["speaker"].as_str()), ("1", "anna"));
    assert_eq!(first.image.as_ref().map(|image| image.extension.as_str()), Some("png"));
    assert_eq!(first.audio.as_ref().map(|audio| audio.extension.as_str()), Some("wav"));
    // the second row has its picture by path, and no sound
    assert_eq!(imported.samples[1].image.as_ref().map(|image| image.bytes.clone()), Some(picture(1, 0)));
    assert!(imported.samples[1].audio.is_none());
    // the third points at a file outside
    assert_eq!(imported.ledger.len(), 1);
    assert!(imported.ledger[0]["reason"].as_str().is_some_and(|reason| reason.contains("inside the source")));
    assert_eq!(imported.ledger[0]["part"], "row 3");
}

#[test]
fn columns_of_a_table_may_be_named() {
    let bench = Bench::new();
    put_table(&bench, "table.parquet");
    let options =
        json!({"text": "speaker", "id": "key", "group": "label", "audio": "sound", "image": "no_such"});
    let imported = bench.import_with("parquet", options);
    assert_eq!(imported.ids(), ["k0", "k1", "k2", "k3"]);
    assert!(imported.samples.iter().all(|sample| sample.image.is_none()));
    assert_eq!(
        (imported.samples[0].texts.join("|").as_str(), imported.samples[0].group.as_str()),
        ("anna", "1")
    );
    let summary = bench.import_file("parquet", "table.parquet").expect("one file is enough");
    assert_eq!(summary.n_images, 3);
}
