//! Features brought to one scale, so that one strength of regularisation fits all encoders.

use super::Features;

/// The mean and the spread of every feature, by which others are brought to mean 0 and deviation 1.
///
/// # Reference
/// He et al. 2022, Masked Autoencoders, appendix A.1: a batch normalisation without parameters before the linear layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    means: Vec<f64>,
    /// Inverse deviations; 0 for a feature that is the same in all samples.
    factors: Vec<f64>,
}

impl Scale {
    /// Of the samples that a probe is fitted to.
    pub fn of(features: Features<'_>) -> Self {
        let (n, d) = (features.n(), features.d);
        let share = 1.0 / n.max(1) as f64;
        let mut means = vec![0.0; d];
        for sample_idx in 0..n {
            for (mean, &value) in means.iter_mut().zip(features.row(sample_idx)) {
                *mean += share * f64::from(value);
            }
        }
        let (mut squares, mut largest) = (vec![0.0; d], vec![0.0f64; d]);
        for sample_idx in 0..n {
            for (idx, &value) in features.row(sample_idx).iter().enumerate() {
                let value = f64::from(value);
                squares[idx] += share * (value - means[idx]).powi(2);
                largest[idx] = largest[idx].max(value.abs());
            }
        }
        let factor = |(square, largest): (f64, f64)| {
            // what float32 may round is no difference
            let is_constant = square.sqrt() <= 4.0 * f64::from(f32::EPSILON) * largest;
            if is_constant { 0.0 } else { 1.0 / square.sqrt() }
        };
        Self { means, factors: squares.into_iter().zip(largest).map(factor).collect() }
    }

    /// # Shapes
    /// `[n, d]` -> `[n, d]`
    ///
    /// # Panics
    /// When the features are of another width.
    pub fn apply(&self, features: Features<'_>) -> Vec<f32> {
        assert_eq!(features.d, self.means.len(), "features of another width");
        let scaled = |row: usize| {
            let row = features.row(row).iter().zip(&self.means).zip(&self.factors);
            row.map(|((&value, mean), factor)| ((f64::from(value) - mean) * factor) as f32)
        };
        (0..features.n()).flat_map(scaled).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_come_to_mean_0_and_deviation_1() {
        let values = [1.0, 100.0, 3.0, 300.0, 8.0, 200.0];
        let features = Features { values: &values, d: 2 };
        let scaled = Scale::of(features).apply(features);
        for column in 0..2 {
            let column = scaled.chunks_exact(2).map(|row| f64::from(row[column])).collect::<Vec<_>>();
            let mean = column.iter().sum::<f64>() / 3.0;
            let variance = column.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 3.0;
            assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-5, "{column:?}");
        }
    }

    #[test]
    fn a_feature_that_never_changes_tells_nothing() {
        let values = [0.1, 1.0, 0.1, 2.0, 0.1, 4.0];
        let scale = Scale::of(Features { values: &values, d: 2 });
        let other = scale.apply(Features { values: &[7.0, 1.0], d: 2 });
        assert_eq!(other[0], 0.0);
    }
}
