//! Which samples a probe is fitted to, and which it is judged by.

use std::collections::{BTreeMap, BTreeSet};

use triptych_datasets::draw::Draw;
use triptych_datasets::sample::Split;
use triptych_datasets::shard::{Corpus, Entry};
use triptych_encoders::Modality;

use super::condition::Condition;
use super::error::ProbeFailure;
use super::test_sets::{self, Wanted};
use crate::configuration::{EvaluateConfig, Label};
use crate::diagnostic::UsageError;
use crate::evaluate::Readout;

/// What a probe is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// What a sample's class is.
    pub(crate) label: Label,
    pub(crate) modality: Modality,
    pub(crate) readout: Readout,
    /// What it is fitted to; the training split if not given.
    pub(crate) train: Option<String>,
    /// What it is judged by, hold-outs or conditions; every hold-out of the modality if there is none.
    pub(crate) tests: Vec<String>,
    pub(crate) amount: Amount,
    /// Classes of fewer training samples are left out.
    pub(crate) least: usize,
    pub(crate) skips_unlabelled: bool,
    pub(crate) n_folds: Option<usize>,
    /// C, one or several to choose from; a usual range if there is none.
    pub(crate) inverse_strengths: Vec<f64>,
    /// Decides what is drawn, and how folds are dealt.
    pub(crate) seed: u64,
}

/// How many of the training samples are used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Amount {
    All,
    /// As many of every class.
    Shots(usize),
    /// This share of every class, one sample at least.
    Share(f64),
}

/// Samples with their classes, by their place in the corpus and among the names.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Labelled {
    pub(super) entries: Vec<usize>,
    pub(super) labels: Vec<usize>,
}

/// A set to judge by.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TestSet {
    pub(super) name: String,
    pub(super) samples: Labelled,
}

/// Everything that was selected.
#[derive(Debug)]
pub(super) struct Chosen {
    /// The classes, by name.
    pub(super) names: Vec<String>,
    /// What the training samples are.
    pub(super) train: String,
    pub(super) training: Labelled,
    /// Of the validation split, where it is large enough.
    pub(super) validation: Option<Labelled>,
    pub(super) tests: Vec<TestSet>,
    /// What was left out, in words.
    pub(super) warnings: Vec<String>,
}

/// Whether a sample has what the probe looks at.
pub(crate) fn has(modality: Modality, entry: &Entry) -> bool {
    match modality {
        Modality::Text => entry.texts.first().is_some_and(|text| !text.trim().is_empty()),
        Modality::Image => entry.image.is_some(),
        Modality::Audio => entry.audio.is_some(),
    }
}

/// What samples of a modality are called.
pub(super) fn things(modality: Modality) -> &'static str {
    match modality {
        Modality::Text => "text",
        Modality::Image => "picture",
        Modality::Audio => "sound",
    }
}

/// Selects the samples of a corpus.
///
/// # Errors
/// Conditions that no sample fulfils, samples without a class, and what else [`ProbeFailure`] lists.
pub(super) fn choose(
    corpus: &Corpus,
    evaluate: &EvaluateConfig,
    request: &Request,
) -> miette::Result<Chosen> {
    let condition = match &request.train {
        None => Condition::of_split(Split::Train),
        Some(text) => Condition::parse(text, Split::Train).map_err(|expected| UsageError {
            message: format!("`--train`: expected {expected}"),
            hint: Some("for example `--train style=noto|fluent`".to_owned()),
        })?,
    };
    let mut warnings = Vec::new();
    let all = selected(corpus, request, &condition, "--train")?;
    let all = labelled(corpus, request, all, "training samples", &mut warnings)?;
    let mut classes = BTreeMap::<&str, Vec<usize>>::new();
    for &(idx, class) in &all {
        classes.entry(class).or_default().push(idx);
    }
    let rare = keep_frequent(request, &mut classes, &mut warnings)?;
    if let (1, Some((class, members))) = (classes.len(), classes.first_key_value()) {
        let (label, class) = (request.label.to_string(), (*class).to_owned());
        return Err(ProbeFailure::SingleClass { label, n: members.len(), class }.into());
    }
    let names = classes.keys().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let places = classes.keys().enumerate().map(|(place, name)| (*name, place)).collect::<BTreeMap<_, _>>();
    // whatever the fit may see, drawn or not, is not to be tested on
    let mut seen = all.iter().map(|(idx, _)| *idx).collect::<BTreeSet<_>>();
    let mut training = Labelled::default();
    for (class, members) in &classes {
        for idx in draw(request, class, members) {
            training.entries.push(idx);
            training.labels.push(places[class]);
        }
    }
    let validation = validation(corpus, request, &condition, &places)?;
    seen.extend(validation.iter().flat_map(|validation| &validation.entries));
    let wanted = Wanted { corpus, evaluate, request, places: &places, rare: &rare, seen: &seen };
    let tests = test_sets::tests(&wanted, &mut warnings)?;
    Ok(Chosen { names, train: condition.to_string(), training, validation, tests, warnings })
}

/// The entries that fulfil a condition and have the modality; of equal texts of one class the first.
pub(super) fn selected(
    corpus: &Corpus,
    request: &Request,
    condition: &Condition,
    option: &str,
) -> Result<Vec<usize>, UsageError> {
    let entries = corpus.entries();
    let with_it = (0..entries.len()).filter(|&idx| has(request.modality, &entries[idx])).collect::<Vec<_>>();
    let n = with_it.len();
    let found = with_it.into_iter().filter(|&idx| condition.matches(&entries[idx])).collect::<Vec<_>>();
    if found.is_empty() {
        return Err(UsageError {
            message: format!(
                "`{option}`: {condition} selects none of the {n} samples that have a {}",
                things(request.modality)
            ),
            hint: Some(format!("`triptych data stats {}` shows splits and tags", corpus.dir().display())),
        });
    }
    Ok(found)
}

/// Samples with the names of their classes.
///
/// # Errors
/// Samples that have none, unless these are to be skipped.
pub(super) fn labelled<'a>(
    corpus: &'a Corpus,
    request: &Request,
    members: Vec<usize>,
    what: &str,
    warnings: &mut Vec<String>,
) -> Result<Vec<(usize, &'a str)>, ProbeFailure> {
    let entries = corpus.entries();
    let n = members.len();
    let with_class = |&idx: &usize| request.label.of(&entries[idx]).map(|class| (idx, class));
    let mut found = members.iter().filter_map(with_class).collect::<Vec<_>>();
    let n_without = n - found.len();
    let label = request.label.to_string();
    if found.is_empty() {
        let (what, tags) = (what.to_owned(), tags(corpus, &members));
        return Err(ProbeFailure::NoLabel { n, what, label, tags });
    }
    if n_without > 0 && !request.skips_unlabelled {
        let id = members.iter().find(|idx| with_class(idx).is_none()).map(|&idx| entries[idx].id.clone());
        let (what, id) = (what.to_owned(), id.unwrap_or_default());
        return Err(ProbeFailure::Unlabelled { n_without, n, what, label, id });
    }
    if n_without > 0 {
        warnings.push(format!("{n_without} of {n} {what} have no {label} and are left out"));
    }
    if request.modality == Modality::Text {
        let mut texts = BTreeSet::new();
        found.retain(|&(idx, class)| texts.insert((first_text(&entries[idx]), class)));
    }
    Ok(found)
}

pub(super) fn first_text(entry: &Entry) -> &str {
    entry.texts.first().map_or("", |text| text.trim())
}

/// The tags of some samples and how many values each has.
pub(crate) fn tags(corpus: &Corpus, members: &[usize]) -> String {
    let mut values = BTreeMap::<&str, BTreeSet<&str>>::new();
    for (key, value) in members.iter().flat_map(|&idx| &corpus.entries()[idx].tags) {
        values.entry(key).or_default().insert(value);
    }
    let several = values.iter().filter(|(_, values)| values.len() > 1);
    let told = several.map(|(key, values)| format!("tag:{key} ({} classes)", values.len()));
    match told.collect::<Vec<_>>().join(", ") {
        told if told.is_empty() => "no tag of them has several values".to_owned(),
        told => format!("they have {told}, group and text"),
    }
}

/// Leaves out classes with too few samples, and gives their names.
fn keep_frequent<'a>(
    request: &Request,
    classes: &mut BTreeMap<&'a str, Vec<usize>>,
    warnings: &mut Vec<String>,
) -> Result<BTreeSet<&'a str>, ProbeFailure> {
    let least = request.least;
    let rare = classes.iter().filter(|(_, members)| members.len() < least).map(|(name, _)| *name);
    let rare = rare.collect::<BTreeSet<_>>();
    if rare.len() == classes.len() {
        let largest = classes.iter().max_by_key(|(_, members)| members.len());
        let (class, n_most) =
            largest.map(|(name, members)| ((*name).to_owned(), members.len())).unwrap_or_default();
        return Err(ProbeFailure::AllRare { least, label: request.label.to_string(), n_most, class });
    }
    if !rare.is_empty() {
        let (n, n_all) = (rare.len(), classes.len());
        warnings.push(format!(
            "{n} of {n_all} classes have fewer than {least} training samples and are left out"
        ));
    }
    classes.retain(|name, _| !rare.contains(name));
    Ok(rare)
}

/// Some of a class's samples, in their order.
fn draw(request: &Request, class: &str, members: &[usize]) -> Vec<usize> {
    let n = match request.amount {
        Amount::All => return members.to_vec(),
        Amount::Shots(n) => n,
        Amount::Share(share) => ((members.len() as f64 * share).round() as usize).max(1),
    };
    let mut draw = Draw::new(request.seed, 0, class, "samples of a probe");
    let mut chosen = draw.choose(members.len(), n);
    chosen.sort_unstable();
    chosen.into_iter().map(|place| members[place]).collect()
}

/// Samples of the validation split, where there are as many as classes and nobody asks for folds.
fn validation(
    corpus: &Corpus,
    request: &Request,
    condition: &Condition,
    places: &BTreeMap<&str, usize>,
) -> Result<Option<Labelled>, ProbeFailure> {
    let Some(condition) = condition.for_validation().filter(|_| request.n_folds.is_none()) else {
        return Ok(None);
    };
    let entries = corpus.entries();
    let mut found = Labelled::default();
    for (idx, entry) in entries.iter().enumerate() {
        let class = request.label.of(entry).and_then(|class| places.get(class));
        if let Some(&class) = class.filter(|_| has(request.modality, entry) && condition.matches(entry)) {
            found.entries.push(idx);
            found.labels.push(class);
        }
    }
    Ok((found.entries.len() >= places.len()).then_some(found))
}
