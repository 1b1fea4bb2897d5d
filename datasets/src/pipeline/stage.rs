//! What a stage is: a pure function of a sample, its settings, and what was decided about all samples together.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::PipelineError;
use super::item::{Item, Store};
use super::ledger::Fault;
use super::similarity::Similarity;
use crate::sample::{Question, Split};

/// Counts for the report, by name.
pub(crate) type Tally = BTreeMap<String, u64>;

/// Gives all samples, each time from the first.
pub(crate) type AllItems<'a> = dyn Fn() -> Box<dyn Iterator<Item = Result<Item, PipelineError>> + 'a> + 'a;

/// What a stage works with.
pub(crate) struct Context<'a> {
    pub store: &'a Store,
}

/// What was decided after a look at all samples, by their places in the stage's input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Decision {
    /// Those that go, and why.
    pub faults: BTreeMap<u64, Fault>,
    /// Texts that samples take over from others.
    pub texts: BTreeMap<u64, Vec<String>>,
    /// Questions that samples take over from others.
    #[serde(default)]
    pub questions: BTreeMap<u64, Vec<Question>>,
    /// The split of every sample, where it is decided here.
    pub splits: Vec<Split>,
    /// Counts for the report.
    pub tally: Tally,
}

/// One step of a preparation.
pub(crate) trait Stage: Sync {
    /// As in the recipe.
    fn name(&self) -> &'static str;

    /// Changes whenever the same input and settings give another output.
    fn version(&self) -> u32;

    /// Everything else that the output depends on.
    fn settings(&self) -> Result<serde_json::Value, PipelineError>;

    /// Whether [`Stage::survey`] must see all samples first.
    fn is_global(&self) -> bool {
        false
    }

    /// A look at all samples, as often as it takes. What is too much for the memory goes into nameless files in `scratch`.
    fn survey(&self, _items: &AllItems<'_>, _scratch: &Path) -> Result<Decision, PipelineError> {
        Ok(Decision::default())
    }

    /// Changes a sample, or says why it must go. `place` counts the stage's input.
    fn apply(
        &self,
        item: &mut Item,
        place: u64,
        decision: &Decision,
        context: &Context<'_>,
        tally: &mut Tally,
    ) -> Result<Option<Fault>, PipelineError>;

    /// What is better done for many samples at once, after [`Stage::apply`]. A fault an item.
    fn apply_together(
        &self,
        items: &mut [Item],
        _context: &Context<'_>,
        _similarity: Option<&dyn Similarity>,
        _tally: &mut Tally,
    ) -> Result<Vec<Option<Fault>>, PipelineError> {
        Ok(items.iter().map(|_| None).collect())
    }
}

pub(crate) fn count(tally: &mut Tally, name: &str, n: u64) {
    if n > 0 {
        *tally.entry(name.to_owned()).or_default() += n;
    }
}

/// Settings as they enter a cache key.
pub(crate) fn as_value<T: Serialize>(settings: &T) -> Result<serde_json::Value, PipelineError> {
    serde_json::to_value(settings)
        .map_err(|e| PipelineError::usage(format!("settings that cannot be written: {e}"), ""))
}
