//! How much an objective counts, when, and what else is set of it.

use std::fmt;

use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use triptych_tasks::objectives::{self, Objective, Options};

/// How much an objective counts, when, and what else is set of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ObjectiveSchedule {
    /// Factor on the loss.
    pub weight: f32,
    /// Only at every so many-th step.
    pub every: u64,
    /// The step of each period at which it is its turn, so that objectives can take turns.
    pub offset: u64,
    /// Share of the run at which it starts.
    pub from: f64,
    /// Share of the run at which it ends.
    pub until: f64,
    /// The objective's own options, among the keys above.
    #[serde(flatten)]
    pub options: Options,
}

impl ObjectiveSchedule {
    /// The keys that every objective has.
    pub(super) const KEYS: [&'static str; 5] = ["weight", "every", "offset", "from", "until"];

    /// The objective called `name` with the options set here; `None` when there is none or they do not fit, which reading
    /// the config has ruled out.
    pub fn objective(&self, name: &str) -> Option<Box<dyn Objective>> {
        objectives::find(name)?.with(&self.options).ok()
    }

    /// The factor at `step` of `n_steps`; `None` when it is not the objective's turn.
    pub fn weight_at(&self, step: u64, n_steps: u64) -> Option<f32> {
        let progress = step as f64 / n_steps.max(1) as f64;
        let is_turn = step % self.every == self.offset % self.every;
        (is_turn && progress >= self.from && progress < self.until && self.weight != 0.0)
            .then_some(self.weight)
    }
}

impl<'de> Deserialize<'de> for ObjectiveSchedule {
    // by hand: with `flatten`, an error would no longer know its place
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Keys)
    }
}

/// Reads the table key by key.
struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = ObjectiveSchedule;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ObjectiveSchedule, A::Error> {
        let mut weight = None;
        let (mut every, mut offset, mut from, mut until) = (1, 0, 0.0, 1.0);
        let mut options = Options::new();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "weight" => weight = Some(map.next_value()?),
                "every" => every = map.next_value()?,
                "offset" => offset = map.next_value()?,
                "from" => from = map.next_value()?,
                "until" => until = map.next_value()?,
                _ => {
                    options.insert(key, map.next_value()?);
                }
            }
        }
        let weight = weight.ok_or_else(|| de::Error::missing_field("weight"))?;
        Ok(ObjectiveSchedule { weight, every, offset, from, until, options })
    }
}
