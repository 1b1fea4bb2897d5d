//! Multinomial logistic regression on frozen features: what a linear layer can read off them.

mod folds;
mod lbfgs;
mod loss;
mod scale;
mod selection;

use rayon::prelude::*;
use thiserror::Error;

pub use folds::deal;
pub use lbfgs::Convergence;
use loss::Loss;
pub use scale::Scale;
pub use selection::{Division, Samples, Selection, Trial, select};

/// Features of samples, row after row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Features<'a> {
    /// `[n, d]`
    pub values: &'a [f32],
    /// Numbers a sample.
    pub d: usize,
}

impl<'a> Features<'a> {
    /// How many samples there are.
    pub fn n(&self) -> usize {
        self.values.len().checked_div(self.d).unwrap_or(0)
    }

    /// The features of a sample.
    pub fn row(&self, sample_idx: usize) -> &'a [f32] {
        &self.values[sample_idx * self.d..][..self.d]
    }
}

/// Why no probe can be fitted.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ProbeError {
    /// Lists of different length.
    #[error("expected {expected} features, {d} for each of the labels, got {got}")]
    Lengths {
        /// The number that was expected.
        expected: usize,
        /// Numbers a sample.
        d: usize,
        /// The number that was found.
        got: usize,
    },
    /// Nothing to tell apart.
    #[error("expected samples of at least two classes, got {n_classes} in {n} samples")]
    Classes {
        /// Samples.
        n: usize,
        /// Classes among them.
        n_classes: usize,
    },
    /// A label that there is not.
    #[error("sample {sample_idx} names class {label}: expected a class below {n_classes}")]
    UnknownClass {
        /// The sample.
        sample_idx: usize,
        /// What it names.
        label: usize,
        /// How many classes there are.
        n_classes: usize,
    },
    /// A feature that is NaN or infinite.
    #[error("feature {column} of sample {sample_idx} is {value}: expected a finite number")]
    NotFinite {
        /// The sample.
        sample_idx: usize,
        /// The feature.
        column: usize,
        /// What it is.
        value: f32,
    },
    /// A strength of regularisation that makes no sense.
    #[error("regularisation of {got}: expected finite numbers above 0")]
    Strength {
        /// What was given.
        got: f64,
    },
}

/// How a probe is fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProbeOptions {
    /// The largest component of the gradient of the mean loss at which it has converged.
    pub tolerance: f64,
    /// Steps after which it is given up.
    pub max_steps: usize,
}

impl Default for ProbeOptions {
    fn default() -> Self {
        Self { tolerance: 1e-6, max_steps: 1000 }
    }
}

/// A linear classifier.
///
/// # Formula
/// `argmin_{W, b} Σ_i -ln softmax(W x_i + b)_{y_i} + 1 / (2 C) ‖W‖²`, the bias left free; by L-BFGS from 0. Of two classes
/// it is the difference of their weights whose square counts.
///
/// # Reference
/// scikit-learn `LogisticRegression(C=C)`, which has the same optimum.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearProbe {
    /// `[n_classes, d + 1]`, the bias last.
    weights: Vec<f64>,
    n_classes: usize,
    d: usize,
    convergence: Convergence,
}

impl LinearProbe {
    /// Fits the probe; `inverse_strength` is C. `start` is a probe of other strength to begin with, which saves steps.
    ///
    /// The result depends neither on the number of threads nor on their timing.
    ///
    /// # Errors
    /// As [`ProbeError`] says.
    ///
    /// # Panics
    /// When `start` is of other sizes.
    pub fn fit(
        features: Features<'_>,
        labels: &[usize],
        n_classes: usize,
        inverse_strength: f64,
        start: Option<&Self>,
        options: ProbeOptions,
    ) -> Result<Self, ProbeError> {
        check(features, labels, n_classes)?;
        if !(inverse_strength.is_finite() && inverse_strength > 0.0) {
            return Err(ProbeError::Strength { got: inverse_strength });
        }
        let d = features.d;
        let mut weights = match start {
            Some(start) => {
                assert_eq!((start.n_classes, start.d), (n_classes, d), "a probe of other sizes");
                start.weights.clone()
            }
            None => vec![0.0; n_classes * (d + 1)],
        };
        let loss = Loss::new(features, labels, n_classes, inverse_strength);
        let convergence =
            lbfgs::minimise(&mut weights, options.tolerance, options.max_steps, |at, gradient| {
                loss.evaluate(at, gradient)
            });
        Ok(Self { weights, n_classes, d, convergence })
    }

    /// How the fit ended.
    pub fn convergence(&self) -> &Convergence {
        &self.convergence
    }

    /// What is added to the logit of each class, and how much each feature adds.
    ///
    /// # Panics
    /// When there is no such class.
    pub fn class(&self, class_idx: usize) -> (f64, &[f64]) {
        let row = &self.weights[class_idx * (self.d + 1)..][..self.d + 1];
        (row[self.d], &row[..self.d])
    }

    /// # Shapes
    /// `[n, d]` -> `[n, n_classes]`
    ///
    /// # Panics
    /// When the features are of another width.
    pub fn logits(&self, features: Features<'_>) -> Vec<f64> {
        assert_eq!(features.d, self.d, "features of another width");
        let logits = |sample_idx: usize| {
            let row = features.row(sample_idx);
            (0..self.n_classes).map(move |class_idx| {
                let (bias, weights) = self.class(class_idx);
                bias + weights.iter().zip(row).map(|(weight, value)| weight * f64::from(*value)).sum::<f64>()
            })
        };
        (0..features.n()).into_par_iter().flat_map_iter(logits).collect()
    }
}

fn check(features: Features<'_>, labels: &[usize], n_classes: usize) -> Result<(), ProbeError> {
    let (n, d) = (labels.len(), features.d);
    if d == 0 || n.checked_mul(d) != Some(features.values.len()) {
        let got = features.values.len();
        return Err(ProbeError::Lengths { expected: n.saturating_mul(d), d, got });
    }
    if let Some((sample_idx, &label)) = labels.iter().enumerate().find(|(_, label)| **label >= n_classes) {
        return Err(ProbeError::UnknownClass { sample_idx, label, n_classes });
    }
    let mut classes = labels.to_vec();
    classes.sort_unstable();
    classes.dedup();
    if classes.len() < 2 {
        return Err(ProbeError::Classes { n, n_classes: classes.len() });
    }
    match features.values.iter().position(|value| !value.is_finite()) {
        Some(idx) => {
            Err(ProbeError::NotFinite { sample_idx: idx / d, column: idx % d, value: features.values[idx] })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
