//! Histograms and waveforms as inline SVG, coloured by the page's style sheet.

use std::fmt::Write;

use triptych_datasets::survey::{Distribution, Histogram};

use crate::report::numbers::{count, significant};
use crate::report::plot::{Axis, escape};

/// Size of a histogram, in its own units; it scales with its column.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 34.0;

/// Draws how a quantity spreads, with a line at its median. `unit` stands under the axis.
pub(super) fn histogram(found: &Distribution, name: &str, unit: &str) -> String {
    let Histogram { edges, counts } = &found.histogram;
    let (Some(first), Some(last)) = (edges.first(), edges.last()) else { return String::new() };
    let width = |bin: usize| edges[bin + 1] - edges[bin];
    // bins of equal ratio grow, and so does the axis
    let is_log = *first > 0.0 && counts.len() > 2 && width(counts.len() - 1) > 3.0 * width(0);
    // a bin for each number stands over its number
    let is_whole = !is_log && edges.iter().all(|edge| edge.fract() == 0.0) && (width(0) - 1.0).abs() < 1e-9;
    let shift = if is_whole { 0.5 } else { 0.0 };
    let x = Axis::between(first - shift, last - shift, is_log);
    let most = counts.iter().copied().max().unwrap_or(1).max(1);
    let y = Axis::between(0.0, most as f64, false);
    let bottom = HEIGHT - BOTTOM;
    let at_x = |value: f64| LEFT + x.place(value) * (WIDTH - LEFT - RIGHT);
    let at_y = |value: f64| bottom - y.place(value) * (bottom - TOP);

    let mut svg = format!(
        r#"<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}: from {} to {}, median {}">"#,
        escape(name),
        significant(found.min, 3),
        significant(found.max, 3),
        significant(found.median, 3)
    );
    for tick in y.ticks(3).into_iter().filter(|tick| tick.fract() == 0.0) {
        let at = at_y(tick);
        let _ = write!(
            svg,
            r#"<line class="grid" x1="{LEFT}" x2="{}" y1="{at:.1}" y2="{at:.1}"/><text class="tick" x="{}" y="{:.1}" text-anchor="end">{}</text>"#,
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 3.5,
            significant(tick, 3)
        );
    }
    for (bin, n) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
        let (low, high) = (at_x(edges[bin] - shift), at_x(edges[bin + 1] - shift));
        let (gap, top) = (if high - low > 4.0 { 1.0 } else { 0.0 }, at_y(*n as f64).min(bottom - 1.0));
        let range = match is_whole {
            true => significant(edges[bin], 4),
            false => format!("{} to {}", significant(edges[bin], 4), significant(edges[bin + 1], 4)),
        };
        let _ = write!(
            svg,
            r#"<rect class="bin" x="{low:.1}" y="{top:.1}" width="{:.1}" height="{:.1}"><title>{range}: {}</title></rect>"#,
            (high - low - gap).max(0.5),
            bottom - top,
            count(*n as usize)
        );
    }
    for tick in x.ticks(6) {
        if is_whole && tick.fract() != 0.0 {
            continue;
        }
        let at = at_x(tick);
        let anchor = if at > WIDTH - RIGHT - 14.0 { "end" } else { "middle" };
        let _ = write!(
            svg,
            r#"<line class="axis" x1="{at:.1}" x2="{at:.1}" y1="{bottom}" y2="{}"/><text class="tick" x="{at:.1}" y="{}" text-anchor="{anchor}">{}</text>"#,
            bottom + 4.0,
            bottom + 15.0,
            significant(tick, 4)
        );
    }
    let median = at_x(found.median);
    let _ = write!(
        svg,
        r#"<line class="median" x1="{median:.1}" x2="{median:.1}" y1="{TOP}" y2="{bottom}"/><line class="axis" x1="{LEFT}" x2="{}" y1="{bottom}" y2="{bottom}"/><text class="label" x="{:.1}" y="{}" text-anchor="middle">{}{}</text></svg>"#,
        WIDTH - RIGHT,
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 4.0,
        escape(unit),
        if is_log { " (logarithmic axis)" } else { "" }
    );
    svg
}

/// Draws the lowest and the highest sample of each column.
pub(super) fn waveform(peaks: &[(f32, f32)]) -> String {
    if peaks.is_empty() {
        return String::new();
    }
    // at least a hair's breadth, so that silence shows as a line
    let loudest = peaks.iter().map(|(low, high)| high.max(-low)).fold(0.02, f32::max);
    let mut path = String::new();
    for (column, (low, high)) in peaks.iter().enumerate() {
        let (top, bottom) = (20.0 - 19.0 * high / loudest, 20.0 - 19.0 * low / loudest);
        let _ = write!(path, "M{column} {top:.1}V{:.1}", bottom.max(top + 0.6));
    }
    format!(
        r#"<svg class="wave" viewBox="-1 0 {} 40" preserveAspectRatio="none" aria-hidden="true"><path d="{path}"/></svg>"#,
        peaks.len() + 1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distribution(edges: &[f64], counts: &[u64]) -> Distribution {
        let (min, max) = (edges[0], edges[edges.len() - 1]);
        let n = counts.iter().sum();
        Distribution {
            n,
            sum: 0.0,
            min,
            p05: min,
            median: (min + max) / 2.0,
            mean: 0.0,
            p95: max,
            max,
            is_sampled: false,
            histogram: Histogram { edges: edges.to_vec(), counts: counts.to_vec() },
        }
    }

    #[test]
    fn a_bin_is_drawn_for_every_count_and_none_for_zero() {
        let svg = histogram(&distribution(&[1.0, 2.0, 3.0, 4.0], &[5, 0, 7]), "<words>", "words");
        assert_eq!(svg.matches("<rect").count(), 2);
        assert!(svg.contains("<title>3: 7</title>") && svg.contains("&lt;words&gt;"), "{svg}");
        assert!(!svg.contains("logarithmic"));
    }

    #[test]
    fn bins_of_equal_ratio_get_a_logarithmic_axis_of_equal_bars() {
        let svg = histogram(&distribution(&[1.0, 10.0, 100.0, 1000.0], &[1, 1, 1]), "bytes", "bytes");
        let widths: Vec<&str> =
            svg.split(r#"width=""#).skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(
            svg.contains("(logarithmic axis)") && widths.windows(2).all(|pair| pair[0] == pair[1]),
            "{svg}"
        );
    }

    #[test]
    fn silence_is_a_line_and_no_sound_is_nothing() {
        assert!(waveform(&[(0.0, 0.0); 3]).contains("M1 20.0V20.6"));
        assert_eq!(waveform(&[]), "");
    }
}
