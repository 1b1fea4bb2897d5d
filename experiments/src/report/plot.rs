//! Line plots as inline SVG: one quantity against the training step.
//!
//! Colours and line widths come from the page's style sheet, by class, so that a plot follows the reader's light or
//! dark scheme.

use std::fmt::Write;

use super::{inputs::Series, numbers};

/// Size of a plot, in its own units; it scales with its column.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 210.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 34.0;

/// A plot draws at most this many points a line: more cannot be told apart.
const MAX_POINTS: usize = 360;

/// Values that spread over more than this ratio are drawn on a logarithmic axis.
const LOG_RATIO: f64 = 20.0;

/// A drawn plot and what to say about it.
pub(super) struct Plot {
    /// The drawing.
    pub(super) svg: String,
    /// The last value of the smoothed line.
    pub(super) last: f64,
    /// Remarks on the scale and on points left out.
    pub(super) remarks: String,
}

/// The strong line is a mean over this part of the points: one in so many.
const SMOOTHING: usize = 30;

/// A range of values and how it maps onto the plane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    is_log: bool,
}

impl Axis {
    /// A linear axis over the values, from zero where zero is near, and never empty.
    pub(super) fn linear(low: f64, high: f64) -> Self {
        let low = if low > 0.0 && low < 0.4 * high { 0.0 } else { low };
        let margin = if high > low { 0.0 } else { (high.abs() * 0.1).max(0.5) };
        Self { low: low - margin, high: high + margin, is_log: false }
    }

    /// An axis between two ends as they are, `low` below `high`, and above 0 where it is logarithmic.
    pub(super) fn between(low: f64, high: f64, is_log: bool) -> Self {
        Self { low, high, is_log }
    }

    /// A logarithmic axis where the values are positive and spread widely, else a linear one.
    pub(super) fn automatic(low: f64, high: f64) -> Self {
        if low > 0.0 && high / low > LOG_RATIO {
            Self { low, high, is_log: true }
        } else {
            Self::linear(low, high)
        }
    }

    /// Where a value lies between the ends, from 0 to 1; values outside are moved to the nearer end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let map = |v: f64| if self.is_log { v.max(f64::MIN_POSITIVE).ln() } else { v };
        ((map(value) - map(self.low)) / (map(self.high) - map(self.low))).clamp(0.0, 1.0)
    }

    /// Round values inside the axis, some `wanted` of them.
    pub(super) fn ticks(&self, wanted: usize) -> Vec<f64> {
        if self.is_log { self.log_ticks(wanted) } else { self.linear_ticks(wanted) }
    }

    fn linear_ticks(&self, wanted: usize) -> Vec<f64> {
        let rough = (self.high - self.low) / wanted.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= rough * 0.999);
        let step = step.unwrap_or(rough);
        let slack = step * 1e-9;
        let first = ((self.low - slack) / step).ceil() as i64;
        let last = ((self.high + slack) / step).floor() as i64;
        (first..=last).map(|index| index as f64 * step).collect()
    }

    fn log_ticks(&self, wanted: usize) -> Vec<f64> {
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let decades = (self.high / self.low).log10();
        let every = (decades / wanted.max(1) as f64).ceil().max(1.0) as usize;
        let multiples: &[f64] = match decades {
            ..1.7 => &[1.0, 2.0, 5.0],
            ..3.0 => &[1.0, 3.0],
            _ => &[1.0],
        };
        (first..=last)
            .step_by(every)
            .flat_map(|decade| multiples.iter().map(move |m| m * 10f64.powi(decade)))
            .filter(|tick| (self.low * 0.999..=self.high * 1.001).contains(tick))
            .collect()
    }
}

/// Draws a series: a faint line through the values, a strong one through their centred mean.
///
/// Gives nothing where no point is finite.
pub(super) fn line(series: &Series) -> Option<Plot> {
    let finite = |(step, value): &(f64, f64)| step.is_finite() && value.is_finite();
    let points: Vec<(f64, f64)> = series.points.iter().copied().filter(finite).collect();
    let omitted = series.points.len() - points.len();
    let half = points.len() / (2 * SMOOTHING);
    let smooth = centred_mean(&points, half);
    let last = smooth.last()?.1;

    let x = extent(points.iter().map(|point| point.0));
    let x = if x.0 < x.1 { Axis { low: x.0, high: x.1, is_log: false } } else { Axis::linear(x.0, x.1) };
    let (low, high) = extent(smooth.iter().map(|point| point.1).chain(central(&points)));
    let y = Axis::automatic(low, high);

    let mut svg = format!(
        r#"<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{} against step, from {} to {}">"#,
        escape(&series.name),
        numbers::significant(smooth[0].1, 3),
        numbers::significant(last, 3)
    );
    frame(&mut svg, &x, &y, &series.unit);
    if half > 0 {
        let _ = write!(svg, r#"<polyline class="raw" points="{}"/>"#, path(&envelope(&points), &x, &y));
    }
    let _ = match smooth.as_slice() {
        [only] => {
            let (cx, cy) = position(*only, &x, &y);
            write!(svg, r#"<circle class="dot" cx="{cx:.1}" cy="{cy:.1}" r="3"/>"#)
        }
        _ => write!(svg, r#"<polyline class="line" points="{}"/>"#, path(&thin(&smooth), &x, &y)),
    };
    svg.push_str("</svg>");

    let mut remarks = Vec::new();
    if y.is_log {
        remarks.push("logarithmic axis".to_owned());
    }
    match omitted {
        0 => {}
        1 => remarks.push("one value that is not finite left out".to_owned()),
        _ => remarks.push(format!("{omitted} values that are not finite left out")),
    }
    Some(Plot { svg, last, remarks: remarks.join("; ") })
}

fn frame(svg: &mut String, x: &Axis, y: &Axis, unit: &str) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for tick in y.ticks(5) {
        let at = position((x.low, tick), x, y).1;
        let _ = write!(
            svg,
            r#"<line class="grid" x1="{LEFT}" x2="{right}" y1="{at:.1}" y2="{at:.1}"/><text class="tick" x="{}" y="{:.1}" text-anchor="end">{}</text>"#,
            LEFT - 6.0,
            at + 3.5,
            numbers::significant(tick, 3)
        );
    }
    for tick in x.ticks(5) {
        let at = position((tick, y.low), x, y).0;
        let anchor = if at > right - 14.0 { "end" } else { "middle" };
        let _ = write!(
            svg,
            r#"<line class="axis" x1="{at:.1}" x2="{at:.1}" y1="{bottom}" y2="{}"/><text class="tick" x="{at:.1}" y="{}" text-anchor="{anchor}">{}</text>"#,
            bottom + 4.0,
            bottom + 15.0,
            numbers::significant(tick, 4)
        );
    }
    let _ = write!(
        svg,
        r#"<line class="axis" x1="{LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/><text class="label" x="{:.1}" y="{}" text-anchor="middle">step</text>"#,
        (LEFT + right) / 2.0,
        HEIGHT - 4.0
    );
    if !unit.is_empty() {
        let middle = (TOP + bottom) / 2.0;
        let _ = write!(
            svg,
            r#"<text class="label" transform="rotate(-90 9 {middle:.1})" x="9" y="{middle:.1}" text-anchor="middle">{}</text>"#,
            escape(unit)
        );
    }
}

fn position(point: (f64, f64), x: &Axis, y: &Axis) -> (f64, f64) {
    let bottom = HEIGHT - BOTTOM;
    (LEFT + x.place(point.0) * (WIDTH - RIGHT - LEFT), bottom - y.place(point.1) * (bottom - TOP))
}

fn path(points: &[(f64, f64)], x: &Axis, y: &Axis) -> String {
    let mut path = String::new();
    for point in points {
        let (at_x, at_y) = position(*point, x, y);
        let _ = write!(path, "{}{at_x:.1},{at_y:.1}", if path.is_empty() { "" } else { " " });
    }
    path
}

fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}

/// The values without the outermost hundredth, lest one spike flatten the plot.
fn central(points: &[(f64, f64)]) -> Vec<f64> {
    let mut values: Vec<f64> = points.iter().map(|point| point.1).collect();
    values.sort_by(f64::total_cmp);
    let cut = values.len() / 200;
    values[cut..values.len() - cut].to_vec()
}

/// The mean over each point and `half` neighbours on either side, fewer at the ends.
fn centred_mean(points: &[(f64, f64)], half: usize) -> Vec<(f64, f64)> {
    let mut sums = vec![0.0];
    sums.extend(points.iter().scan(0.0, |sum, point| {
        *sum += point.1;
        Some(*sum)
    }));
    let mean = |index: usize| {
        let before = half.min(index);
        // losses start steep: as few neighbours ahead as behind, lest the line start too low
        let ahead = before.min(points.len() - 1 - index);
        (sums[index + ahead + 1] - sums[index - before]) / (before + ahead + 1) as f64
    };
    points.iter().enumerate().map(|(index, point)| (point.0, mean(index))).collect()
}

/// Every so many points, the last one always.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let every = points.len().div_ceil(MAX_POINTS).max(1);
    let mut kept: Vec<_> = points.iter().copied().step_by(every).collect();
    if let Some(last) = points.last().filter(|last| kept.last() != Some(last)) {
        kept.push(*last);
    }
    kept
}

/// The lowest and the highest of every so many points, so that spikes stay visible.
fn envelope(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let every = (2 * points.len()).div_ceil(MAX_POINTS).max(1);
    if every <= 2 {
        return points.to_vec();
    }
    let ends = |chunk: &[(f64, f64)]| {
        let (low, high) = extent(chunk.iter().map(|point| point.1));
        [(chunk[0].0, low), (chunk[chunk.len() / 2].0, high)]
    };
    points.chunks(every).flat_map(ends).collect()
}

/// Text made safe between tags and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests;
