//! *classify*: tags for languages and domains, by detection, by rules, or by a trained model without examples.

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::error::PipelineError;
use super::filter::compare;
use super::item::Item;
use super::ledger::Fault;
use super::recipe::Objection;
use super::similarity::Similarity;
use super::stage::{Context, Decision, Stage, Tally, as_value, count};
use crate::text::language::{Guess, guess};

/// Which tags are given; a tag that a sample has already stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClassifySettings {
    /// Gives the tag `language`, an ISO 639-1 code, where it can be told.
    pub language: Option<LanguageSettings>,
    /// Tags by words and patterns; of the rules for one tag the first that fits counts.
    pub rule: Vec<Rule>,
    /// Tags by similarity with descriptions, by a trained model.
    pub zero_shot: Vec<ZeroShot>,
}

/// When a language counts as told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LanguageSettings {
    /// Letters that the texts must have together; below some 20 any answer is a guess.
    pub min_characters: usize,
    /// 0 to 1.
    pub min_confidence: f64,
}

impl Default for LanguageSettings {
    fn default() -> Self {
        Self { min_characters: 20, min_confidence: 0.5 }
    }
}

/// A tag for texts that hold a word or fit a pattern.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The tag's name.
    pub tag: String,
    /// Its value.
    pub value: String,
    /// Whole words or phrases, in any case.
    #[serde(default)]
    pub words: Vec<String>,
    /// A regular expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
}

/// A tag whose value is the description that a picture (without one, a sound) is most similar to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZeroShot {
    /// The tag's name.
    pub tag: String,
    /// Value = description.
    pub labels: BTreeMap<String, String>,
    /// Below this similarity no tag is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
}

impl ClassifySettings {
    pub(crate) fn objections(&self) -> Vec<Objection> {
        let mut objections = Vec::new();
        for rule in &self.rule {
            if let Err(message) = rule.compile() {
                objections.push((vec!["classify", "rule"], message));
            }
        }
        for shot in &self.zero_shot {
            if shot.tag.is_empty() || shot.labels.len() < 2 {
                let message = "expected a tag and at least two labels".to_owned();
                objections.push((vec!["classify", "zero_shot"], message));
            }
        }
        objections
    }

    pub(crate) fn needs_model(&self) -> bool {
        !self.zero_shot.is_empty()
    }
}

impl Rule {
    fn compile(&self) -> Result<Vec<Regex>, String> {
        if self.tag.is_empty() || (self.words.is_empty() && self.pattern.is_none()) {
            return Err("expected a tag, and words or a pattern".to_owned());
        }
        let mut patterns = Vec::new();
        if !self.words.is_empty() {
            let words: Vec<String> = self.words.iter().map(|word| regex::escape(word)).collect();
            patterns.push(format!(r"(?i)(?:^|\W)(?:{})(?:\W|$)", words.join("|")));
        }
        patterns.extend(self.pattern.clone());
        let compile = |pattern: &String| {
            let built = RegexBuilder::new(pattern).size_limit(4 << 20).build();
            built.map_err(|e| {
                format!("tag {:?}: {}", self.tag, e.to_string().lines().last().unwrap_or_default())
            })
        };
        patterns.iter().map(compile).collect()
    }
}

pub(crate) struct Classify {
    settings: ClassifySettings,
    rules: Vec<Vec<Regex>>,
    model: Option<String>,
}

impl Classify {
    pub(crate) fn new(settings: &ClassifySettings, model: Option<String>) -> Result<Self, PipelineError> {
        let rules = settings.rule.iter().map(Rule::compile).collect::<Result<_, _>>();
        let rules = rules.map_err(|problem| PipelineError::usage(problem, ""))?;
        Ok(Self { settings: settings.clone(), rules, model })
    }
}

fn give(item: &mut Item, tag: &str, value: &str, tally: &mut Tally) {
    if item.tags.contains_key(tag) {
        return;
    }
    count(tally, &format!("{tag} = {value}"), 1);
    item.tags.insert(tag.to_owned(), value.to_owned());
}

impl Stage for Classify {
    fn name(&self) -> &'static str {
        "classify"
    }

    fn version(&self) -> u32 {
        2
    }

    fn settings(&self) -> Result<serde_json::Value, PipelineError> {
        as_value(&(&self.settings, &self.model))
    }

    fn apply(
        &self,
        item: &mut Item,
        _place: u64,
        _decision: &Decision,
        _context: &Context<'_>,
        tally: &mut Tally,
    ) -> Result<Option<Fault>, PipelineError> {
        if let Some(settings) = &self.settings.language
            && !item.tags.contains_key("language")
        {
            match guess(&item.texts.join("\n"), settings.min_characters, settings.min_confidence) {
                Guess::Language { code, .. } => give(item, "language", code, tally),
                Guess::Short | Guess::Unsure => count(tally, "language not told", 1),
            }
        }
        for (rule, patterns) in self.settings.rule.iter().zip(&self.rules) {
            if item.texts.iter().any(|text| patterns.iter().any(|pattern| pattern.is_match(text))) {
                give(item, &rule.tag, &rule.value, tally);
            }
        }
        Ok(None)
    }

    fn apply_together(
        &self,
        items: &mut [Item],
        context: &Context<'_>,
        similarity: Option<&dyn Similarity>,
        tally: &mut Tally,
    ) -> Result<Vec<Option<Fault>>, PipelineError> {
        for shot in &self.settings.zero_shot {
            let Some(model) = similarity else { break };
            let (values, descriptions): (Vec<&String>, Vec<String>) =
                shot.labels.iter().map(|(value, description)| (value, description.clone())).unzip();
            let has_media = |item: &Item| item.image.is_some() || item.audio.is_some();
            let judged: Vec<usize> = (0..items.len()).filter(|idx| has_media(&items[*idx])).collect();
            let pairs = judged.iter().map(|idx| (&items[*idx], &descriptions[..]));
            let scores = compare(model, pairs, context)?;
            for (idx, scores) in judged.into_iter().zip(scores) {
                let best = scores.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
                if let Some((label, score)) = best
                    && shot.min.is_none_or(|min| f64::from(*score) >= min)
                {
                    give(&mut items[idx], &shot.tag, values[label], tally);
                }
            }
        }
        Ok(items.iter().map(|_| None).collect())
    }
}
