//! What an evaluation reports: one figure with its name, unit, direction, sample count and interval.

use serde::{Deserialize, Serialize};

use super::interval::Interval;

/// What a figure is called and how to read it. All of them stand in [`METRICS`](super::METRICS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// As it is printed and stored: `WER`, `R@1`.
    pub name: &'static str,
    /// The unit of every value under this name.
    pub unit: &'static str,
    /// Which way is better.
    pub higher_is_better: bool,
    /// One sentence: what it measures and whose definition it follows.
    pub about: &'static str,
}

/// The unit of every share: a value of 25 is a quarter.
pub(crate) const PERCENT: &str = "%";

impl Metric {
    /// The score of this metric. `value` and `interval` are in the metric's unit; `n` counts what was resampled:
    /// utterances, images or queries.
    pub fn score(&self, value: f64, n: usize, interval: Option<Interval>) -> Score {
        Score {
            name: self.name.to_owned(),
            value,
            unit: self.unit.to_owned(),
            higher_is_better: self.higher_is_better,
            n,
            interval,
        }
    }
}

/// One reported figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// A name of [`METRICS`](super::METRICS).
    pub name: String,
    /// In `unit`.
    pub value: f64,
    /// `%`, `rank`, ...
    pub unit: String,
    /// Which way is better.
    pub higher_is_better: bool,
    /// How many utterances, images or queries it rests on.
    pub n: usize,
    /// Where the value would lie for other samples of the same kind; none when fewer than two can be resampled.
    pub interval: Option<Interval>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_survives_json() {
        let metric = Metric { name: "WER", unit: PERCENT, higher_is_better: false, about: "" };
        let interval = Interval { low: 20.0, high: 30.0, level: 0.95 };
        let score = metric.score(25.0, 40, Some(interval));

        let json = serde_json::to_string(&score).expect("a score is plain data");
        let back: Score = serde_json::from_str(&json).expect("its own output");
        assert_eq!(back, score);
    }

    #[test]
    fn a_score_without_an_interval_says_null() {
        let metric = Metric { name: "median rank", unit: "rank", higher_is_better: false, about: "" };
        let json = serde_json::to_value(metric.score(3.0, 1, None)).expect("a score is plain data");
        assert!(json["interval"].is_null());
        assert_eq!(json["higher_is_better"], false);
    }
}
