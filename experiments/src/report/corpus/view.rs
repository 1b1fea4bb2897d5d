//! The figures and the exhibits as the templates see them: words, rounded figures and finished drawings.

use minijinja::{context, value::Value};
use triptych_datasets::sample::Split;
use triptych_datasets::shard::Corpus;
use triptych_datasets::survey::{Amounts, Survey};

use super::exhibits::{Exhibit, Exhibits};
use super::failures::Failures;
use super::findings::findings;
use crate::report::numbers::{bytes, count, duration};

mod figures;

use figures::{list, plots, repeats, tag, texts};

/// Pictures that stand open; the rest unfolds.
const N_OPEN: usize = 72;
/// Captions and transcripts are cut here.
const MAX_CHARACTERS: usize = 240;

pub(super) fn split_name(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Validation => "validation",
        Split::Test => "test",
    }
}

/// Everything on the page.
pub(super) fn page(corpus: &Corpus, survey: &Survey, exhibits: &Exhibits, failures: &Failures) -> Value {
    let total = &survey.total;
    let sections: Vec<Value> = [
        ("holds", "What it holds", total.n_samples > 0),
        ("pictures", "Pictures", survey.images.is_some()),
        ("sounds", "Sounds", survey.sounds.is_some()),
        ("texts", "Texts", survey.texts.is_some()),
        ("classes", "Tags and class balance", !survey.tags.is_empty()),
        ("repeats", "Repeats and leaks", total.n_samples > 0),
        ("look", "Pictures to look at", !exhibits.pictures.is_empty()),
        ("listen", "Sounds to listen to", !exhibits.sounds.is_empty()),
        ("odd", "Odd items", !exhibits.odd.is_empty()),
        ("failed", "What did not get in", failures.n > 0 || !failures.problems.is_empty()),
        ("data", "Data and licences", !corpus.licences().is_empty()),
    ]
    .into_iter()
    .filter(|(_, _, is_present)| *is_present)
    .map(|(id, title, _)| context! { id, title })
    .collect();
    let ledger: Vec<Value> = corpus
        .licences()
        .iter()
        .map(|row| {
            context! {
                part => &row.part, source => &row.source, version => &row.version,
                licence => &row.licence, attribution => &row.attribution,
            }
        })
        .collect();
    let splits: Vec<Split> = survey.splits.keys().copied().collect();
    context! {
        name => &survey.name,
        content_hash => &survey.content_hash,
        lead => lead(total),
        sections,
        findings => findings(corpus, survey, failures),
        cards => cards(survey),
        amounts => amounts(survey),
        keys => splits.iter().map(|split| split_name(*split)).collect::<Vec<_>>(),
        pictures => survey.images.as_ref().map(|images| context! {
            plots => plots(&[
                ("width", "pixels", &images.width),
                ("height", "pixels", &images.height),
                ("width over height", "", &images.aspect),
                ("size of the file", "bytes", &images.n_bytes),
            ]),
            lists => vec![list("formats", &images.formats)],
        }),
        sounds => survey.sounds.as_ref().map(|sounds| context! {
            plots => plots(&[
                ("length", "seconds", &sounds.duration_s),
                ("text for the sound", "characters of the first text a second", &sounds.characters_per_s),
                ("size of the file", "bytes", &sounds.n_bytes),
            ]),
            lists => vec![
                list("formats", &sounds.formats),
                list("samples a second", &sounds.rates_hz),
                list("channels", &sounds.channels),
            ],
            n_without_duration => (sounds.n_without_duration > 0).then(|| n(sounds.n_without_duration)),
        }),
        texts => survey.texts.as_ref().map(texts),
        tags => survey.tags.iter().map(tag).collect::<Vec<_>>(),
        repeats => repeats(survey, exhibits),
        gallery => gallery(&exhibits.pictures, total.n_images),
        listen => context! {
            items => exhibits.sounds.iter().map(exhibit).collect::<Vec<_>>(),
            shown => count(exhibits.sounds.len()),
            total => n(total.n_sounds),
        },
        odd => exhibits.odd.iter().map(|list| context! {
            title => list.title,
            items => list.items.iter().map(|(item, value)| context! { item => exhibit(item), value })
                .collect::<Vec<_>>(),
        }).collect::<Vec<_>>(),
        failed => context! {
            n => count(failures.n),
            kinds => failures.kinds.iter().map(|(name, n)| context! { name, n => count(*n) }).collect::<Vec<_>>(),
            rows => failures.shown.iter().map(|row| context! {
                id => &row.id, place => &row.place, kind => &row.kind, reason => cut(&row.reason),
            }).collect::<Vec<_>>(),
            n_shown => count(failures.shown.len()),
            is_cut => failures.shown.len() < failures.n,
            problems => &failures.problems,
        },
        ledger,
    }
}

fn n(value: u64) -> String {
    count(value as usize)
}

fn lead(total: &Amounts) -> String {
    let mut parts = Vec::new();
    if total.n_images > 0 {
        parts.push(format!("{} pictures ({})", n(total.n_images), bytes(total.image_bytes)));
    }
    if total.n_sounds > 0 {
        let (seconds, n_bytes) = (duration(total.sound_s), bytes(total.sound_bytes));
        parts.push(format!("{} sounds ({seconds}, {n_bytes})", n(total.n_sounds)));
    }
    if total.n_texts > 0 {
        parts.push(format!("{} texts of {} words", n(total.n_texts), n(total.n_words)));
    }
    match parts.as_slice() {
        [] => "This corpus is empty.".to_owned(),
        parts => format!("{} samples: {}.", n(total.n_samples), parts.join(", ")),
    }
}

fn cards(survey: &Survey) -> Vec<Value> {
    let total = &survey.total;
    let mut cards = vec![("samples", n(total.n_samples), format!("in {} groups", n(total.n_groups)))];
    if total.n_images > 0 {
        let different = n(survey.repeated_images.n_distinct);
        cards.push((
            "pictures",
            n(total.n_images),
            format!("{different} different, {}", bytes(total.image_bytes)),
        ));
    }
    if total.n_sounds > 0 {
        // what fits the card
        let length = match total.sound_s {
            s if s >= 3600.0 => format!("{:.1} h", s / 3600.0),
            s if s >= 60.0 => format!("{:.1} min", s / 60.0),
            s => duration(s),
        };
        let different = n(survey.repeated_sounds.n_distinct);
        cards.push(("of sound", length, format!("{} sounds, {different} different", n(total.n_sounds))));
    }
    if let Some(texts) = &survey.texts {
        let different = n(survey.repeated_texts.n_distinct);
        cards.push(("texts", n(total.n_texts), format!("{different} different")));
        let vocabulary = &texts.vocabulary;
        let hapaxes = n(vocabulary.n_hapaxes);
        cards.push((
            "different words",
            n(vocabulary.n_distinct),
            format!("of {}; {hapaxes} once", n(vocabulary.n_words)),
        ));
    }
    let leaks: u64 = [&survey.repeated_images, &survey.repeated_sounds]
        .iter()
        .flat_map(|repeats| &repeats.leaks)
        .map(|leak| leak.n)
        .sum();
    let about = if leaks == 0 {
        "no picture or sound is on both sides of a split"
    } else {
        "pictures and sounds held out and seen elsewhere"
    };
    cards.push(("leaks", n(leaks), about.to_owned()));
    cards.into_iter().map(|(label, value, about)| context! { label, value, about }).collect()
}

fn amounts(survey: &Survey) -> Value {
    type Cell = fn(&Amounts) -> String;
    let lines: [(&str, bool, Cell); 10] = [
        ("samples", true, |a| n(a.n_samples)),
        ("groups", true, |a| n(a.n_groups)),
        ("pictures", survey.images.is_some(), |a| n(a.n_images)),
        ("their size", survey.images.is_some(), |a| bytes(a.image_bytes)),
        ("sounds", survey.sounds.is_some(), |a| n(a.n_sounds)),
        ("their size", survey.sounds.is_some(), |a| bytes(a.sound_bytes)),
        ("their length", survey.sounds.is_some(), |a| duration(a.sound_s)),
        ("texts", survey.texts.is_some(), |a| n(a.n_texts)),
        ("their words", survey.texts.is_some(), |a| n(a.n_words)),
        ("empty samples", survey.total.n_empty > 0, |a| n(a.n_empty)),
    ];
    let rows: Vec<Value> = lines
        .into_iter()
        .filter(|(_, is_shown, _)| *is_shown)
        .map(|(name, _, cell)| {
            let cells: Vec<String> = survey.splits.values().chain([&survey.total]).map(cell).collect();
            context! { name, cells, is_part => name.starts_with("their") }
        })
        .collect();
    let heads: Vec<&str> = survey.splits.keys().map(|split| split_name(*split)).chain(["all"]).collect();
    context! { heads, rows }
}

fn gallery(pictures: &[Exhibit], n_all: u64) -> Value {
    let mut items: Vec<Value> = pictures.iter().map(exhibit).collect();
    let more = items.split_off(items.len().min(N_OPEN));
    context! { items, more, shown => count(pictures.len()), total => n(n_all) }
}

fn exhibit(item: &Exhibit) -> Value {
    let picture = item.picture.as_ref().map(|picture| match picture {
        Ok(picture) => context! { src => picture.media.to_value(), size => &picture.size },
        Err(problem) => context! { problem },
    });
    let sound = item.sound.as_ref().map(|sound| match sound {
        Ok(sound) => context! {
            src => sound.media.to_value(),
            waveform => Value::from_safe_string(sound.waveform.clone()),
            length => &sound.length,
            synthetic => sound.is_synthetic,
        },
        Err(problem) => context! { problem },
    });
    context! {
        id => &item.id,
        split => split_name(item.split),
        text => cut(&item.text),
        others => cut(&item.others.join(" / ")),
        tags => cut(&item.tags.join(" · ")),
        picture,
        sound,
    }
}

/// A value that is empty must still be seen.
fn named(value: &str) -> String {
    let shown = cut(value);
    if shown.is_empty() { "(empty)".to_owned() } else { shown }
}

fn cut(text: &str) -> String {
    if text.trim().is_empty() {
        return String::new();
    }
    match text.char_indices().nth(MAX_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
