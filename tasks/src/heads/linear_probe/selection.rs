//! The strength of regularisation that does best on samples held out of the fit.

use super::{Features, LinearProbe, ProbeError, ProbeOptions};

/// Samples with their classes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Samples<'a> {
    /// A row for each.
    pub features: Features<'a>,
    /// A class for each.
    pub labels: &'a [usize],
}

/// A division of samples: one alone, or a fold of several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Division<'a> {
    /// What is fitted.
    pub training: Samples<'a>,
    /// What is judged by.
    pub held_out: Samples<'a>,
}

/// A strength that was tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// C, the inverse of the strength.
    pub inverse_strength: f64,
    /// How many held-out samples were right, of all divisions together.
    pub n_right: usize,
    /// The mean loss of the held-out samples, in nats.
    pub loss: f64,
}

/// The strength that does best on held-out samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// C, the inverse of the strength.
    pub inverse_strength: f64,
    /// Those that were tried, by rising C.
    pub tried: Vec<Trial>,
}

/// Tries strengths in rising order of their inverse, each fit beginning where the last one ended. The most held-out samples
/// right wins, of equal numbers the least loss. `fitted` is called after every fit.
///
/// # Errors
/// As [`LinearProbe::fit`]; no strength to try.
pub fn select(
    divisions: &[Division<'_>],
    n_classes: usize,
    inverse_strengths: &[f64],
    options: ProbeOptions,
    fitted: &mut dyn FnMut(),
) -> Result<Selection, ProbeError> {
    let mut rising = inverse_strengths.to_vec();
    rising.sort_by(f64::total_cmp);
    let n_held_out = divisions.iter().map(|division| division.held_out.labels.len()).sum::<usize>().max(1);
    let mut totals = vec![(0, 0.0); rising.len()];
    for division in divisions {
        let Division { training, held_out } = division;
        let mut last: Option<LinearProbe> = None;
        for (total, &inverse_strength) in totals.iter_mut().zip(&rising) {
            let Samples { features, labels } = *training;
            let probe =
                LinearProbe::fit(features, labels, n_classes, inverse_strength, last.as_ref(), options)?;
            let (n_right, loss) = judge(&probe, held_out, n_classes);
            *total = (total.0 + n_right, total.1 + loss);
            last = Some(probe);
            fitted();
        }
    }
    let trial = |(inverse_strength, (n_right, loss)): (f64, (usize, f64))| Trial {
        inverse_strength,
        n_right,
        loss: loss / n_held_out as f64,
    };
    let tried = rising.into_iter().zip(totals).map(trial).collect::<Vec<_>>();
    let best = tried.iter().max_by(|a, b| a.n_right.cmp(&b.n_right).then(b.loss.total_cmp(&a.loss)));
    let inverse_strength = best.ok_or(ProbeError::Strength { got: f64::NAN })?.inverse_strength;
    Ok(Selection { inverse_strength, tried })
}

/// How many samples are right, and the sum of their losses.
fn judge(probe: &LinearProbe, samples: &Samples<'_>, n_classes: usize) -> (usize, f64) {
    let logits = probe.logits(samples.features);
    let (mut n_right, mut loss) = (0, 0.0);
    for (row, &label) in logits.chunks_exact(n_classes).zip(samples.labels) {
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        n_right += usize::from(row.iter().position(|logit| *logit == largest) == Some(label));
        loss += largest + row.iter().map(|logit| (logit - largest).exp()).sum::<f64>().ln() - row[label];
    }
    (n_right, loss)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes on a line that overlap a little.
    const VALUES: [f32; 8] = [-2.0, -1.0, -0.5, 0.4, -0.3, 0.6, 1.0, 2.0];
    const LABELS: [usize; 8] = [0, 0, 0, 0, 1, 1, 1, 1];

    fn samples<'a>(values: &'a [f32], labels: &'a [usize]) -> Samples<'a> {
        Samples { features: Features { values, d: 1 }, labels }
    }

    fn choose(divisions: &[Division<'_>], strengths: &[f64]) -> Result<Selection, ProbeError> {
        select(divisions, 2, strengths, ProbeOptions::default(), &mut || {})
    }

    #[test]
    fn held_out_samples_choose_the_strength() {
        let training = samples(&VALUES, &LABELS);
        let division = Division { training, held_out: samples(&[-1.0, 1.0], &[0, 1]) };
        let selection = choose(&[division], &[10.0, 0.1]).unwrap();
        let tried = selection.tried.iter().map(|trial| (trial.inverse_strength, trial.n_right));
        assert_eq!(tried.collect::<Vec<_>>(), [(0.1, 2), (10.0, 2)]);
        // both are right about all of them: the surer one wins
        assert_eq!(selection.inverse_strength, 10.0);
    }

    #[test]
    fn divisions_count_by_their_samples() {
        let training = samples(&VALUES, &LABELS);
        let small = Division { training, held_out: samples(&[-1.0], &[0]) };
        let large = Division { training, held_out: samples(&[1.5, -1.0, 1.0], &[0, 1, 1]) };
        let alone = |division| choose(&[division], &[1.0]).unwrap().tried[0];
        let together = choose(&[small, large], &[1.0]).unwrap().tried[0];
        assert_eq!(together.n_right, 2);
        let expected = (alone(small).loss + 3.0 * alone(large).loss) / 4.0;
        assert!((together.loss - expected).abs() < 1e-12);
    }

    #[test]
    fn without_a_strength_there_is_nothing_to_choose() {
        let training = samples(&VALUES, &LABELS);
        let error = choose(&[Division { training, held_out: training }], &[]).unwrap_err();
        assert_eq!(error.to_string(), "regularisation of NaN: expected finite numbers above 0");
    }
}
