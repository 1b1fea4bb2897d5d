//! The figures and the exhibits as the templates see them: words, rounded figures and finished drawings.

use minijinja::{context, value::Value};
use triptych_datasets::sample::Split;
use triptych_datasets::shard::Corpus;
use triptych_datasets::survey::{
    Amounts, Distribution, Repeats, Survey, TagFigures, TextFigures, ValueCount,
};

use super::charts;
use super::exhibits::{Exhibit, Exhibits};
use super::failures::Failures;
use super::findings::findings;
use crate::report::numbers::{bytes, count, duration, significant};

const N_CLASSES: usize = 16;
const N_WORDS: usize = 40;
const N_LANGUAGES: usize = 24;
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
        let length = match total.sound_s {
            s if s >= 3600.0 => format!("{:.1} h", s / 3600.0),
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

/// A histogram and the figures under it, for each quantity that has values.
fn plots(quantities: &[(&str, &str, &Option<Distribution>)]) -> Vec<Value> {
    let with_values = quantities.iter().filter_map(|(name, unit, found)| Some((name, unit, found.as_ref()?)));
    with_values
        .map(|(name, unit, found)| {
            let figures = [
                ("min", found.min),
                ("5%", found.p05),
                ("median", found.median),
                ("mean", found.mean),
                ("95%", found.p95),
                ("max", found.max),
            ];
            context! {
                name => *name,
                n => n(found.n),
                svg => Value::from_safe_string(charts::histogram(found, name, unit)),
                figures => figures.map(|(name, value)| context! { name, value => significant(value, 3) }).to_vec(),
                is_sampled => found.is_sampled,
                // all the same: a drawing would say nothing
                only => (found.min == found.max).then(|| format!("{} {unit}", significant(found.min, 6))),
            }
        })
        .collect()
}

fn list(name: &str, values: &[ValueCount]) -> Value {
    let items: Vec<Value> =
        values.iter().map(|value| context! { name => named(&value.value), n => n(value.n) }).collect();
    context! { name, items }
}

/// Bars of equal scale, each in parts by split.
fn bars(values: &[ValueCount], limit: usize) -> Vec<Value> {
    let most = values.iter().map(|value| value.n).max().unwrap_or(1).max(1) as f64;
    values
        .iter()
        .take(limit)
        .map(|value| {
            let parts: Vec<Value> = value
                .splits
                .iter()
                .map(|(split, n_here)| {
                    context! {
                        split => split_name(*split),
                        n => n(*n_here),
                        share => format!("{:.2}", 100.0 * *n_here as f64 / most),
                    }
                })
                .collect();
            context! { name => named(&value.value), n => n(value.n), parts }
        })
        .collect()
}

fn texts(texts: &TextFigures) -> Value {
    let languages = &texts.languages;
    let n_all = languages.tagged.iter().chain(&languages.guessed).map(|value| value.n).sum::<u64>()
        + languages.n_short
        + languages.n_unsure;
    let row = |name: &str, how: &str, n_here: u64| {
        let share = format!("{:.1}", 100.0 * n_here as f64 / n_all.max(1) as f64);
        context! { name, how, n => n(n_here), share }
    };
    let mut rows: Vec<Value> = Vec::new();
    rows.extend(
        languages.tagged.iter().take(N_LANGUAGES).map(|value| row(&cut(&value.value), "tag", value.n)),
    );
    rows.extend(languages.guessed.iter().take(N_LANGUAGES).map(|value| row(&value.value, "guess", value.n)));
    for (name, n_here) in [("too short to guess", languages.n_short), ("unsure", languages.n_unsure)] {
        if n_here > 0 {
            rows.push(row(name, "", n_here));
        }
    }
    let vocabulary = &texts.vocabulary;
    context! {
        plots => plots(&[
            ("characters of a text", "characters", &texts.n_characters),
            ("words of a text", "words", &texts.n_words),
            ("tokens of a text", "tokens", &texts.n_tokens),
            ("texts of a sample", "texts", &texts.n_a_sample),
        ]),
        languages => rows,
        words => bars(&vocabulary.most_frequent, N_WORDS),
        n_distinct => n(vocabulary.n_distinct),
        n_words => n(vocabulary.n_words),
        n_hapaxes => n(vocabulary.n_hapaxes),
    }
}

fn tag(tag: &TagFigures) -> Value {
    // a value of its own for every sample is no class
    let is_class = tag.n_values < tag.n_samples && tag.values.first().is_some_and(|value| value.n > 1);
    let bars = if is_class { bars(&tag.values, N_CLASSES) } else { Vec::new() };
    let examples: Vec<String> = tag.values.iter().take(4).map(|value| cut(&value.value)).collect();
    context! {
        key => cut(&tag.key),
        n_samples => n(tag.n_samples),
        n_values => match tag.n_values {
            1 => "one value".to_owned(),
            more => format!("{} values", n(more)),
        },
        evenness => tag.evenness.map(|evenness| format!("{evenness:.2}")),
        n_more => (tag.n_values as usize > bars.len()).then(|| count(tag.n_values as usize - bars.len())),
        bars,
        examples => examples.join(", "),
    }
}

fn repeats(survey: &Survey, exhibits: &Exhibits) -> Value {
    let kinds = [
        ("pictures", &survey.repeated_images),
        ("sounds", &survey.repeated_sounds),
        ("texts", &survey.repeated_texts),
        ("groups", &survey.groups),
    ];
    let there = kinds.iter().filter(|(_, found)| found.n_distinct > 0);
    let rows: Vec<Value> = there
        .clone()
        .map(|(name, found)| {
            let cells =
                [found.n_distinct, found.n_sets, found.n_surplus, found.n_sets_across].map(n).to_vec();
            context! { name => *name, cells }
        })
        .collect();
    let leaks: Vec<Value> = there
        .clone()
        .flat_map(|(name, found)| found.leaks.iter().map(move |leak| (name, leak)))
        .map(|(name, leak)| {
            let (held_out, seen_in) = (split_name(leak.held_out), split_name(leak.seen_in));
            context! { name => *name, held_out, seen_in, n => n(leak.n) }
        })
        .collect();
    let examples: Vec<Value> = there.clone().filter_map(|(name, found)| sets(name, found)).collect();
    context! { rows, leaks, examples, pictures => exhibits.repeated.iter().map(exhibit).collect::<Vec<_>>() }
}

/// Sets on both sides of a split, or, where there are none, the largest. That the members of a group share it says
/// nothing.
fn sets(name: &str, found: &Repeats) -> Option<Value> {
    let is_across = !found.across.is_empty();
    let sets = if is_across { &found.across } else { &found.largest };
    if sets.is_empty() || (name == "groups" && !is_across) {
        return None;
    }
    let rows: Vec<Value> = sets
        .iter()
        .map(|set| {
            let splits: Vec<String> = set
                .splits
                .iter()
                .map(|(split, n_here)| format!("{} {}", n(*n_here), split_name(*split)))
                .collect();
            context! {
                shared => set.shared.as_deref().map(cut),
                n => n(set.n),
                splits => splits.join(", "),
                ids => set.ids.join(", "),
                is_cut => (set.n as usize) > set.ids.len(),
            }
        })
        .collect();
    Some(context! { name, is_across, rows, has_words => sets.iter().any(|set| set.shared.is_some()) })
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
