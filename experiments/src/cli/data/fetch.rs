//! `triptych data fetch`: files from elsewhere into a folder.

use std::path::PathBuf;

use crate::diagnostic::UsageError;

/// Download a data set of the Hugging Face hub, or what a list of addresses names
#[derive(Debug, clap::Args)]
#[cfg_attr(
    not(all(feature = "fetch", feature = "hub")),
    allow(dead_code, reason = "the help is the same, whatever the program can do")
)]
#[command(after_help = "\
Examples:
  triptych data fetch hf:OWNER/NAME --out data/name
  triptych data fetch hf:OWNER/NAME --include 'data/test-*.parquet' --revision v1.0 --out data/name
  triptych data fetch urls photos.csv --out data/photos
  triptych data fetch urls photos.csv --out data/photos --retry-failed

Stopped at any moment, the same command goes on where it was. Files are checked by their hashes.
A list is a CSV or TSV file with a column `url`, a JSON Lines file with a key `url`, or an address a line.
Of a list, DIR/ledger.jsonl says what became of every address and why; DIR/manifest.jsonl is for `data import`.
HF_TOKEN, HF_HOME, HF_ENDPOINT and HF_HUB_OFFLINE count as for other programs that use the hub.")]
pub(crate) struct Args {
    /// hf:OWNER/NAME, or `urls` and the list
    #[arg(value_name = "SOURCE")]
    source: String,
    /// The list of addresses: .txt, .csv, .tsv or .jsonl
    #[arg(value_name = "LIST")]
    list: Option<PathBuf>,
    /// Where the files go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Branch, tag or commit of a data set of the hub
    #[arg(long, default_value = "main")]
    revision: String,
    /// Only files of the hub that match, `*` standing for anything; may be given several times
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Column or key of a list that holds the addresses
    #[arg(long, value_name = "NAME", default_value = "url")]
    url_column: String,
    /// What to keep of a list: media, image, audio or any
    #[arg(long, value_name = "KIND", default_value = "media")]
    accept: String,
    /// Largest file of a list
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    max_mib: u64,
    /// Try again what failed in an earlier run
    #[arg(long)]
    retry_failed: bool,
    /// Downloads at once
    #[arg(long, value_name = "N", default_value_t = 8)]
    threads: usize,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

pub(crate) fn run(args: &Args) -> miette::Result<()> {
    match (args.source.strip_prefix("hf:"), args.source.as_str(), &args.list) {
        (Some(repo), _, None) => hub::run(args, repo),
        (None, "urls", Some(list)) => urls::run(args, list),
        _ => {
            let given = args.list.as_ref().map(|list| format!(" {}", list.display())).unwrap_or_default();
            Err(UsageError {
                message: format!(
                    "expected hf:OWNER/NAME, or `urls` and a list, got `{}{given}`",
                    args.source
                ),
                hint: Some("for example `triptych data fetch urls photos.csv --out data/photos`".to_owned()),
            }
            .into())
        }
    }
}

#[cfg(not(feature = "hub"))]
mod hub {
    pub(super) fn run(_: &super::Args, repo: &str) -> miette::Result<()> {
        Err(miette::miette!(
            help = "build it with the hub: `cargo build --release --features hub`",
            "this program was built without the Hugging Face hub, so it cannot fetch hf:{repo}"
        ))
    }
}

#[cfg(not(feature = "fetch"))]
mod urls {
    pub(super) fn run(_: &super::Args, list: &std::path::Path) -> miette::Result<()> {
        Err(miette::miette!(
            help = "build it with downloads: `cargo build --release --features fetch`",
            "this program was built without downloads, so it cannot fetch {}",
            list.display()
        ))
    }
}

#[cfg(feature = "hub")]
mod hub {
    use std::cell::RefCell;

    use triptych_datasets::remote::{HubAccess, HubRequest, RepoKind, fetch_hub};

    use super::{Args, json, mib, report};
    use crate::diagnostic::print;
    use crate::progress::Progress;

    pub(super) fn run(args: &Args, repo: &str) -> miette::Result<()> {
        let request = HubRequest {
            revision: args.revision.clone(),
            include: args.include.clone(),
            n_threads: args.threads,
            ..HubRequest::new(RepoKind::Dataset, repo)
        };
        let progress = RefCell::new(None::<Progress>);
        let summary = fetch_hub(&HubAccess::from_environment(), &request, &args.out, &|done, total, path| {
            let mut progress = progress.borrow_mut();
            let bar =
                progress.get_or_insert_with(|| Progress::new("fetching", total as u64, "files", args.quiet));
            bar.set(done as u64, path);
        })
        .map_err(report)?;
        if let Some(progress) = progress.into_inner() {
            progress.finish("");
        }
        if args.json {
            return print(&format!("{}\n", json(&summary)));
        }
        let licence = summary.licence.as_deref().unwrap_or("not named by its card");
        print(&format!(
            "{}: {} files ({} new), {:.1} MiB, commit {}, licence {licence}\n",
            args.out.display(),
            summary.n_files,
            summary.n_new,
            mib(summary.n_bytes),
            summary.commit
        ))
    }
}

#[cfg(feature = "fetch")]
mod urls {
    use std::cell::RefCell;

    use triptych_datasets::remote::{Accept, UrlOptions, fetch_urls, read_list};

    use super::{Args, json, mib, report};
    use crate::diagnostic::{UsageError, print};
    use crate::progress::Progress;

    /// Failures shown as they happen; the ledger has them all.
    const MOST_NOTES: usize = 5;

    pub(super) fn run(args: &Args, list: &std::path::Path) -> miette::Result<()> {
        let accept = match args.accept.as_str() {
            "media" => Accept::Media,
            "image" => Accept::Image,
            "audio" => Accept::Audio,
            "any" => Accept::Any,
            other => {
                return Err(UsageError {
                    message: format!("expected one of media, image, audio, any, got `--accept {other}`"),
                    hint: None,
                }
                .into());
            }
        };
        let items = read_list(list, Some(&args.url_column)).map_err(report)?;
        let options = UrlOptions {
            n_threads: args.threads,
            max_bytes: args.max_mib.saturating_mul(1 << 20),
            accept,
            retries_failed: args.retry_failed,
            ..UrlOptions::default()
        };
        let progress = RefCell::new(None::<Progress>);
        let n_notes = RefCell::new(0);
        let summary = fetch_urls(&items, &args.out, &options, &|done, total, problem| {
            let mut progress = progress.borrow_mut();
            let bar = progress
                .get_or_insert_with(|| Progress::new("fetching", total as u64, "addresses", args.quiet));
            bar.set(done as u64, "");
            let mut n_notes = n_notes.borrow_mut();
            if !problem.is_empty() && *n_notes < MOST_NOTES {
                *n_notes += 1;
                bar.note(&format!("warning: {problem}"));
            }
        })
        .map_err(report)?;
        if let Some(progress) = progress.into_inner() {
            progress.finish("");
        }
        if args.json {
            return print(&format!("{}\n", json(&summary)));
        }
        let mut line = format!(
            "{}: {} of {} files ({} new, {:.1} MiB)",
            args.out.display(),
            summary.n_files,
            summary.n_addresses,
            summary.n_new,
            mib(summary.n_new_bytes)
        );
        if !summary.failed.is_empty() {
            let kinds = summary.failed.iter().map(|(kind, n)| format!("{n} {kind}")).collect::<Vec<_>>();
            let ledger = args.out.join("ledger.jsonl");
            line.push_str(&format!("; failed: {}; why: {}", kinds.join(", "), ledger.display()));
        }
        line.push('\n');
        print(&line)
    }
}

#[cfg(any(feature = "fetch", feature = "hub"))]
fn json(summary: &impl serde::Serialize) -> String {
    serde_json::to_string(summary).expect("plain numbers serialise")
}

#[cfg(any(feature = "fetch", feature = "hub"))]
fn mib(n_bytes: u64) -> f64 {
    n_bytes as f64 / f64::from(1 << 20)
}

#[cfg(any(feature = "fetch", feature = "hub"))]
fn report(error: triptych_datasets::remote::FetchError) -> miette::Report {
    match error.hint() {
        Some(hint) => miette::miette!(help = hint, "{error}"),
        None => miette::miette!("{error}"),
    }
}
