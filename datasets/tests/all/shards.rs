//! Corpora on disk: round trips, and every way in which one can be broken.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;
use triptych_datasets::sample::{Media, Question, Sample, Split};
use triptych_datasets::shard::{Corpus, CorpusError, ShardWriter, archive_samples};

use crate::fixture::{licences, samples, write};

fn fixture() -> (TempDir, Corpus) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let corpus = write(dir.path(), samples(6));
    (dir, corpus)
}

fn shard_paths(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)
        .expect("the folder is there")
        .map(|item| item.expect("it is readable").path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "tar"));
    paths.sort();
    paths
}

fn media() -> impl Strategy<Value = Option<Media>> {
    let extension = prop::sample::select(vec!["png", "jpg", "wav", "flac"]);
    let bytes = prop::collection::vec(any::<u8>(), 0..2000);
    let some = (bytes, extension).prop_map(|(bytes, ending)| Media { bytes, extension: ending.to_owned() });
    prop::option::of(some)
}

fn questions() -> impl Strategy<Value = Question> {
    (".{0,20}", prop::collection::vec(".{0,9}", 0..11))
        .prop_map(|(question, answers)| Question { question, answers })
}

prop_compose! {
    fn sample()(
        key in "[a-zé0-9_ ]{1,12}(/[a-z0-9-]{1,90}){0,2}",
        source in ".{0,20}",
        group in ".{0,20}",
        split in prop::sample::select(vec![Split::Train, Split::Validation, Split::Test]),
        image in media(),
        audio in media(),
        texts in prop::collection::vec(".{0,30}", 0..3),
        questions in prop::collection::vec(questions(), 0..3),
        tags in prop::collection::btree_map("[a-z]{1,5}", ".{0,10}", 0..3),
    ) -> Sample {
        let audio = audio.filter(|audio| image.as_ref().is_none_or(|image: &Media| image.extension != audio.extension));
        Sample { id: key, source, group, split, image, audio, texts, questions, tags }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_written_is_read(samples in prop::collection::vec(sample(), 0..12)) {
        let mut samples = samples;
        samples.sort_by(|a, b| a.id.cmp(&b.id));
        samples.dedup_by(|a, b| a.id == b.id);
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut writer = ShardWriter::create(dir.path(), "any").expect("writable").with_shard_bytes(6000);
        for sample in &samples {
            writer.push(sample.clone()).expect("the sample is well formed");
        }
        let written = writer.finish(&licences()).expect("writable");
        let corpus = Corpus::open(dir.path()).expect("it was just written");
        corpus.verify().expect("it was just written");
        prop_assert_eq!(corpus.content_hash(), written.content_hash());
        prop_assert_eq!(corpus.licences(), &licences()[..]);
        prop_assert_eq!(corpus.len(), samples.len());
        for (idx, sample) in samples.iter().enumerate() {
            prop_assert_eq!(&corpus.read(idx).expect("it was just written"), sample);
        }
    }
}

#[test]
fn shards_are_web_dataset_archives() {
    let (dir, corpus) = fixture();
    let paths = shard_paths(dir.path());
    assert!(paths.len() > 1, "expected several shards, got {}", paths.len());
    assert!(paths[0].ends_with("things-000000.tar"));
    let read: Vec<_> = paths
        .iter()
        .flat_map(|path| archive_samples(path).expect("the shard opens"))
        .collect::<Result<_, _>>()
        .expect("the shards are whole");
    assert_eq!(read.len(), corpus.len());
    for (sample, entry) in read.iter().zip(corpus.entries()) {
        assert_eq!(sample.key, entry.id);
        let endings: Vec<&str> = sample.members.iter().map(|member| member.extension.as_str()).collect();
        let medium = if entry.image.is_some() { "png" } else { "wav" };
        assert_eq!(endings, ["json", medium]);
    }
    let duration_s = corpus.entries().iter().find_map(|entry| entry.duration_s);
    assert_eq!(duration_s, Some((1600.0 + 160.0) / 16_000.0));
}

#[test]
fn same_samples_give_the_same_bytes() {
    let (_first_dir, first) = fixture();
    let (_second_dir, second) = fixture();
    assert_eq!(first.content_hash(), second.content_hash());
}

#[test]
fn truncated_shard_is_refused_with_both_sizes() {
    let (dir, corpus) = fixture();
    drop(corpus);
    let path = shard_paths(dir.path()).remove(0);
    let expected = fs::metadata(&path).expect("it is there").len();
    let file = fs::OpenOptions::new().write(true).open(&path).expect("it is writable");
    file.set_len(expected - 700).expect("it is writable");
    let error = Corpus::open(dir.path()).expect_err("a shard is cut");
    let message = format!("{}: expected {expected} bytes, got {}", path.display(), expected - 700);
    assert_eq!(error.to_string(), message);
    assert!(error.hint().is_some_and(|hint| hint.contains("prepare the corpus again")));
}

#[test]
fn missing_shard_is_refused_by_its_name() {
    let (dir, corpus) = fixture();
    drop(corpus);
    let path = shard_paths(dir.path()).remove(1);
    fs::remove_file(&path).expect("it is there");
    let error = Corpus::open(dir.path()).expect_err("a shard is gone");
    assert!(matches!(&error, CorpusError::Missing { path: got, .. } if *got == path), "{error}");
}

#[test]
fn flipped_byte_is_found_on_reading_and_on_verifying() {
    let (dir, corpus) = fixture();
    let member = corpus.entries()[2].image.clone().expect("the sample has a picture");
    drop(corpus);
    let path = shard_paths(dir.path()).remove(0);
    let mut bytes = fs::read(&path).expect("it is there");
    bytes[member.offset as usize + 50] ^= 4;
    fs::write(&path, bytes).expect("it is writable");
    let corpus = Corpus::open(dir.path()).expect("sizes are as before");
    assert!(corpus.read(1).is_ok());
    let error = corpus.read(2).expect_err("a byte is flipped");
    let place = format!("sample \"thing-0/blue\", .png at byte {}", member.offset);
    assert!(matches!(&error, CorpusError::Hash { place: got, .. } if *got == place), "{error}");
    let error = corpus.verify().expect_err("a byte is flipped");
    assert!(matches!(&error, CorpusError::Hash { path: got, .. } if *got == path), "{error}");
}

#[test]
fn every_flipped_byte_of_the_index_is_found() {
    let (dir, corpus) = fixture();
    drop(corpus);
    for name in ["index.json", "entries.jsonl.zst", "licenses.json"] {
        let path = dir.path().join(name);
        let whole = fs::read(&path).expect("it is there");
        for place in (0..whole.len()).step_by(7) {
            let mut bytes = whole.clone();
            bytes[place] ^= 1;
            // white space between the fields may change without harm
            if whole[place].is_ascii_whitespace() || bytes[place].is_ascii_whitespace() {
                continue;
            }
            fs::write(&path, bytes).expect("it is writable");
            assert!(Corpus::open(dir.path()).is_err(), "{name}: byte {place} flipped unnoticed");
        }
        fs::write(&path, whole).expect("it is writable");
    }
    assert!(Corpus::open(dir.path()).is_ok());
}

#[test]
fn newer_format_is_refused_as_such() {
    let (dir, corpus) = fixture();
    drop(corpus);
    let path = dir.path().join("index.json");
    fs::write(&path, r#"{"format_version": 99, "something": "new"}"#).expect("it is writable");
    let error = Corpus::open(dir.path()).expect_err("nobody knows that format");
    assert!(matches!(error, CorpusError::Newer { expected: 1, got: 99, .. }), "{error}");
}

#[test]
fn index_that_leads_out_of_the_folder_is_refused() {
    let (dir, corpus) = fixture();
    drop(corpus);
    let path = dir.path().join("index.json");
    let text = fs::read_to_string(&path).expect("it is there");
    fs::write(&path, text.replace("things-000000.tar", "../../etc/passwd")).expect("it is writable");
    assert!(Corpus::open(dir.path()).is_err());
}

#[test]
fn interrupted_making_is_no_corpus() {
    let (dir, corpus) = fixture();
    drop(corpus);
    let mut writer = ShardWriter::create(dir.path(), "things").expect("writable").with_shard_bytes(4000);
    for sample in samples(3) {
        writer.push(sample).expect("the sample is well formed");
    }
    drop(writer);
    let error = Corpus::open(dir.path()).expect_err("it was never finished");
    assert!(matches!(error, CorpusError::NotACorpus { .. }), "{error}");
    assert!(error.hint().is_some());
    // and the next making starts clean
    let corpus = write(dir.path(), samples(2));
    corpus.verify().expect("it was just written");
    let leftovers = fs::read_dir(dir.path()).expect("it is there").filter(|item| {
        item.as_ref().is_ok_and(|item| item.file_name().to_string_lossy().starts_with(".part-"))
    });
    assert_eq!(leftovers.count(), 0);
}

#[test]
fn identifiers_that_are_no_file_names_are_refused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut writer = ShardWriter::create(dir.path(), "any").expect("writable");
    for id in ["", "..", "../up", "/root", "a//b", "a/./b", "a.b", "a\\b", "a\nb", &"x".repeat(201)] {
        let sample = Sample { id: id.to_owned(), ..Sample::default() };
        assert!(matches!(writer.push(sample), Err(CorpusError::BadSample { .. })), "{id:?}");
    }
    let sample = Sample { id: "twice".to_owned(), ..Sample::default() };
    assert!(writer.push(sample.clone()).is_ok());
    assert!(matches!(writer.push(sample), Err(CorpusError::BadSample { .. })));
    assert!(ShardWriter::create(dir.path(), "../up").is_err());
}

/// An archive of one member whose raw name is not checked by anyone.
fn hostile_archive(dir: &Path, name: &[u8], kind: tar::EntryType) -> PathBuf {
    let mut header = tar::Header::new_old();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_size(3);
    header.set_entry_type(kind);
    header.set_cksum();
    let mut archive = tar::Builder::new(Vec::new());
    archive.append(&header, &b"abc"[..]).expect("memory takes it");
    let path = dir.join("hostile.tar");
    fs::write(&path, archive.into_inner().expect("memory takes it")).expect("the folder is writable");
    path
}

#[test]
fn archives_that_reach_outside_are_refused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let first = |name: &[u8], kind| {
        let path = hostile_archive(dir.path(), name, kind);
        archive_samples(path).expect("the file opens").next().expect("one member")
    };
    for name in [&b"../up.txt"[..], b"a/../../b.txt", b"/etc/passwd.txt", b"no-ending", b"\xff\xfe.txt"] {
        let error = first(name, tar::EntryType::Regular).expect_err("it is hostile");
        assert!(matches!(error, CorpusError::Malformed { .. }), "{error}");
    }
    assert!(first(b"link.txt", tar::EntryType::Symlink).is_err());
    assert!(first(b"./plain.txt", tar::EntryType::Regular).is_ok_and(|sample| sample.key == "plain"));
}

#[test]
fn archive_cut_short_says_so() {
    let (dir, corpus) = fixture();
    drop(corpus);
    let path = shard_paths(dir.path()).remove(0);
    let bytes = fs::read(&path).expect("it is there");
    fs::write(&path, &bytes[..bytes.len() / 2 + 100]).expect("it is writable");
    let last = archive_samples(&path).expect("the file opens").last().expect("some samples");
    assert!(matches!(last, Err(CorpusError::Malformed { .. })));
}

#[test]
fn folders_that_cannot_be_made_are_named() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("file");
    fs::write(&file, "in the way").expect("the folder is writable");
    for path in [file.clone(), file.join("below")] {
        let error = ShardWriter::create(&path, "any").map(|_| ()).expect_err("a file is in the way");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        assert!(error.hint().is_some(), "{error}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn read_only_folder_is_named_with_a_hint() {
    // nobody may make folders there, not even root
    let error = ShardWriter::create("/sys/triptych", "any").map(|_| ()).expect_err("it is read-only");
    assert!(error.to_string().starts_with("cannot create /sys/triptych: "), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("may write to")), "{error}");
}

#[test]
fn full_disk_has_a_hint() {
    let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let error = CorpusError::Io { action: "write", path: "corpus/a.tar".into(), source };
    assert_eq!(error.to_string(), "cannot write corpus/a.tar: no storage space");
    assert!(error.hint().is_some_and(|hint| hint.contains("free some space")));
}
