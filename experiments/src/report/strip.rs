//! Figures with their intervals on a horizontal scale.
//!
//! Places are percentages of the drawing's width, so that a drawing fills its column without stretching its marks or
//! letters.

use std::fmt::Write;

use super::plot::{Axis, escape};
use crate::evaluate::ScoreRow;

/// The mark of a metric, by its place among those drawn together: told apart by shape as well as by colour.
const SHAPES: [&str; 3] = [
    r#"<circle r="4.5"/>"#,
    r#"<path d="M0 -5.5 5.5 0 0 5.5 -5.5 0Z"/>"#,
    r#"<path d="M-4.5 -4.5H4.5V4.5H-4.5Z"/>"#,
];

/// The most metrics that one strip shows.
pub(super) const MAX_MARKS: usize = SHAPES.len();

/// The scale that a set of figures shares: 0 to 100 for percentages, else from 0 to just above the highest end.
pub(super) fn scale<'a>(rows: impl IntoIterator<Item = &'a ScoreRow>) -> Axis {
    let (mut low, mut high) = (0f64, 0f64);
    for row in rows {
        low = low.min(row.low);
        high =
            high.max(row.high).max(row.chance.unwrap_or(0.0)).max(if row.unit == "%" { 100.0 } else { 0.0 });
    }
    Axis::linear(low, high)
}

/// A small bar for a table cell: the interval, the figure, and what guessing would score.
pub(super) fn bar(row: &ScoreRow, scale: &Axis) -> String {
    format!(
        r#"<svg class="bar" aria-hidden="true">{}{}</svg>"#,
        track("50%"),
        mark(row, scale, 0, "50%", 2.5)
    )
}

/// A row of the dot plot: up to [`MAX_MARKS`] figures on one scale, a place a metric.
pub(super) fn strip(rows: &[Option<&ScoreRow>], scale: &Axis) -> String {
    let mut svg = String::from(r#"<svg class="strip" aria-hidden="true">"#);
    for tick in scale.ticks(5) {
        let at = percent(scale.place(tick));
        let _ = write!(svg, r#"<line class="grid" x1="{at}" x2="{at}" y1="0" y2="100%"/>"#);
    }
    // the last is drawn first: the leading metric lies on top
    for (index, row) in rows.iter().enumerate().take(MAX_MARKS).rev() {
        svg.extend(row.map(|row| mark(row, scale, index, "50%", 4.5)));
    }
    svg.push_str("</svg>");
    svg
}

/// The numbers under a dot plot.
pub(super) fn ruler(scale: &Axis, unit: &str) -> String {
    let mut svg = String::from(r#"<svg class="ruler" aria-hidden="true">"#);
    for tick in scale.ticks(5) {
        let place = scale.place(tick);
        let anchor = if place > 0.97 {
            "end"
        } else if place < 0.03 {
            "start"
        } else {
            "middle"
        };
        let _ = write!(
            svg,
            r#"<text class="tick" x="{}" y="12" text-anchor="{anchor}">{}{}</text>"#,
            percent(place),
            super::numbers::significant(tick, 3),
            escape(super::numbers::sign(unit))
        );
    }
    svg.push_str("</svg>");
    svg
}

/// A mark alone, for the key of a dot plot.
pub(super) fn key(index: usize) -> String {
    let shape = SHAPES[index.min(MAX_MARKS - 1)];
    format!(r#"<svg class="key mark-{index}" viewBox="-7 -7 14 14" aria-hidden="true">{shape}</svg>"#)
}

fn track(y: &str) -> String {
    format!(r#"<line class="track" x1="0" x2="100%" y1="{y}" y2="{y}"/>"#)
}

fn mark(row: &ScoreRow, scale: &Axis, index: usize, y: &str, size: f64) -> String {
    let at = |value: f64| percent(scale.place(value));
    let mut svg = format!(r#"<g class="mark-{index}">"#);
    if let Some(chance) = row.chance {
        let place = at(chance);
        let _ = write!(svg, r#"<line class="chance" x1="{place}" x2="{place}" y1="0" y2="100%"/>"#);
    }
    let (low, high, value) = (at(row.low), at(row.high), at(row.value));
    let shape = SHAPES[index.min(MAX_MARKS - 1)];
    let grown = size / 4.5;
    let _ = write!(
        svg,
        r#"<line class="span" x1="{low}" x2="{high}" y1="{y}" y2="{y}"/><svg x="{value}" y="{y}" overflow="visible"><g transform="scale({grown:.2})">{shape}</g></svg></g>"#
    );
    svg
}

fn percent(place: f64) -> String {
    format!("{:.2}%", place * 100.0)
}

#[cfg(test)]
mod tests {
    use super::{super::tables::tests::score, *};

    #[test]
    fn percentages_share_a_scale_that_error_rates_may_widen() {
        let usual = scale(&[score("asr", "style", "WER", 20.0)]);
        assert_eq!((usual.place(0.0), usual.place(50.0), usual.place(100.0)), (0.0, 0.5, 1.0));
        let wide = scale(&[score("asr", "style", "WER", 196.0)]);
        assert_eq!(wide.place(100.0), 0.5);
    }

    #[test]
    fn a_bar_places_figure_interval_and_chance() {
        let row = ScoreRow { chance: Some(12.5), ..score("retrieval", "style", "R@1", 50.0) };
        let bar = bar(&row, &scale([&row]));
        for part in [r#"x1="46.00%" x2="54.00%""#, r#"<svg x="50.00%""#, r#"class="chance" x1="12.50%""#] {
            assert!(bar.contains(part), "{part} is not in {bar}");
        }
    }

    #[test]
    fn a_metric_keeps_its_mark_where_another_is_absent() {
        let row = score("retrieval", "style", "R@5", 50.0);
        let strip = strip(&[None, Some(&row)], &scale([&row]));
        assert!(strip.contains(r#"class="mark-1""#) && !strip.contains(r#"class="mark-0""#));
    }
}
