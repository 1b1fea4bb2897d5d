//! Scores as a table for a terminal.

use std::fmt::Write;

use super::{numbers, tables};
use crate::evaluate::ScoreRow;

/// The scores as plain text, a table a task: each figure with its 95% interval and, in words below, what guessing
/// would score.
///
/// Lines are as long as the metrics need: some 25 columns each, beside the hold-out.
pub fn text_summary(scores: &[ScoreRow]) -> String {
    if scores.is_empty() {
        return "no scores\n".into();
    }
    let mut text = String::new();
    for (index, table) in tables::arrange(scores).iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        task(&mut text, table);
    }
    text
}

fn task(text: &mut String, table: &tables::Table) {
    let _ = writeln!(text, "{} (95% interval)", numbers::task(table.task));
    let has_direction = table.rows.iter().any(|row| !row.direction.is_empty());
    let n_labels = 1 + usize::from(has_direction);

    let mut header = vec!["hold-out".to_owned()];
    header.extend(has_direction.then(|| "query → target".to_owned()));
    header.extend(table.columns.iter().map(|column| {
        let arrow = if column.higher_is_better { "↑" } else { "↓" };
        [column.name, numbers::sign(column.unit), arrow].join(" ").replace("  ", " ")
    }));
    header.push("n".into());

    let interval_widths: Vec<usize> = (0..table.columns.len())
        .map(|column| {
            let cells = table.rows.iter().filter_map(|row| row.cells[column]);
            cells.map(|score| width(&numbers::interval(score))).max().unwrap_or(0)
        })
        .collect();
    let mut lines = vec![header];
    for row in &table.rows {
        let mut line = vec![numbers::holdout(row.holdout)];
        line.extend(has_direction.then(|| row.direction.clone()));
        line.extend(row.cells.iter().zip(&interval_widths).map(|(cell, width)| match cell {
            Some(score) => {
                format!("{} {:>width$}", numbers::figure(score.value, &score.unit), numbers::interval(score))
            }
            None => "–".into(),
        }));
        line.push(row.n());
        lines.push(line);
    }

    let widths: Vec<usize> = (0..lines[0].len())
        .map(|column| lines.iter().map(|line| width(&line[column])).max().unwrap_or(0))
        .collect();
    for (index, line) in lines.iter().enumerate() {
        let mut out = String::new();
        for (column, cell) in line.iter().enumerate() {
            let gap = " ".repeat(widths[column] - width(cell));
            let (before, after) = if column < n_labels { ("", gap.as_str()) } else { (gap.as_str(), "") };
            let _ = write!(out, "  {before}{cell}{after}");
        }
        let _ = writeln!(text, "{}", out.trim_end());
        if index == 0 {
            let _ = writeln!(text, "  {}", "─".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1)));
        }
    }
    for (column, n_column) in table.columns.iter().zip(0..) {
        let chances =
            table.rows.iter().filter_map(|row| row.cells[n_column]).filter_map(|score| score.chance);
        let (low, high) = chances.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), c| (l.min(c), h.max(c)));
        if low <= high {
            let shown =
                |value| format!("{}{}", numbers::chance(value, column.unit), numbers::sign(column.unit));
            let range = if shown(low) == shown(high) {
                shown(low)
            } else {
                format!("{} to {}", shown(low), shown(high))
            };
            let _ = writeln!(text, "  guessing scores {range} on {}", column.name);
        }
    }
}

/// Columns that a text takes in a terminal; the tables hold no wide characters of their own.
fn width(text: &str) -> usize {
    text.chars().count()
}
