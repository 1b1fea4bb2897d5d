//! Prints the figures of a task: with intervals, beside another system's, and by group.

use std::fmt::Write as _;

use miette::IntoDiagnostic;
use serde_json::{Map, Value, json};
use triptych_tasks::metrics::bias::Groups;
use triptych_tasks::metrics::{Clusters, Comparison, Figure, Interval, LEVEL, Resampling, Score};

use super::options::Options;
use crate::diagnostic::print;

/// What a task found.
pub(super) struct Report {
    pub(super) task: &'static str,
    /// What is counted: `utterances`.
    pub(super) unit: &'static str,
    /// What the figures depend on.
    pub(super) settings: Vec<(&'static str, String)>,
    /// What the reader should know.
    pub(super) notes: Vec<String>,
    pub(super) figures: Vec<Figure>,
    /// Those of the system to compare with, in the same order.
    pub(super) others: Option<Vec<Figure>>,
    /// The value of `--by` for each sample.
    pub(super) groups: Option<Vec<String>>,
    /// The value of `--cluster` for each sample.
    pub(super) clusters: Option<Vec<String>>,
    /// More fields of the JSON object.
    pub(super) details: Map<String, Value>,
    /// More text behind the tables.
    pub(super) text: String,
}

impl Report {
    pub(super) fn new(task: &'static str, unit: &'static str, figures: Vec<Figure>) -> Self {
        Self {
            task,
            unit,
            settings: Vec::new(),
            notes: Vec::new(),
            figures,
            others: None,
            groups: None,
            clusters: None,
            details: Map::new(),
            text: String::new(),
        }
    }

    /// Computes what the options ask for and prints it.
    pub(super) fn conclude(self, options: &Options) -> miette::Result<()> {
        let resampling = Resampling {
            bootstrap: options.bootstrap(),
            clusters: self.clusters.as_deref().map(Clusters::new),
        };
        let scores: Result<Vec<Score>, _> =
            self.figures.iter().map(|figure| figure.score(&resampling)).collect();
        let scores = scores.into_diagnostic()?;
        let pairs = self.others.iter().flat_map(|others| self.figures.iter().zip(others));
        let comparisons: Result<Vec<Comparison>, _> =
            pairs.map(|(figure, other)| Comparison::new(figure, other, &resampling)).collect();
        let comparisons = comparisons.into_diagnostic()?;
        let by_group = |names: &Vec<String>| {
            self.figures.iter().map(|figure| Groups::new(figure, names, &resampling)).collect()
        };
        let groups: Option<Result<Vec<Groups>, _>> = self.groups.as_ref().map(by_group);
        let groups = groups.transpose().into_diagnostic()?;
        let text = if options.json {
            let value = self.json(options, &scores, &comparisons, groups.as_deref());
            format!("{}\n", serde_json::to_string_pretty(&value).into_diagnostic()?)
        } else {
            self.plain(options, &scores, &comparisons, groups.as_deref())
        };
        print(&text)
    }

    fn json(
        mut self,
        options: &Options,
        scores: &[Score],
        comparisons: &[Comparison],
        groups: Option<&[Groups]>,
    ) -> Value {
        let settings: Map<String, Value> =
            self.settings.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let mut report = json!({
            "task": self.task,
            "hypotheses": options.hypotheses.to_string_lossy(),
            "references": options.references.to_string_lossy(),
            "unit": self.unit,
            "settings": settings,
            "resampling": {
                "resamples": options.resamples,
                "seed": options.seed,
                "level": LEVEL,
                "by": options.cluster,
            },
            "notes": self.notes,
            "scores": scores,
        });
        if let Some(other) = &options.compare {
            report["comparison"] = json!({"with": other.to_string_lossy(), "scores": comparisons});
        }
        if let (Some(tag), Some(groups)) = (&options.by, groups) {
            let metrics: Vec<Value> = (self.figures.iter().zip(groups))
                .map(|(figure, groups)| {
                    let listed: Vec<Value> = (groups.scores.iter())
                        .map(|(name, score)| json!({"group": name, "score": score}))
                        .collect();
                    json!({
                        "name": figure.metric().name,
                        "groups": listed,
                        "gap": groups.gap,
                        "gap_interval": groups.gap_interval,
                    })
                })
                .collect();
            report["by"] = json!({"tag": tag, "metrics": metrics});
        }
        if let Value::Object(report) = &mut report {
            report.append(&mut self.details);
        }
        report
    }

    fn plain(
        &self,
        options: &Options,
        scores: &[Score],
        comparisons: &[Comparison],
        groups: Option<&[Groups]>,
    ) -> String {
        let n = scores.first().map_or(0, |score| score.n);
        let mut text = format!("{}: {n} {}", self.task, self.unit);
        for (name, value) in &self.settings {
            let _ = write!(text, ", {name} {value}");
        }
        let by = options.cluster.as_ref().map_or(String::new(), |tag| format!(" by {tag}"));
        let _ = writeln!(
            text,
            "\n95% bootstrap intervals of {} resamples{by}, seed {}\n",
            options.resamples, options.seed
        );
        text.push_str(&rows(scores));
        if let Some(other) = &options.compare {
            let _ = writeln!(
                text,
                "\nminus {}, with p of a paired permutation and a paired bootstrap test",
                other.display()
            );
            for comparison in comparisons {
                let p_bootstrap = comparison.p_bootstrap.map_or("-".to_owned(), |p| format!("{p:.4}"));
                let _ = writeln!(
                    text,
                    "  {:<16}{:>+9.3}  {:<22} p {:.4} / {p_bootstrap}   {:.3} against {:.3}",
                    comparison.name,
                    comparison.difference,
                    interval(comparison.interval),
                    comparison.p_permutation,
                    comparison.value,
                    comparison.other,
                );
            }
        }
        if let (Some(tag), Some(groups)) = (&options.by, groups) {
            self.write_groups(&mut text, tag, groups);
        }
        if !self.text.is_empty() {
            let _ = write!(text, "\n{}", self.text);
        }
        for note in &self.notes {
            let _ = writeln!(text, "\nnote: {note}");
        }
        text
    }

    fn write_groups(&self, text: &mut String, tag: &str, groups: &[Groups]) {
        for (figure, groups) in self.figures.iter().zip(groups) {
            let _ = writeln!(text, "\n{} by {tag}", figure.metric().name);
            let names = groups.scores.iter().map(|(name, _)| name.chars().count());
            let width = names.max().unwrap_or(0).max(14);
            for (name, score) in &groups.scores {
                let _ = writeln!(text, "  {name:<width$}  {}  n {}", value(score), score.n);
            }
            let gap = interval(groups.gap_interval);
            let _ = writeln!(text, "  {:<width$}  {:>9.3}       {gap}", "largest gap", groups.gap);
        }
    }
}

/// Scores under a title.
pub(super) fn table(title: &str, scores: &[Score]) -> String {
    format!("{title}\n{}", rows(scores))
}

fn rows(scores: &[Score]) -> String {
    scores.iter().map(|score| format!("  {:<16}{}\n", score.name, value(score).trim_end())).collect()
}

fn value(score: &Score) -> String {
    format!("{:>9.3} {:<7}{:<22}", score.value, score.unit, interval(score.interval))
}

fn interval(interval: Option<Interval>) -> String {
    interval.map_or("[no interval]".to_owned(), |Interval { low, high, .. }| format!("[{low:.3}, {high:.3}]"))
}
