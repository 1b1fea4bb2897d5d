//! A probe as text for a terminal.

use std::fmt::Write as _;

use triptych_tasks::metrics::proportion_interval;

use super::record::ProbeRecord;
use crate::evaluate::{ClassificationPrediction, confusions, worst_first};
use crate::report::numbers::{count, holdout, significant};
use crate::report::text_summary as scores_summary;

/// Classes shown of a test set, the worst first.
const N_CLASSES: usize = 10;
/// Confusions shown of a test set.
const N_CONFUSIONS: usize = 5;

/// What was fitted, the figures, how C was chosen, and where the probe is wrong.
pub(crate) fn text_summary(record: &ProbeRecord) -> String {
    let mut text = String::new();
    // writing to a string cannot fail
    let _ = writeln!(text, "{} of {}: {}", record.label, record.query(), record.remark());
    text.push_str(&format!("\n{}", scores_summary(&record.scores)));
    if record.scores.iter().any(|row| row.chance.is_some()) {
        text.push_str(
            "  guessing names the class, or the five classes, that most samples of the fit are of\n",
        );
    }
    if let Some(validation) = &record.validation {
        let _ = writeln!(text, "\nC by {} ({} samples held out)", validation.by, count(validation.n));
        let _ = writeln!(text, "  {:>10}  {:>9}  {:>7}", "C", "accuracy", "loss");
        for tried in &validation.tried {
            let mark = if tried.c == record.c { "  chosen" } else { "" };
            let c = significant(tried.c, 3);
            let _ = writeln!(text, "  {c:>10}  {:>8.1}%  {:>7.4}{mark}", tried.accuracy, tried.loss);
        }
    }
    record.tests.iter().for_each(|test| mistakes(&mut text, test));
    text
}

fn mistakes(text: &mut String, test: &ClassificationPrediction) {
    let (classes, on) = (worst_first(&test.classes), holdout(&test.holdout));
    let width = |name: &str| name.chars().count();
    let shown = &classes[..classes.len().min(N_CLASSES)];
    let widest = shown.iter().map(|class| width(&class.name)).max().unwrap_or(0).max(5);
    let _ = writeln!(text, "\nworst classes, {on} ({} of {})", shown.len(), classes.len());
    let gap = |name: &str| " ".repeat(widest - width(name));
    let _ = writeln!(text, "  class{}  {:>8}  accuracy (95% interval)  taken for it", gap("class"), "right");
    for class in shown {
        let interval = proportion_interval(class.n_right, class.n);
        let accuracy = 100.0 * class.n_right as f64 / class.n as f64;
        let ends = format!("[{:.1}, {:.1}]", interval.low, interval.high);
        let right = format!("{}/{}", class.n_right, class.n);
        let _ = writeln!(
            text,
            "  {}{}  {right:>8}  {accuracy:>7.1}% {ends:>14}  {:>12}",
            class.name,
            gap(&class.name),
            class.n_predicted
        );
    }
    let confused = confusions(&test.samples);
    if !confused.is_empty() {
        let _ = writeln!(text, "most frequent confusions, {on}");
    }
    for confusion in confused.iter().take(N_CONFUSIONS) {
        let (n, of) = (confusion.n, confusion.n_label);
        let _ = writeln!(text, "  {} taken for {}: {n} of {of}", confusion.label, confusion.predicted);
    }
}
