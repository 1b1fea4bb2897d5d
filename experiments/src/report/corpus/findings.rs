//! What a reader of the figures should know first, in sentences.

use triptych_datasets::shard::Corpus;
use triptych_datasets::survey::{Repeats, Survey};

use super::failures::Failures;
use super::view::split_name;
use crate::report::numbers::count;

/// A class balance below this is told.
const LOW_EVENNESS: f64 = 0.6;
/// A tag with more values is no class.
const MAX_CLASSES: u64 = 100;

/// The findings, the most serious first.
pub(super) fn findings(corpus: &Corpus, survey: &Survey, failures: &Failures) -> Vec<String> {
    let n = |n: u64| count(n as usize);
    let mut found = Vec::new();
    if survey.n_unreadable > 0 {
        found.push(format!(
            "{} pictures and sounds cannot be read: `triptych data validate` says what is wrong where.",
            n(survey.n_unreadable)
        ));
    }
    for (name, repeats) in [("pictures", &survey.repeated_images), ("sounds", &survey.repeated_sounds)] {
        for leak in &repeats.leaks {
            found.push(format!(
                "Leak: {} of the {name} in {} stand in {} too, byte for byte.",
                n(leak.n),
                split_name(leak.held_out),
                split_name(leak.seen_in)
            ));
        }
    }
    let shared = [shared(&survey.groups, "groups"), shared(&survey.repeated_texts, "texts")];
    let shared: Vec<String> = shared.into_iter().flatten().collect();
    if !shared.is_empty() {
        found.push(format!(
            "Splits share {}. That is right where something else is held out, a speaker or a style, and a leak where the \
             meaning should be new.",
            shared.join(" and ")
        ));
    }
    for (name, repeats) in [("pictures", &survey.repeated_images), ("sounds", &survey.repeated_sounds)] {
        if repeats.n_surplus > 0 {
            found.push(format!("{} {name} repeat an earlier one, byte for byte.", n(repeats.n_surplus)));
        }
    }
    if survey.total.n_empty > 0 {
        found.push(format!("{} samples have neither picture nor sound nor text.", n(survey.total.n_empty)));
    }
    if let Some(texts) = survey.texts.as_ref().filter(|texts| texts.n_empty + texts.n_said_twice > 0) {
        found.push(format!(
            "{} texts are empty, and {} say what an earlier text of the same sample says.",
            n(texts.n_empty),
            n(texts.n_said_twice)
        ));
    }
    for tag in &survey.tags {
        if tag.n_values <= MAX_CLASSES
            && let Some(evenness) = tag.evenness.filter(|evenness| *evenness < LOW_EVENNESS)
        {
            found.push(format!(
                "The values of the tag `{}` are unevenly frequent: evenness {evenness:.2} of 1.",
                tag.key
            ));
        }
    }
    if survey.splits.len() == 1 && survey.total.n_samples > 0 {
        found.push("All samples are in one split: nothing is held out to measure on.".to_owned());
    }
    if corpus.licences().is_empty() {
        found.push("The licence ledger is empty: nothing says whose work this is.".to_owned());
    }
    if failures.n > 0 {
        found.push(format!("{} items did not get in; the ledger says why.", count(failures.n)));
    }
    found
}

fn shared(repeats: &Repeats, name: &str) -> Option<String> {
    (repeats.n_sets_across > 0).then(|| format!("{} {name}", count(repeats.n_sets_across as usize)))
}
