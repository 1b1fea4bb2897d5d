//! Corpora in object stores, read through a store in memory and one in a folder.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};
use triptych_datasets::remote::{RemoteCorpus, StoreOptions};
use triptych_datasets::shard::{Corpus, CorpusError, archive_samples};

use crate::fixture::{samples, write};

/// A corpus of several shards in memory, under `corpora/things`, and what it was written from.
fn in_memory(dir: &Path) -> (Arc<InMemory>, Corpus) {
    let corpus = write(dir, samples(12));
    let store = Arc::new(InMemory::new());
    for item in fs::read_dir(dir).expect("it is a folder").flatten() {
        let name = item.file_name().to_string_lossy().into_owned();
        put(&store, &name, fs::read(item.path()).expect("it was just written"));
    }
    (store, corpus)
}

fn put(store: &InMemory, name: &str, bytes: Vec<u8>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(store.put(&key().join(name), bytes.into())).expect("it is in memory");
}

fn key() -> Key {
    Key::from("corpora/things")
}

fn open(store: &Arc<InMemory>, dir: &Path) -> Result<RemoteCorpus, CorpusError> {
    RemoteCorpus::with_store(store.clone() as Arc<dyn ObjectStore>, key(), "memory:///corpora/things", dir)
}

#[test]
fn corpora_come_whole_for_any_read_ahead() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (store, corpus) = in_memory(&dir.path().join("source"));
    for read_ahead in [0, 1, 5] {
        let out = dir.path().join(format!("copy-{read_ahead}"));
        let remote = open(&store, &out).expect("the index is there");
        assert!(remote.n_shards() > 2, "{} shards", remote.n_shards());
        let options = StoreOptions { read_ahead, ..StoreOptions::default() };
        let copy = remote.into_corpus(options, &|_, _, _| {}).expect("everything is there");
        copy.verify().expect("it is whole");
        assert_eq!((copy.content_hash(), copy.entries()), (corpus.content_hash(), corpus.entries()));
        assert!(!out.join(".parts").exists());
    }
}

#[test]
fn shards_that_are_not_kept_leave_no_trace() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (store, corpus) = in_memory(&dir.path().join("source"));
    let out = dir.path().join("passing");
    let remote = open(&store, &out).expect("the index is there");
    let mut keys = Vec::new();
    let options = StoreOptions { read_ahead: 2, keeps_shards: false };
    for shard in remote.shards(options).expect("threads start") {
        let shard = shard.expect("it is there");
        let in_shard = archive_samples(shard.path()).expect("it is a tar file");
        keys.extend(in_shard.map(|sample| sample.expect("it is whole").key));
    }
    let expected: Vec<&String> = corpus.entries().iter().map(|entry| &entry.id).collect();
    assert_eq!(keys.iter().collect::<Vec<_>>(), expected);
    let n_tars =
        fs::read_dir(&out).expect("it is a folder").flatten().filter(|item| item.path().is_file()).count();
    assert_eq!(n_tars, 0);
}

#[test]
fn what_is_there_is_not_brought_again_and_what_was_begun_is_gone_on_with() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (store, corpus) = in_memory(&dir.path().join("source"));
    let out = dir.path().join("copy");
    let remote = open(&store, &out).expect("the index is there");
    let first =
        remote.shards(StoreOptions { read_ahead: 0, ..StoreOptions::default() }).expect("no threads").next();
    let first = first.expect("there are shards").expect("it is there").path().to_owned();
    let name = first.file_name().expect("a file").to_string_lossy().into_owned();
    // the store loses the first shard, and half of the second is here: of the right bytes, then of wrong ones
    put(&store, &name, b"gone".to_vec());
    let second = name.replace("000000", "000001");
    let whole = fs::read(dir.path().join("source").join(&second)).expect("it was written");
    fs::write(out.join(".parts").join(&second), &whole[..whole.len() / 2]).expect("it is writable");
    let third = name.replace("000000", "000002");
    fs::write(out.join(".parts").join(third), b"something else").expect("it is writable");
    let copy = remote.into_corpus(StoreOptions::default(), &|_, _, _| {}).expect("the rest is there");
    copy.verify().expect("it is whole");
    assert_eq!(copy.content_hash(), corpus.content_hash());
    // once whole, nothing but the index is looked at
    let again =
        open(&store, &out).expect("the index is there").into_corpus(StoreOptions::default(), &|_, _, _| {});
    assert_eq!(again.expect("it lies there").len(), corpus.len());
}

#[test]
fn damaged_and_absent_shards_are_named() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (store, _) = in_memory(&dir.path().join("source"));
    let name = "things-000001.tar";
    let mut bytes = fs::read(dir.path().join("source").join(name)).expect("it was written");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    put(&store, name, bytes);
    let message = |out: &str| {
        let remote = open(&store, &dir.path().join(out)).expect("the index is there");
        let outcome = remote.into_corpus(StoreOptions::default(), &|_, _, _| {});
        outcome.map(|_| ()).expect_err("a shard is not what it should be").to_string()
    };
    let damaged = message("a");
    assert!(
        damaged.starts_with("memory:///corpora/things: things-000001.tar: expected blake3 "),
        "{damaged}"
    );
    put(&store, name, b"short".to_vec());
    let short = message("b");
    assert!(short.starts_with("memory:///corpora/things: "), "{short}");
    assert!(matches!(Corpus::open(dir.path().join("a")), Err(CorpusError::NotACorpus { .. })));
}

#[test]
fn folders_are_stores_too() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let corpus = write(&dir.path().join("source"), samples(4));
    let address = format!("file://{}/source", dir.path().display());
    let remote = RemoteCorpus::open(&address, &dir.path().join("copy")).expect("the index is there");
    let copy = remote.into_corpus(StoreOptions::default(), &|_, _, _| {}).expect("everything is there");
    assert_eq!(copy.entries(), corpus.entries());
    for wrong in ["file:///no/such/place", "nonsense", "ftp://host/corpus"] {
        let error =
            RemoteCorpus::open(wrong, &dir.path().join("none")).map(|_| ()).expect_err("nothing is there");
        assert!(error.to_string().starts_with(&format!("{wrong}: ")), "{error}");
    }
}
