//! `triptych data diff`: how two corpora differ.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use miette::IntoDiagnostic;
use serde_json::json;
use triptych_datasets::shard::Corpus;
use triptych_datasets::survey::{Change, Comparison, compare};

use super::folder;
use super::stats_table::plain;
use crate::diagnostic::{Told, UsageError, print};
use crate::report::numbers::count;

/// What was before and what is now are shown up to this length.
const MAX_SHOWN_CHARACTERS: usize = 160;

/// Compare two corpora: samples added, removed and changed, by identifier
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych data diff data/before data/after
  triptych data diff data/before data/after --json | jq '.changes'

Compared are texts, questions, pictures, sounds, splits, groups, tags and the licence ledger. The order of the samples
and how they are cut into shards do not matter.

Exit status, as of diff(1): 0 the corpora are the same, 1 they differ, 2 one cannot be read.")]
pub(crate) struct Args {
    /// The folder of the first corpus
    before: PathBuf,
    /// The folder of the second corpus
    after: PathBuf,
    /// Name so many samples of each kind; all are counted
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: usize,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> miette::Result<()> {
    let (before, after) = (open(&args.before)?, open(&args.after)?);
    let found = compare(&before, &after, args.limit);
    if args.json {
        let mut record = json!({"is_same": found.is_same()});
        if let (Some(record), serde_json::Value::Object(fields)) =
            (record.as_object_mut(), serde_json::to_value(&found).into_diagnostic()?)
        {
            record.extend(fields);
        }
        print(&format!("{}\n", serde_json::to_string_pretty(&record).into_diagnostic()?))?;
    } else {
        print(&text(&found))?;
    }
    if found.is_same() { Ok(()) } else { Err(Told.into()) }
}

/// A corpus that cannot be read ends with status 2, so that it is not taken for a difference.
fn open(dir: &Path) -> Result<Corpus, UsageError> {
    folder::open(dir).map_err(|error| UsageError {
        message: error.to_string(),
        hint: miette::Diagnostic::help(&error).map(|hint| hint.to_string()),
    })
}

fn text(found: &Comparison) -> String {
    let n = |n: u64| count(n as usize);
    if found.is_same() {
        return format!("the same {} samples\n", n(found.n_same));
    }
    let mut text = format!(
        "{} samples before, {} after: {} the same, {} added, {} removed, {} changed\n",
        n(found.n_before),
        n(found.n_after),
        n(found.n_same),
        n(found.n_added),
        n(found.n_removed),
        n(found.n_changed)
    );
    if !found.changes.is_empty() {
        let kinds =
            found.changes.iter().map(|(change, n)| format!("{} {}", name(*change), count(*n as usize)));
        let _ = writeln!(text, "changed: {}", kinds.collect::<Vec<_>>().join(", "));
    }
    if found.is_ledger_changed {
        text.push_str("the licence ledgers differ\n");
    }
    for (sign, ids, total) in [('+', &found.added, found.n_added), ('-', &found.removed, found.n_removed)] {
        for id in ids {
            let _ = writeln!(text, "{sign} {}", plain(id));
        }
        more(&mut text, sign, total, ids.len());
    }
    for sample in &found.changed {
        let _ = writeln!(text, "~ {}", plain(&sample.id));
        for (change, [before, after]) in &sample.changes {
            let _ = writeln!(text, "    {}: {} -> {}", name(*change), shown(before), shown(after));
        }
    }
    more(&mut text, '~', found.n_changed, found.changed.len());
    text
}

fn more(text: &mut String, sign: char, total: u64, n_shown: usize) {
    let rest = total.saturating_sub(n_shown as u64);
    if rest > 0 {
        let _ = writeln!(text, "{sign} ... and {} more", count(rest as usize));
    }
}

fn name(change: Change) -> &'static str {
    match change {
        Change::Texts => "texts",
        Change::Questions => "questions",
        Change::Picture => "picture",
        Change::Sound => "sound",
        Change::Split => "split",
        Change::Group => "group",
        Change::Tags => "tags",
    }
}

fn shown(value: &str) -> String {
    let value = plain(value);
    match value.char_indices().nth(MAX_SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None if value.is_empty() => "nothing".to_owned(),
        None => value,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use triptych_datasets::survey::ChangedSample;

    use super::*;

    #[test]
    fn differences_read_like_a_patch() {
        let changes = BTreeMap::from([
            (Change::Split, ["train".to_owned(), "test".to_owned()]),
            (Change::Tags, ["".to_owned(), "new=1".to_owned()]),
        ]);
        let found = Comparison {
            n_before: 1000,
            n_after: 1010,
            n_same: 998,
            n_added: 11,
            n_removed: 1,
            n_changed: 1,
            changes: BTreeMap::from([(Change::Split, 1), (Change::Tags, 1)]),
            is_ledger_changed: true,
            added: vec!["a/1".to_owned(), "a/2".to_owned()],
            removed: vec!["b\u{7}".to_owned()],
            changed: vec![ChangedSample { id: "c".to_owned(), changes }],
        };
        insta::assert_snapshot!(text(&found), @r"
        1,000 samples before, 1,010 after: 998 the same, 11 added, 1 removed, 1 changed
        changed: split 1, tags 1
        the licence ledgers differ
        + a/1
        + a/2
        + ... and 9 more
        - b 
        ~ c
            split: train -> test
            tags: nothing -> new=1
        ");
    }
}
