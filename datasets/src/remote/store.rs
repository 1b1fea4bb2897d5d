//! A corpus in an object store, brought shard by shard into a local folder, ahead of whoever reads it.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Runtime;
use url::Url;

use crate::loader::OrderedWorkers;
use crate::shard::{
    Corpus, CorpusError, FileRecord, INDEX_FILE, Index, listed_path, read_index, write_atomic,
};

/// Bytes of a request; one that fails costs no more.
const CHUNK_BYTES: u64 = 8 << 20;
const MAX_INDEX_BYTES: u64 = 256 << 20;
/// What is not whole yet lies here, in the folder.
const PARTS: &str = ".parts";

/// How a corpus is brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// Shards that are being brought while one is read; 0 brings each when it is asked for.
    pub read_ahead: usize,
    /// Whether shards stay in the folder once they are read.
    pub keeps_shards: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { read_ahead: 4, keeps_shards: true }
    }
}

/// A corpus in an object store, and the folder that its parts are brought into.
pub struct RemoteCorpus {
    source: Arc<Source>,
    index: Index,
    dir: PathBuf,
}

/// A shard that lies in the folder, checked by its hash.
#[derive(Debug)]
pub struct LocalShard {
    path: PathBuf,
    is_kept: bool,
}

struct Source {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    address: String,
    runtime: Runtime,
}

impl RemoteCorpus {
    /// Reads the index behind an address such as `s3://BUCKET/corpora/pets`, `gs://`, `az://`, `https://`, `file:///`.
    /// Keys and regions come from the variables that each store's own programs read (`AWS_ACCESS_KEY_ID` and so on).
    ///
    /// # Errors
    /// An address that this build cannot read, a store that refuses, no index there, a folder that cannot be written to.
    pub fn open(address: &str, dir: &Path) -> Result<Self, CorpusError> {
        let refuse = |problem: String| CorpusError::Remote { address: address.to_owned(), problem };
        let url = Url::parse(address).map_err(|e| refuse(e.to_string()))?;
        let (store, prefix) =
            object_store::parse_url_opts(&url, std::env::vars()).map_err(|e| refuse(e.to_string()))?;
        Self::with_store(Arc::from(store), prefix, address, dir)
    }

    /// The same of a store that is at hand; `address` is for messages.
    ///
    /// # Errors
    /// Those of [`RemoteCorpus::open`].
    pub fn with_store(
        store: Arc<dyn ObjectStore>,
        prefix: Key,
        address: &str,
        dir: &Path,
    ) -> Result<Self, CorpusError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|e| CorpusError::io("start the downloads into", dir, e))?;
        let source = Source { store, prefix, address: address.to_owned(), runtime };
        let parts = dir.join(PARTS);
        fs::create_dir_all(&parts).map_err(|e| CorpusError::io("create", &parts, e))?;
        // it becomes the folder's index only when all that it lists is there
        let path = parts.join(INDEX_FILE);
        let bytes = source.read(INDEX_FILE, MAX_INDEX_BYTES)?;
        write_atomic(&path, &bytes).map_err(|e| CorpusError::io("write", &path, e))?;
        let index = read_index(&parts, &path)?;
        for file in index.shards.iter().chain([&index.entries, &index.licences]) {
            listed_path(dir, file)?;
        }
        Ok(Self { source: Arc::new(source), index, dir: dir.to_owned() })
    }

    /// Number of shards.
    pub fn n_shards(&self) -> usize {
        self.index.shards.len()
    }

    /// BLAKE3 over everything in it, in hexadecimal.
    pub fn content_hash(&self) -> &str {
        &self.index.content_hash
    }

    /// The shards in their order, each in the folder by the time that it is handed over, the next on their way. Shards that
    /// lie there whole are not brought again, and what was begun is gone on with.
    ///
    /// # Errors
    /// Threads that the system does not grant. Each item may be an error of its own: a store that refuses, bytes that are
    /// not those of the index.
    pub fn shards(
        &self,
        options: StoreOptions,
    ) -> Result<impl Iterator<Item = Result<LocalShard, CorpusError>>, CorpusError> {
        let (source, dir, shards) = (Arc::clone(&self.source), self.dir.clone(), self.index.shards.clone());
        let n_shards = shards.len() as u64;
        let bring = move |shard_idx: u64| {
            let path = source.bring(&shards[shard_idx as usize], &dir);
            Ok(path.map(|path| LocalShard { path, is_kept: options.keeps_shards }))
        };
        // a finished shard waits in its queue while the next is brought
        let mut workers = OrderedWorkers::start(options.read_ahead, 1, 0, n_shards, bring)
            .map_err(|e| self.source.refused(e.to_string()))?;
        let source = Arc::clone(&self.source);
        Ok(std::iter::from_fn(move || {
            workers.next().map(|shard| shard.unwrap_or_else(|error| Err(source.refused(error.to_string()))))
        }))
    }

    /// Brings everything and opens it. A folder that holds this corpus already is opened as it is.
    ///
    /// `progress` is called with the shards done and to do, and the last one's name.
    ///
    /// # Errors
    /// Those of [`RemoteCorpus::shards`] and of [`Corpus::open`].
    pub fn into_corpus(
        self,
        options: StoreOptions,
        progress: &dyn Fn(usize, usize, &str),
    ) -> Result<Corpus, CorpusError> {
        if let Ok(corpus) = Corpus::open(&self.dir)
            && corpus.content_hash() == self.content_hash()
        {
            return Ok(corpus);
        }
        let index_path = self.dir.join(INDEX_FILE);
        // another corpus that lay there is none from here on
        if let Err(error) = fs::remove_file(&index_path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(CorpusError::io("remove", &index_path, error));
        }
        self.source.bring(&self.index.entries, &self.dir)?;
        self.source.bring(&self.index.licences, &self.dir)?;
        let options = StoreOptions { keeps_shards: true, ..options };
        for (shard_idx, shard) in self.shards(options)?.enumerate() {
            shard?;
            progress(shard_idx + 1, self.n_shards(), &self.index.shards[shard_idx].name);
        }
        let parts = self.dir.join(PARTS);
        fs::rename(parts.join(INDEX_FILE), &index_path)
            .map_err(|e| CorpusError::io("write", &index_path, e))?;
        fs::remove_dir(parts).ok();
        Corpus::open(&self.dir)
    }
}

impl LocalShard {
    /// The tar file. Unless shards are kept, it is gone when this is dropped.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for LocalShard {
    fn drop(&mut self) {
        if !self.is_kept {
            fs::remove_file(&self.path).ok();
        }
    }
}

impl Source {
    fn refused(&self, problem: String) -> CorpusError {
        CorpusError::Remote { address: self.address.clone(), problem }
    }

    fn key(&self, name: &str) -> Key {
        self.prefix.clone().join(name)
    }

    fn read(&self, name: &str, max_bytes: u64) -> Result<Vec<u8>, CorpusError> {
        let key = self.key(name);
        let refuse = |e: object_store::Error| self.refused(e.to_string());
        let n_bytes = self.runtime.block_on(self.store.head(&key)).map_err(refuse)?.size;
        if n_bytes > max_bytes {
            return Err(self.refused(format!("{name}: expected at most {max_bytes} bytes, got {n_bytes}")));
        }
        let bytes =
            self.runtime.block_on(async { self.store.get(&key).await?.bytes().await }).map_err(refuse)?;
        Ok(bytes.to_vec())
    }

    /// Brings a file of the index into the folder, unless it lies there whole.
    fn bring(&self, record: &FileRecord, dir: &Path) -> Result<PathBuf, CorpusError> {
        let path = listed_path(dir, record)?;
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_file() && found.len() == record.n_bytes)
            && hash_of(&path)? == record.blake3
        {
            return Ok(path);
        }
        let part = dir.join(PARTS).join(&record.name);
        if self.gather(record, &part)? != record.blake3 {
            // what lay there from before may have been of another version
            fs::remove_file(&part).map_err(|e| CorpusError::io("remove", &part, e))?;
            let got = self.gather(record, &part)?;
            if got != record.blake3 {
                fs::remove_file(&part).ok();
                let expected = &record.blake3;
                return Err(self.refused(format!("{}: expected blake3 {expected}, got {got}", record.name)));
            }
        }
        fs::rename(&part, &path).map_err(|e| CorpusError::io("write", &path, e))?;
        Ok(path)
    }

    /// Appends what a part lacks; gives its hash.
    fn gather(&self, record: &FileRecord, part: &Path) -> Result<String, CorpusError> {
        let write = |e| CorpusError::io("write", part, e);
        let mut file = OpenOptions::new().create(true).append(true).open(part).map_err(write)?;
        let mut have = file.metadata().map_err(write)?.len();
        if have > record.n_bytes {
            file.set_len(0).map_err(write)?;
            have = 0;
        }
        let key = self.key(&record.name);
        while have < record.n_bytes {
            let range = have..record.n_bytes.min(have + CHUNK_BYTES);
            let expected = range.end - range.start;
            let chunk = self.runtime.block_on(self.store.get_range(&key, range));
            let chunk = chunk.map_err(|e| self.refused(e.to_string()))?;
            if chunk.len() as u64 != expected {
                let problem = format!("{}: expected {} bytes, got fewer", record.name, record.n_bytes);
                return Err(self.refused(problem));
            }
            file.write_all(&chunk).map_err(write)?;
            have += expected;
        }
        file.sync_data().map_err(write)?;
        hash_of(part)
    }
}

fn hash_of(path: &Path) -> Result<String, CorpusError> {
    let read = |e| CorpusError::io("read", path, e);
    let mut file = File::open(path).map_err(read)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(read)? {
            0 => return Ok(hasher.finalize().to_hex().to_string()),
            n => hasher.update(&buffer[..n]),
        };
    }
}
