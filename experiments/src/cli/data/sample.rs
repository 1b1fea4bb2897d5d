//! `triptych data sample`: a few samples of a corpus, to read and to look at.

use std::fs;
use std::path::{Path, PathBuf};

use miette::IntoDiagnostic;
use serde_json::{Value, json};
use triptych_datasets::draw::Draw;
use triptych_datasets::sample::Split;
use triptych_datasets::shard::{Corpus, Entry, write_atomic};
use triptych_datasets::survey::{audio_header, image_header};

use super::folder::{self, UnusableCorpus};
use super::stats_table::{plain, split_name};
use crate::diagnostic::{UsageError, print};
use crate::report::numbers::{bytes, significant};

/// File names are cut to so many characters of a sample's identifier.
const MAX_NAME_CHARACTERS: usize = 80;

/// Print a few samples of a corpus, and write their pictures, sounds and texts as files
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych data sample data/emoji
  triptych data sample data/emoji -n 20 --split test --tag style=twemoji --out look
  triptych data sample data/emoji --seed 7 --json

The same seed gives the same samples.")]
pub(crate) struct Args {
    /// The corpus's folder
    corpus: PathBuf,
    /// How many samples
    #[arg(short = 'n', long = "number", value_name = "N", default_value_t = 5)]
    number: usize,
    /// Only of this split
    #[arg(long, value_name = "SPLIT", value_parser = split)]
    split: Option<Split>,
    /// Only samples with this tag; may be given several times
    #[arg(long = "tag", value_name = "KEY=VALUE")]
    tags: Vec<String>,
    /// Decides which samples are taken
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// Write each sample's picture, sound, texts and record into this folder
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Print a JSON list
    #[arg(long)]
    json: bool,
}

fn split(name: &str) -> Result<Split, String> {
    match name {
        "train" => Ok(Split::Train),
        "validation" => Ok(Split::Validation),
        "test" => Ok(Split::Test),
        _ => Err("expected train, validation or test".to_owned()),
    }
}

pub(crate) fn run(args: &Args) -> miette::Result<()> {
    let tags = args.tags.iter().map(|tag| key_value(tag)).collect::<Result<Vec<_>, _>>()?;
    let corpus = folder::open(&args.corpus)?;
    let is_wanted = |entry: &Entry| {
        let has = |(key, value): &(&str, &str)| entry.tags.get(*key).is_some_and(|found| found == value);
        args.split.is_none_or(|split| entry.split == split) && tags.iter().all(has)
    };
    let wanted: Vec<usize> = (0..corpus.len()).filter(|idx| is_wanted(&corpus.entries()[*idx])).collect();
    if wanted.is_empty() {
        return Err(UsageError {
            message: format!("none of {} samples fits", corpus.len()),
            hint: Some(format!("`triptych data stats {}` shows splits and tags", args.corpus.display())),
        }
        .into());
    }
    let mut chosen = Draw::new(args.seed, 0, "", "samples to show").choose(wanted.len(), args.number);
    chosen.sort_unstable();
    let mut records = Vec::new();
    for (place, idx) in chosen.into_iter().map(|place| wanted[place]).enumerate() {
        let mut record = describe(&corpus, idx);
        if let Some(out) = &args.out {
            let files = write(&corpus, idx, place, &record, out).map_err(UnusableCorpus::from)?;
            record["files"] = json!(files);
        }
        records.push(record);
    }
    if args.json {
        return print(&format!("{}\n", serde_json::to_string_pretty(&records).into_diagnostic()?));
    }
    print(&records.iter().map(text).collect::<Vec<_>>().join("\n"))
}

fn key_value(tag: &str) -> Result<(&str, &str), UsageError> {
    tag.split_once('=').ok_or_else(|| UsageError {
        message: format!("expected KEY=VALUE, got `--tag {tag}`"),
        hint: Some("for example `--tag style=twemoji`".to_owned()),
    })
}

/// Everything known of a sample; a picture or a sound that cannot be read says why.
fn describe(corpus: &Corpus, idx: usize) -> Value {
    let entry = &corpus.entries()[idx];
    let mut record = json!({
        "id": entry.id,
        "split": split_name(entry.split),
        "group": entry.group,
        "source": entry.source,
        "texts": entry.texts,
        "tags": entry.tags,
    });
    if !entry.questions.is_empty() {
        record["questions"] = json!(entry.questions);
    }
    match corpus.image_bytes(idx) {
        Ok(None) => {}
        Ok(Some((bytes, extension))) => {
            record["picture"] = match image_header(bytes, extension) {
                Ok(header) => json!({
                    "format": header.format, "width": header.width, "height": header.height, "n_bytes": bytes.len(),
                }),
                Err(problem) => json!({"n_bytes": bytes.len(), "problem": problem}),
            }
        }
        Err(error) => record["picture"] = json!({"problem": error.to_string()}),
    }
    match corpus.audio_bytes(idx) {
        Ok(None) => {}
        Ok(Some((bytes, extension))) => {
            record["sound"] = match audio_header(bytes, extension) {
                Ok(header) => json!({
                    "format": header.format,
                    "duration_s": entry.duration_s.or(header.duration_s),
                    "rate_hz": header.rate_hz,
                    "n_channels": header.n_channels,
                    "n_bytes": bytes.len(),
                }),
                Err(problem) => json!({"n_bytes": bytes.len(), "problem": problem}),
            }
        }
        Err(error) => record["sound"] = json!({"problem": error.to_string()}),
    }
    record
}

fn text(record: &Value) -> String {
    let word = |key: &str| plain(record[key].as_str().unwrap_or_default());
    let mut lines = vec![format!("{} ({})", word("id"), word("split"))];
    let mut line = |name: &str, value: String| lines.push(format!("  {name:8} {value}"));
    if let Some(picture) = record.get("picture") {
        line("picture", medium(picture, format!("{}x{}", picture["width"], picture["height"])));
    }
    if let Some(sound) = record.get("sound") {
        let duration = sound["duration_s"]
            .as_f64()
            .map_or("of unknown length".to_owned(), |s| format!("{} s", significant(s, 3)));
        let rate = sound["rate_hz"].as_u64().map_or(String::new(), |rate| format!(", {rate} Hz"));
        line("sound", medium(sound, format!("{duration}{rate}")));
    }
    for (place, text) in record["texts"].as_array().into_iter().flatten().enumerate() {
        line(if place == 0 { "text" } else { "" }, plain(text.as_str().unwrap_or_default()));
    }
    for asked in record.get("questions").and_then(Value::as_array).into_iter().flatten() {
        let answers = asked["answers"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut answers = answers.collect::<Vec<_>>();
        answers.sort_unstable();
        answers.dedup();
        let question = asked["question"].as_str().unwrap_or_default();
        line("asked", plain(&format!("{question} {}", answers.join(", "))));
    }
    if record["group"] != record["id"] {
        line("group", word("group"));
    }
    let tags = record["tags"].as_object().into_iter().flatten();
    let tags: Vec<String> =
        tags.map(|(key, value)| plain(&format!("{key}={}", value.as_str().unwrap_or_default()))).collect();
    if !tags.is_empty() {
        line("tags", tags.join(", "));
    }
    line("source", word("source"));
    for file in record.get("files").and_then(Value::as_array).into_iter().flatten() {
        line("file", file.as_str().unwrap_or_default().to_owned());
    }
    lines.join("\n") + "\n"
}

fn medium(record: &Value, size: String) -> String {
    match record["problem"].as_str() {
        Some(problem) => plain(problem),
        None => {
            let (format, n_bytes) = (record["format"].as_str(), record["n_bytes"].as_u64());
            format!("{}, {size}, {}", format.unwrap_or("unknown"), bytes(n_bytes.unwrap_or(0)))
        }
    }
}

/// Writes a sample's files into a folder; gives their paths. A picture or sound that cannot be read is left out, the
/// record says why.
fn write(
    corpus: &Corpus,
    idx: usize,
    place: usize,
    record: &Value,
    out: &Path,
) -> Result<Vec<String>, triptych_datasets::shard::CorpusError> {
    use triptych_datasets::shard::CorpusError;
    let unwritable = |path: &Path, source| CorpusError::Io { action: "write", path: path.to_owned(), source };
    fs::create_dir_all(out).map_err(|source| unwritable(out, source))?;
    let stem = format!("{:03}-{}", place + 1, file_name(&corpus.entries()[idx].id));
    let texts = corpus.entries()[idx].texts.join("\n") + "\n";
    let written = format!("{record:#}\n");
    let mut files: Vec<(String, &[u8])> =
        vec![("txt".to_owned(), texts.as_bytes()), ("json".to_owned(), written.as_bytes())];
    for found in [corpus.image_bytes(idx), corpus.audio_bytes(idx)] {
        if let Ok(Some((bytes, extension))) = found {
            let extension = file_name(extension);
            // a hostile index may claim that a picture is a record
            let is_taken = files.iter().any(|(other, _)| *other == extension);
            files.push((if is_taken { format!("media-{extension}") } else { extension }, bytes));
        }
    }
    let mut paths = Vec::new();
    for (extension, bytes) in files {
        let path = out.join(format!("{stem}.{extension}"));
        write_atomic(&path, bytes).map_err(|source| unwritable(&path, source))?;
        paths.push(path.display().to_string());
    }
    paths.sort();
    Ok(paths)
}

/// An identifier as a plain file name: it may hold slashes, and an index may hold anything.
fn file_name(id: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || c == '-' { c } else { '_' };
    id.chars().take(MAX_NAME_CHARACTERS).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_stay_in_their_folder() {
        assert_eq!(file_name("cat/noto-v1"), "cat_noto-v1");
        assert_eq!(file_name("../../etc/passwd"), "______etc_passwd");
        assert_eq!(file_name(&"é".repeat(500)).chars().count(), MAX_NAME_CHARACTERS);
    }

    #[test]
    fn a_sample_reads_well() {
        let record = json!({
            "id": "cat/noto", "split": "test", "group": "cat", "source": "a.zip",
            "texts": ["cat", "a\u{1b}[2J kitten"], "tags": {"style": "noto"},
            "picture": {"format": "png", "width": 96, "height": 64, "n_bytes": 4100},
            "sound": {"problem": "expected a sound, got an empty file", "n_bytes": 0},
            "files": ["look/001-cat_noto.png"],
        });
        insta::assert_snapshot!(text(&record), @r"
        cat/noto (test)
          picture  png, 96x64, 4 kB
          sound    expected a sound, got an empty file
          text     cat
                   a [2J kitten
          group    cat
          tags     style=noto
          source   a.zip
          file     look/001-cat_noto.png
        ");
    }
}
