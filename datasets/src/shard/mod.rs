//! A prepared corpus: a folder of WebDataset tar shards with an index and a licence ledger.
//!
//! ```text
//! emoji-000000.tar ...   members KEY.json, KEY.png, KEY.wav; a sample's members are contiguous
//! entries.jsonl.zst      one line a sample: what it is, and where its members lie in which shard
//! licenses.json          whose work it is
//! index.json             written last: the list of all of the above with sizes and hashes
//! ```
//!
//! A folder without `index.json` is not a corpus, so one whose making was interrupted is never taken for complete.

mod archive;
mod atomic;
mod error;
mod index;
mod join;
mod listed;
mod merge;
mod read;
mod seen;
mod stream;
mod walk;
mod write;

pub use archive::{ArchiveSample, archive_samples};
pub use atomic::write_atomic;
pub(crate) use atomic::{publish, temporary_beside};
pub use error::CorpusError;
pub use index::{Entry, Licence, Member};
pub(crate) use index::{FileRecord, Index, short_hash};
pub use join::PART_TAG;
pub(crate) use merge::check_ids;
pub use merge::merge_corpora;
pub use read::Corpus;
pub use stream::{CorpusStream, Entries};
#[cfg(feature = "remote")]
pub(crate) use stream::{listed_path, read_index};
pub use write::ShardWriter;

pub(crate) use archive::{SampleRecord, check_key, limited_archive_samples};
pub(crate) use seen::SeenKeys;
pub(crate) use walk::CorpusWalk;

/// The format of the folder. A reader refuses a newer one.
pub const FORMAT_VERSION: u32 = 1;

pub(crate) const INDEX_FILE: &str = "index.json";
pub(crate) const ENTRIES_FILE: &str = "entries.jsonl.zst";
pub(crate) const LICENCES_FILE: &str = "licenses.json";
