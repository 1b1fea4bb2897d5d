//! *split*: what is trained on, what chooses between models, what is reported.
//!
//! Samples that share a value of any of the keys named stand on one side, also by way of others. Where such a family goes
//! is a pure function of the seed and its values, so that nothing moves when samples are added that share nothing with it.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::PipelineError;
use super::item::Item;
use super::key::Key;
use super::ledger::Fault;
use super::recipe::Objection;
use super::slice::hash_of;
use super::stage::{AllItems, Context, Decision, Stage, Tally, count};
use crate::sample::Split;

/// How samples are divided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SplitSettings {
    /// What never stands on two sides: some of `group`, `caption`, `picture`, `sound`, `tag:NAME`, `id`.
    pub by: Vec<Key>,
    /// Shares of the families, which add up to 1.
    pub shares: Shares,
    /// Whether samples that are for validation or testing already stay so, with all that belongs to them.
    pub keep: bool,
}

/// Shares of the three splits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shares {
    /// Trained on.
    pub train: f64,
    /// Chooses between models.
    pub validation: f64,
    /// Reported.
    pub test: f64,
}

impl Default for Shares {
    fn default() -> Self {
        Self { train: 0.9, validation: 0.05, test: 0.05 }
    }
}

impl Default for SplitSettings {
    fn default() -> Self {
        Self { by: vec![Key::Group], shares: Shares::default(), keep: true }
    }
}

impl SplitSettings {
    pub(crate) fn objections(&self) -> Vec<Objection> {
        let Shares { train, validation, test } = self.shares;
        let sum = train + validation + test;
        let mut objections = Vec::new();
        if [train, validation, test].iter().any(|share| !(0.0..=1.0).contains(share))
            || (sum - 1.0).abs() > 1e-6
        {
            let message = format!("expected shares of 0 to 1 that add up to 1, got a sum of {sum}");
            objections.push((vec!["split", "shares"], message));
        }
        if self.by.is_empty() {
            objections.push((vec!["split", "by"], "expected at least one key, such as \"group\"".to_owned()));
        }
        objections
    }
}

pub(crate) struct Divide {
    pub settings: SplitSettings,
    pub seed: u64,
}

/// Which samples belong together.
struct Families {
    parents: Vec<u32>,
}

impl Families {
    fn root(&mut self, mut idx: u32) -> u32 {
        while self.parents[idx as usize] != idx {
            let above = self.parents[self.parents[idx as usize] as usize];
            self.parents[idx as usize] = above;
            idx = above;
        }
        idx
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        // the earlier is the root
        self.parents[a.max(b) as usize] = a.min(b);
    }
}

impl Divide {
    fn draw(&self, value: u64) -> Split {
        let hash = hash_of(&["split", &self.seed.to_string(), &value.to_string()]);
        let uniform = (hash >> 11) as f64 / (1u64 << 53) as f64;
        let Shares { train, validation, .. } = self.settings.shares;
        if uniform < train {
            Split::Train
        } else if uniform < train + validation {
            Split::Validation
        } else {
            Split::Test
        }
    }
}

impl Stage for Divide {
    fn name(&self) -> &'static str {
        "split"
    }

    fn version(&self) -> u32 {
        1
    }

    fn settings(&self) -> Result<serde_json::Value, PipelineError> {
        super::stage::as_value(&(&self.settings, self.seed))
    }

    fn is_global(&self) -> bool {
        true
    }

    fn survey(&self, items: &AllItems<'_>, _scratch: &Path) -> Result<Decision, PipelineError> {
        let mut families = Families { parents: Vec::new() };
        let mut first_with: HashMap<u64, u32> = HashMap::new();
        // of each sample: the smallest hash of its values, and its split so far
        let mut smallest = Vec::new();
        let mut splits = Vec::new();
        for item in items() {
            let item = item?;
            let idx = families.parents.len() as u32;
            families.parents.push(idx);
            splits.push(item.split);
            let values = self.settings.by.iter().flat_map(|key| key.values(&item));
            let mut least = u64::MAX;
            for value in values {
                let hash = hash_of(&[&value]);
                least = least.min(hash);
                let first = *first_with.entry(hash).or_insert(idx);
                families.join(first, idx);
            }
            // nothing to share: by itself
            smallest.push(if least == u64::MAX { hash_of(&["id", &item.id]) } else { least });
        }
        let n_items = families.parents.len();
        drop(first_with);
        let roots: Vec<u32> = (0..n_items as u32).map(|idx| families.root(idx)).collect();
        let mut least = vec![u64::MAX; n_items];
        let mut kept = vec![Split::Train; n_items];
        let mut sizes = vec![0u32; n_items];
        for (idx, root) in roots.iter().enumerate() {
            let root = *root as usize;
            least[root] = least[root].min(smallest[idx]);
            kept[root] = kept[root].max(splits[idx]);
            sizes[root] += 1;
        }
        let mut decision = Decision::default();
        for root in &roots {
            let root = *root as usize;
            let split = match kept[root] {
                Split::Train => self.draw(least[root]),
                held_out if self.settings.keep => held_out,
                _ => self.draw(least[root]),
            };
            decision.splits.push(split);
        }
        count(&mut decision.tally, "families", sizes.iter().filter(|size| **size > 0).count() as u64);
        count(
            &mut decision.tally,
            "samples in the largest family",
            u64::from(sizes.into_iter().max().unwrap_or(0)),
        );
        Ok(decision)
    }

    fn apply(
        &self,
        item: &mut Item,
        place: u64,
        decision: &Decision,
        _context: &Context<'_>,
        tally: &mut Tally,
    ) -> Result<Option<Fault>, PipelineError> {
        if let Some(split) = decision.splits.get(place as usize) {
            count(tally, "samples that changed their split", u64::from(item.split != *split));
            item.split = *split;
        }
        Ok(None)
    }
}
