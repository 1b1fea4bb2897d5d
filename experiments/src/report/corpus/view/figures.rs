//! Quantities, words, languages, tags and repeats as the templates see them.

use minijinja::{context, value::Value};
use triptych_datasets::survey::{Distribution, Repeats, Survey, TagFigures, TextFigures, ValueCount};

use super::super::charts;
use super::super::exhibits::Exhibits;
use super::{cut, exhibit, n, named, split_name};
use crate::report::numbers::{count, significant};

const N_CLASSES: usize = 16;
const N_WORDS: usize = 40;
const N_LANGUAGES: usize = 24;

/// A histogram and the figures under it, for each quantity that has values.
pub(super) fn plots(quantities: &[(&str, &str, &Option<Distribution>)]) -> Vec<Value> {
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

pub(super) fn list(name: &str, values: &[ValueCount]) -> Value {
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

pub(super) fn texts(texts: &TextFigures) -> Value {
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

pub(super) fn tag(tag: &TagFigures) -> Value {
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

pub(super) fn repeats(survey: &Survey, exhibits: &Exhibits) -> Value {
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
