//! `triptych data validate`: every byte of a corpus read again.

use std::path::PathBuf;
use std::sync::Mutex;

use miette::IntoDiagnostic;
use triptych_datasets::survey::{Audit, AuditOptions, Problem, audit};

use super::folder::UnusableCorpus;
use super::stats_table::plain;
use crate::diagnostic::{Told, print};
use crate::progress::Progress;
use crate::report::numbers::{bytes, count};

/// A bar counts megabytes.
const MEGABYTE: u64 = 1_000_000;

/// Read every byte of a corpus again, and say what is wrong where
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych data validate data/emoji
  triptych data validate data/emoji --decode
  triptych data validate data/emoji --json | jq -r '.problems[].file'

Checked are the index against its own hash, every file against the index, every picture and sound against
its hash, every sample's record against the index, and with --decode whether every picture and sound
decodes. A problem does not end the work: all are listed, with file, sample and byte.

Exit status: 0 nothing is wrong, 1 something is.")]
pub(crate) struct Args {
    /// The corpus's folder
    corpus: PathBuf,
    /// Decode every picture and sound as well
    #[arg(long)]
    decode: bool,
    /// List so many problems of a file; all are counted
    #[arg(long, value_name = "N", default_value_t = AuditOptions::default().n_shown_a_file)]
    limit: usize,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

pub(crate) fn run(args: &Args) -> miette::Result<()> {
    let options = AuditOptions { decode: args.decode, n_shown_a_file: args.limit };
    let bar = Mutex::new(None::<Progress>);
    let found = audit(&args.corpus, options, &|done, total| {
        // a thread that panicked while it drew the bar does no harm to the next
        let mut bar = bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let start = || Progress::new("validating", total.div_ceil(MEGABYTE), "MB", args.quiet);
        bar.get_or_insert_with(start).set(done.div_ceil(MEGABYTE), "");
    })
    .map_err(UnusableCorpus::from)?;
    if let Some(bar) = bar.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        bar.finish("");
    }
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&found).into_diagnostic()?))?;
    } else {
        print(&text(&found, args.decode))?;
    }
    if found.n_problems > 0 { Err(Told.into()) } else { Ok(()) }
}

fn text(found: &Audit, is_decoded: bool) -> String {
    let mut text: String = found.problems.iter().map(|problem| format!("{}\n", line(problem))).collect();
    let n_listed = found.problems.len() as u64;
    if found.n_problems > n_listed {
        text.push_str(&format!("... and {} more\n", count((found.n_problems - n_listed) as usize)));
    }
    let decoded =
        if is_decoded { format!(", {} decoded", count(found.n_decoded as usize)) } else { String::new() };
    let verdict = match found.n_problems {
        0 => "nothing is wrong".to_owned(),
        1 => "1 problem".to_owned(),
        n => format!("{} problems", count(n as usize)),
    };
    text.push_str(&format!(
        "{verdict}: {} in {} files, {} samples, {} pictures and sounds{decoded}\n",
        bytes(found.n_bytes),
        count(found.n_files as usize),
        count(found.n_samples as usize),
        count(found.n_media as usize)
    ));
    text
}

/// `emoji-000001.tar, sample "cat/noto", byte 51200: .png: expected blake3 ...`
fn line(problem: &Problem) -> String {
    let mut place = plain(&problem.file);
    if let Some(id) = &problem.sample {
        place.push_str(&format!(", sample {id:?}"));
    }
    if let Some(byte) = problem.byte {
        place.push_str(&format!(", byte {byte}"));
    }
    format!("{place}: {}", plain(&problem.problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_told_with_their_place() {
        let problem = |sample: Option<&str>, byte, problem: &str| Problem {
            file: "emoji-000000.tar".to_owned(),
            sample: sample.map(str::to_owned),
            byte,
            problem: problem.to_owned(),
        };
        let found = Audit {
            n_files: 4,
            n_bytes: 2_000_000,
            n_samples: 1200,
            n_media: 1199,
            n_decoded: 1199,
            n_problems: 5,
            problems: vec![
                problem(None, None, "expected blake3 a1, got b2"),
                problem(Some("cat/\u{1b}[31m"), Some(1536), ".png: expected blake3 a1, got \u{1b}b2"),
            ],
        };
        insta::assert_snapshot!(text(&found, true), @r#"
        emoji-000000.tar: expected blake3 a1, got b2
        emoji-000000.tar, sample "cat/\u{1b}[31m", byte 1536: .png: expected blake3 a1, got  b2
        ... and 3 more
        5 problems: 2 MB in 4 files, 1,200 samples, 1,199 pictures and sounds, 1,199 decoded
        "#);
    }
}
