//! Data from elsewhere, only ever when it is asked for: lists of addresses, the Hugging Face hub, object stores.
//!
//! ```text
//! urls LIST -> list -> threads -> download: retried, resumed, bounded -> sniff -> DIR/ab/abcd.jpg, ledger, manifest
//! hf:OWNER/NAME -> hub: what there is, with hashes -> threads -> download -> verified -> DIR/as it is named there
//! s3://BUCKET/CORPUS -> store: shard by shard, ahead of its reader -> verified -> a corpus in a local folder
//! ```
//!
//! Nothing is written outside the folder given, whatever a list, a server or a repository calls its files.

#[cfg(feature = "fetch")]
mod download;
#[cfg(feature = "fetch")]
mod environment;
#[cfg(feature = "fetch")]
mod error;
#[cfg(feature = "fetch")]
mod hash;
#[cfg(feature = "fetch")]
mod hub;
#[cfg(feature = "fetch")]
mod ledger;
#[cfg(feature = "fetch")]
mod list;
#[cfg(feature = "fetch")]
mod sniff;
#[cfg(feature = "remote")]
mod store;
#[cfg(feature = "fetch")]
mod threads;
#[cfg(feature = "fetch")]
mod urls;

#[cfg(feature = "fetch")]
pub use download::Retry;
#[cfg(feature = "fetch")]
pub use environment::HubAccess;
#[cfg(feature = "fetch")]
pub use error::FetchError;
#[cfg(feature = "fetch")]
pub use hub::{HubRequest, HubSummary, fetch_hub};
#[cfg(feature = "fetch")]
pub use ledger::{LedgerLine, Outcome};
#[cfg(feature = "fetch")]
pub use list::{UrlItem, read_list};
#[cfg(feature = "fetch")]
pub use sniff::Accept;
#[cfg(feature = "remote")]
pub use store::{LocalShard, RemoteCorpus, StoreOptions};
#[cfg(feature = "fetch")]
pub use urls::{UrlOptions, UrlSummary, fetch_urls};
