//! The figures of a corpus as a table for people.

use std::fmt::Write;

use triptych_datasets::sample::Split;
use triptych_datasets::survey::{
    Amounts, AudioFigures, Distribution, ImageFigures, Repeats, Survey, TagFigures, TextFigures, ValueCount,
};

use crate::report::numbers::{bytes, count, duration, significant};

const N_VALUES: usize = 6;
const N_WORDS: usize = 12;
const N_LEAKS: usize = 3;
const N_IDS: usize = 4;
/// Longer values are cut.
const MAX_VALUE_CHARACTERS: usize = 28;

/// Everything, in sections; a section without figures is left out.
pub(super) fn text(survey: &Survey, bytes_on_disk: u64) -> String {
    let mut text = format!(
        "{}, {} on disk, content {}\n\n",
        plain(&survey.name),
        bytes(bytes_on_disk),
        &survey.content_hash[..survey.content_hash.len().min(16)]
    );
    text.push_str(&amounts(survey));
    if let Some(images) = &survey.images {
        text.push_str(&pictures(images));
    }
    if let Some(found) = &survey.sounds {
        text.push_str(&sounds(found));
    }
    if let Some(found) = &survey.texts {
        text.push_str(&texts(found));
    }
    text.push_str(&tags(&survey.tags));
    text.push_str(&repeats(survey));
    if survey.n_unreadable > 0 {
        let _ =
            writeln!(text, "\n{} pictures and sounds cannot be read", count(survey.n_unreadable as usize));
        for item in survey.unreadable.iter().take(N_VALUES) {
            let _ = writeln!(text, "  {} ({}): {}", plain(&item.id), item.medium, plain(&item.problem));
        }
    }
    text
}

fn amounts(survey: &Survey) -> String {
    let mut columns: Vec<(&str, &Amounts)> = vec![("all", &survey.total)];
    columns.extend(survey.splits.iter().map(|(split, amounts)| (split_name(*split), amounts)));
    type Cell = fn(&Amounts) -> String;
    let lines: [(&str, Cell); 10] = [
        ("samples", |a| count(a.n_samples as usize)),
        ("groups", |a| count(a.n_groups as usize)),
        ("pictures", |a| count(a.n_images as usize)),
        ("  encoded", |a| bytes(a.image_bytes)),
        ("sounds", |a| count(a.n_sounds as usize)),
        ("  encoded", |a| bytes(a.sound_bytes)),
        ("  length", |a| duration(a.sound_s)),
        ("texts", |a| count(a.n_texts as usize)),
        ("  words", |a| count(a.n_words as usize)),
        ("empty samples", |a| count(a.n_empty as usize)),
    ];
    let (images, sounds) = (survey.total.n_images > 0, survey.total.n_sounds > 0);
    let (texts, empty) = (survey.total.n_texts > 0, survey.total.n_empty > 0);
    let is_shown = [true, true, images, images, sounds, sounds, sounds, texts, texts, empty];
    let mut rows = vec![row("", columns.iter().map(|(name, _)| (*name).to_owned()))];
    for ((name, cell), _) in lines.into_iter().zip(is_shown).filter(|(_, is_shown)| *is_shown) {
        rows.push(row(name, columns.iter().map(|(_, amounts)| cell(amounts))));
    }
    aligned(&rows)
}

fn distributions(title: &str, lines: &[(&str, &Option<Distribution>)]) -> String {
    let heads = ["min", "5%", "median", "mean", "95%", "max"];
    let mut rows = vec![row(title, heads.map(str::to_owned))];
    for (name, found) in lines {
        if let Some(d) = found {
            let cells = [d.min, d.p05, d.median, d.mean, d.p95, d.max];
            rows.push(row(&format!("  {name}"), cells.map(|value| significant(value, 4))));
        }
    }
    format!("\n{}", aligned(&rows))
}

fn pictures(images: &ImageFigures) -> String {
    let lines = [
        ("width, pixels", &images.width),
        ("height, pixels", &images.height),
        ("width / height", &images.aspect),
        ("bytes", &images.n_bytes),
    ];
    distributions("pictures", &lines) + &line("formats", &values(&images.formats, N_VALUES))
}

fn sounds(sounds: &AudioFigures) -> String {
    let lines = [
        ("length, s", &sounds.duration_s),
        ("bytes", &sounds.n_bytes),
        ("characters/s", &sounds.characters_per_s),
    ];
    let mut text = distributions("sounds", &lines);
    text.push_str(&line("formats", &values(&sounds.formats, N_VALUES)));
    text.push_str(&line("rates, Hz", &values(&sounds.rates_hz, N_VALUES)));
    text.push_str(&line("channels", &values(&sounds.channels, N_VALUES)));
    if sounds.n_without_duration > 0 {
        text.push_str(&line("of unknown length", &count(sounds.n_without_duration as usize)));
    }
    text
}

fn texts(texts: &TextFigures) -> String {
    let lines = [
        ("a sample", &texts.n_a_sample),
        ("characters", &texts.n_characters),
        ("words", &texts.n_words),
        ("tokens", &texts.n_tokens),
    ];
    let mut text = distributions("texts", &lines);
    let vocabulary = &texts.vocabulary;
    let sizes = format!(
        "{} different, {} of them once; {}",
        count(vocabulary.n_distinct as usize),
        count(vocabulary.n_hapaxes as usize),
        values(&vocabulary.most_frequent, N_WORDS)
    );
    text.push_str(&line("vocabulary", &sizes));
    let languages = &texts.languages;
    let mut parts = Vec::new();
    for (kind, counts) in [("tagged", &languages.tagged), ("guessed", &languages.guessed)] {
        if !counts.is_empty() {
            parts.push(format!("{kind} {}", values(counts, N_VALUES)));
        }
    }
    for (n, kind) in [(languages.n_short, "too short to guess"), (languages.n_unsure, "unsure")] {
        if n > 0 {
            parts.push(format!("{} {kind}", count(n as usize)));
        }
    }
    text.push_str(&line("languages", &parts.join("; ")));
    for (n, kind) in [(texts.n_empty, "empty"), (texts.n_said_twice, "said twice")] {
        if n > 0 {
            text.push_str(&line(kind, &count(n as usize)));
        }
    }
    text
}

fn tags(tags: &[TagFigures]) -> String {
    if tags.is_empty() {
        return String::new();
    }
    let mut rows = vec![row("tags", ["samples", "values", "evenness"].map(str::to_owned))];
    for tag in tags {
        let evenness = tag.evenness.map_or("–".to_owned(), |evenness| format!("{evenness:.2}"));
        let cells = [count(tag.n_samples as usize), count(tag.n_values as usize), evenness];
        rows.push(row(&format!("  {}", cut(&tag.key)), cells));
    }
    let table = aligned(&rows);
    let mut text = String::from("\n");
    for (line, tag) in table.lines().zip(std::iter::once(None).chain(tags.iter().map(Some))) {
        let shown = tag.map_or("most frequent".to_owned(), |tag| values(&tag.values, N_VALUES));
        let _ = writeln!(text, "{line}  {shown}");
    }
    text
}

fn repeats(survey: &Survey) -> String {
    if survey.total.n_samples == 0 {
        return String::new();
    }
    let kinds = [
        ("pictures", &survey.repeated_images),
        ("sounds", &survey.repeated_sounds),
        ("texts", &survey.repeated_texts),
        ("groups", &survey.groups),
    ];
    let mut rows =
        vec![row("repeats", ["different", "sets", "surplus", "sets across splits"].map(str::to_owned))];
    for (name, found) in kinds.iter().filter(|(_, found)| found.n_distinct > 0) {
        let cells = [found.n_distinct, found.n_sets, found.n_surplus, found.n_sets_across];
        rows.push(row(&format!("  {name}"), cells.map(|n| count(n as usize))));
    }
    let mut text = format!("\n{}", aligned(&rows));
    let leaking: Vec<_> = kinds.iter().filter(|(_, found)| !found.leaks.is_empty()).collect();
    if leaking.is_empty() {
        text.push_str("\nno leaks: nothing of a held-out split stands in another one\n");
    } else {
        text.push_str("\nleaks: what a held-out split shares with another one\n");
    }
    for (name, found) in leaking {
        text.push_str(&leaks(name, found));
    }
    text
}

fn leaks(name: &str, found: &Repeats) -> String {
    let mut text = String::new();
    for leak in &found.leaks {
        let (held_out, seen_in) = (split_name(leak.held_out), split_name(leak.seen_in));
        let _ = match name {
            "groups" => writeln!(
                text,
                "  {} of {held_out}'s samples have a group that {seen_in} has too",
                count(leak.n as usize)
            ),
            _ => writeln!(text, "  {} of {held_out}'s {name} stand in {seen_in} too", count(leak.n as usize)),
        };
    }
    for set in found.across.iter().take(N_LEAKS) {
        let shared = set.shared.as_ref().map_or(String::new(), |shared| format!("\"{}\": ", cut(shared)));
        let ids: Vec<String> = set.ids.iter().take(N_IDS).map(|id| plain(id)).collect();
        let more = if set.n as usize > ids.len() { ", …" } else { "" };
        let _ = writeln!(text, "    {shared}{} samples: {}{more}", count(set.n as usize), ids.join(", "));
    }
    text
}

fn values(values: &[ValueCount], n_shown: usize) -> String {
    let shown =
        values.iter().take(n_shown).map(|found| format!("{} {}", cut(&found.value), count(found.n as usize)));
    shown.collect::<Vec<_>>().join(", ")
}

fn line(name: &str, value: &str) -> String {
    format!("  {name}: {value}\n")
}

pub(super) fn split_name(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Validation => "validation",
        Split::Test => "test",
    }
}

/// A terminal must not obey what a corpus holds.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn cut(text: &str) -> String {
    let text = plain(text);
    if text.trim().is_empty() {
        return "(empty)".to_owned();
    }
    match text.char_indices().nth(MAX_VALUE_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn row(name: &str, cells: impl IntoIterator<Item = String>) -> Vec<String> {
    std::iter::once(name.to_owned()).chain(cells).collect()
}

/// The first column to the left, the others to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..n_columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            let _ = match column {
                0 => write!(text, "{cell:width$}"),
                _ => write!(text, "  {cell:>width$}"),
            };
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use triptych_datasets::audio::{Waveform, encode_wav};
    use triptych_datasets::image::{Pixels, encode_png};
    use triptych_datasets::sample::{Media, Sample};
    use triptych_datasets::shard::ShardWriter;
    use triptych_datasets::survey::survey;

    use super::*;

    fn table(samples: Vec<Sample>) -> String {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = ShardWriter::create(dir.path(), "things").unwrap();
        for sample in samples {
            writer.push(sample).unwrap();
        }
        let found = survey(&writer.finish(&[]).unwrap(), None, &|_, _, _| {});
        text(&Survey { content_hash: "0123456789abcdef0123".to_owned(), ..found }, 12_345)
    }

    #[test]
    fn the_table_keeps_its_form() {
        let media = |bytes: Vec<u8>, extension: &str| Some(Media { bytes, extension: extension.to_owned() });
        let samples = (0..12).map(|n: usize| {
            let picture = encode_png(&Pixels::filled(20 + n % 3, 10, [7; 3])).unwrap();
            let wave = Waveform { samples: vec![0.1; 1600 * (n + 1)], rate_hz: 16_000 };
            Sample {
                id: format!("thing-{n}"),
                group: format!("group {}", n / 2),
                split: if n % 4 == 3 { Split::Test } else { Split::Train },
                image: if n < 8 { media(picture, "png") } else { None },
                audio: if n > 6 { media(encode_wav(&wave).unwrap(), "wav") } else { None },
                texts: vec![format!("a red thing number {}", n % 5), "\u{1b}[31mA  RED thing".to_owned()],
                tags: [("colour", ["red", "blue"][n % 2]), ("n", &n.to_string())]
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into_iter()
                    .collect(),
                ..Sample::default()
            }
        });
        insta::assert_snapshot!(table(samples.collect()));
    }

    #[test]
    fn an_empty_corpus_has_a_short_table() {
        insta::assert_snapshot!(table(Vec::new()));
    }
}
