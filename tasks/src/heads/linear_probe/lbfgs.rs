//! L-BFGS for smooth convex functions.

use std::collections::VecDeque;

/// Pairs of steps and changes of the gradient that stand for the curvature; 10 in scikit-learn and SciPy.
const MEMORY: usize = 10;
/// The share of the promised decrease that a step must bring.
const SUFFICIENT_DECREASE: f64 = 1e-4;
/// The share of the slope that may be left after a step.
const CURVATURE: f64 = 0.9;
/// The share of a value that rounding may hide: some last digits of a sum.
const ROUNDING: f64 = 16.0 * f64::EPSILON;
/// Trials of a step's length.
const MAX_TRIALS: usize = 40;

/// How a minimisation ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Convergence {
    /// Steps taken.
    pub n_steps: usize,
    /// The function's value at the end.
    pub loss: f64,
    /// The largest component of its gradient there.
    pub gradient: f64,
    /// Whether that is within the tolerance.
    pub is_reached: bool,
}

/// Changes `at` to a minimum of `function`, which gives its value and writes its gradient.
///
/// Stops where no component of the gradient is above `tolerance`, after `max_steps`, or where the function's last digits let no
/// step lower it any more.
///
/// # Reference
/// Nocedal and Wright, Numerical Optimization, 2nd edition: algorithm 7.4, with the step of length 1 tried first, and the
/// Wolfe conditions of section 3.1 by bisection; Hager and Zhang 2005, equation 4.1, for those that rounding hides.
pub(super) fn minimise(
    at: &mut Vec<f64>,
    tolerance: f64,
    max_steps: usize,
    mut function: impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Convergence {
    let mut gradient = vec![0.0; at.len()];
    let mut value = function(at, &mut gradient);
    let mut history = History::default();
    let mut n_steps = 0;
    while largest(&gradient) > tolerance && n_steps < max_steps {
        let mut direction = history.direction(&gradient);
        if dot(&direction, &gradient) >= 0.0 {
            // rounding has spoilt the memory
            history = History::default();
            direction = history.direction(&gradient);
        }
        let Some(step) = search(at, value, &gradient, &direction, &mut function) else {
            if history.pairs.is_empty() {
                break;
            }
            history = History::default();
            continue;
        };
        history.note(difference(&step.at, at), difference(&step.gradient, &gradient));
        (*at, value, gradient) = (step.at, step.value, step.gradient);
        n_steps += 1;
    }
    let largest = largest(&gradient);
    Convergence { n_steps, loss: value, gradient: largest, is_reached: largest <= tolerance }
}

struct Point {
    at: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

/// The first point along `direction` that is low enough and flat enough; none where rounding hides every decrease.
fn search(
    at: &[f64],
    value: f64,
    gradient: &[f64],
    direction: &[f64],
    function: &mut impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Option<Point> {
    let slope = dot(direction, gradient);
    let (mut low, mut high) = (0.0, f64::INFINITY);
    let mut length = 1.0;
    let mut best: Option<Point> = None;
    for _ in 0..MAX_TRIALS {
        let moved = at.iter().zip(direction).map(|(at, step)| at + length * step).collect::<Vec<_>>();
        let mut moved_gradient = vec![0.0; at.len()];
        let moved_value = function(&moved, &mut moved_gradient);
        let moved_slope = dot(direction, &moved_gradient);
        // near the minimum the values differ in their last digits alone, and the slopes tell what they hide
        let is_as_low = moved_value <= value + ROUNDING * value.abs()
            && moved_slope <= (2.0 * SUFFICIENT_DECREASE - 1.0) * slope;
        let is_low = is_as_low || moved_value <= value + SUFFICIENT_DECREASE * length * slope;
        let is_flat = moved_slope >= CURVATURE * slope;
        let point = Point { at: moved, value: moved_value, gradient: moved_gradient };
        if is_low && is_flat {
            return Some(point);
        }
        if is_low {
            low = length;
            if point.value < value {
                best = Some(point);
            }
        } else {
            high = length;
        }
        length = if high.is_finite() { (low + high) / 2.0 } else { 2.0 * length };
    }
    best
}

/// Steps and what they changed of the gradient, the latest last.
#[derive(Default)]
struct History {
    /// Step, change of the gradient, and the inverse of their product.
    pairs: VecDeque<(Vec<f64>, Vec<f64>, f64)>,
}

impl History {
    fn note(&mut self, step: Vec<f64>, change: Vec<f64>) {
        let product = dot(&step, &change);
        // a function is as good as flat where rounding decides
        if product <= f64::EPSILON * dot(&change, &change) {
            return;
        }
        if self.pairs.len() == MEMORY {
            self.pairs.pop_front();
        }
        self.pairs.push_back((step, change, 1.0 / product));
    }

    /// Minus the inverse curvature times the gradient.
    fn direction(&self, gradient: &[f64]) -> Vec<f64> {
        let mut direction = gradient.iter().map(|slope| -slope).collect::<Vec<_>>();
        let mut shares = Vec::with_capacity(self.pairs.len());
        for (step, change, inverse) in self.pairs.iter().rev() {
            let share = inverse * dot(step, &direction);
            add(&mut direction, change, -share);
            shares.push(share);
        }
        let scale = match self.pairs.back() {
            Some((_, change, inverse)) => 1.0 / (inverse * dot(change, change)),
            // no curvature is known yet: a step of length 1 at most
            None => 1.0 / dot(gradient, gradient).sqrt().max(1.0),
        };
        direction.iter_mut().for_each(|value| *value *= scale);
        for ((step, change, inverse), share) in self.pairs.iter().zip(shares.into_iter().rev()) {
            let back = inverse * dot(change, &direction);
            add(&mut direction, step, share - back);
        }
        direction
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn add(sum: &mut [f64], values: &[f64], scale: f64) {
    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += scale * value);
}

fn largest(gradient: &[f64]) -> f64 {
    // a NaN is larger than all
    gradient.iter().fold(0.0, |most, slope| if slope.abs() <= most { most } else { slope.abs() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_valley_is_followed_to_its_end() {
        // Rosenbrock's function, minimal at (1, 1)
        let mut at = vec![-1.2, 1.0];
        let convergence = minimise(&mut at, 1e-9, 200, |at, gradient| {
            let (a, b) = (1.0 - at[0], at[1] - at[0] * at[0]);
            gradient.copy_from_slice(&[-2.0 * a - 400.0 * at[0] * b, 200.0 * b]);
            a * a + 100.0 * b * b
        });
        assert!(convergence.is_reached && convergence.n_steps < 100, "{convergence:?}");
        assert!(at.iter().all(|x| (x - 1.0).abs() < 1e-8), "{at:?}");
    }

    #[test]
    fn it_stops_where_the_function_is_nowhere_lower() {
        // a slope that no value bears out
        let mut at = vec![3.0];
        let convergence = minimise(&mut at, 1e-9, 50, |_, gradient| {
            gradient[0] = 1.0;
            7.0
        });
        assert!(!convergence.is_reached && convergence.n_steps == 0, "{convergence:?}");
        assert_eq!(at, [3.0]);
    }
}
