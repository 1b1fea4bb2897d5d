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

    /// The score of a share between 0 and 1 (or above, for error rates), turned into the percent of the unit.
    pub(crate) fn percent_score(&self, share: f64, n: usize, interval: Option<Interval>) -> Score {
        debug_assert_eq!(self.unit, PERCENT, "{} is not given in percent", self.name);
        self.score(100.0 * share, n, interval.map(|interval| interval.scaled(100.0)))
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
        let interval = Interval { low: 0.2, high: 0.3, level: 0.95 };
        let score = metric.percent_score(0.25, 40, Some(interval));
        assert_eq!(score.value, 25.0);
        assert_eq!(score.interval.map(|interval| interval.low), Some(20.0));

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
