//! Which hold-outs are classified by words alone, and into what.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use triptych_tasks::heads::zero_shot::Template;

use super::{ConfigError, ExperimentConfig, Label, Resolved};

/// Zero-shot classification of a hold-out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifyConfig {
    /// The hold-out whose pictures and sounds are classified.
    pub holdout: String,
    /// What they are to be told apart by.
    pub label: Label,
    /// Phrases around a class's name, which stands where `{}` does.
    #[serde(default = "name_alone")]
    pub templates: Vec<Template>,
    /// The classes to choose from; every one that occurs in the corpus if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// What a class is called in the phrases, where that is not its own name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub words: BTreeMap<String, String>,
}

fn name_alone() -> Vec<Template> {
    vec![Template::name()]
}

/// Hold-outs that there are, templates, and classes that differ.
pub(super) fn check_classify(resolved: &Resolved<ExperimentConfig>) -> Result<(), ConfigError> {
    let evaluate = &resolved.value.evaluate;
    for classify in &evaluate.classify {
        let reject = |expected: String| resolved.reject("evaluate.classify", expected);
        if !evaluate.holdouts.iter().any(|holdout| holdout.name == classify.holdout) {
            let mut names = evaluate.holdouts.iter().map(|holdout| holdout.name.as_str()).collect::<Vec<_>>();
            names.dedup();
            let (got, names) = (&classify.holdout, names.join(", "));
            return Err(reject(format!("of a hold-out, one of {names}; {got:?} is none")));
        }
        if classify.templates.is_empty() {
            return Err(reject("with at least one template".to_owned()));
        }
        let mut classes = classify.classes.clone();
        classes.sort();
        if classes.len() == 1 || classes.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(reject("of two classes or more, each named once".to_owned()));
        }
    }
    Ok(())
}
