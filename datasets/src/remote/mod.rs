//! Data from elsewhere, only ever when it is asked for: lists of addresses, the Hugging Face hub, object stores.
//!
//! ```text
//! urls LIST -> list -> threads -> download: retried, resumed, bounded -> sniff -> DIR/ab/abcd.jpg, ledger, manifest
//! hf:OWNER/NAME -> hub: what there is, with hashes -> threads -> resumed, verified -> DIR/as it is named there, or the cache
//! s3://BUCKET/CORPUS -> store: shard by shard, ahead of its reader -> verified -> a corpus in a local folder
//! ```
//!
//! Nothing is written outside the folder given, whatever a list, a server or a repository calls its files.

#[cfg(feature = "fetch")]
mod download;
#[cfg(feature = "hub")]
mod environment;
#[cfg(any(feature = "fetch", feature = "hub"))]
mod error;
#[cfg(any(feature = "fetch", feature = "hub"))]
mod hash;
#[cfg(feature = "hub")]
mod hub;
#[cfg(feature = "fetch")]
mod ledger;
#[cfg(feature = "fetch")]
mod list;
#[cfg(any(feature = "fetch", feature = "hub"))]
mod part;
#[cfg(any(feature = "fetch", feature = "hub"))]
mod retry;
#[cfg(feature = "fetch")]
mod sniff;
#[cfg(feature = "remote")]
mod store;
#[cfg(any(feature = "fetch", feature = "hub"))]
mod threads;
#[cfg(feature = "fetch")]
mod urls;

#[cfg(feature = "hub")]
pub use environment::HubAccess;
#[cfg(any(feature = "fetch", feature = "hub"))]
pub use error::FetchError;
#[cfg(feature = "hub")]
pub use hub::{HubProgress, HubRequest, HubSummary, RepoKind, fetch_hub, snapshot_hub};
#[cfg(feature = "fetch")]
pub use ledger::{LedgerLine, Outcome};
#[cfg(feature = "fetch")]
pub use list::{UrlItem, read_list};
#[cfg(any(feature = "fetch", feature = "hub"))]
pub use retry::Retry;
#[cfg(feature = "fetch")]
pub use sniff::Accept;
#[cfg(feature = "remote")]
pub use store::{LocalShard, RemoteCorpus, StoreOptions};
#[cfg(feature = "fetch")]
pub use urls::{UrlOptions, UrlSummary, fetch_urls};
