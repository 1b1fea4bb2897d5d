//! Contrast against a slowly moving teacher: its embeddings of this batch and of earlier ones are what a sample is
//! compared with, and what it finds alike counts as alike.

use burn::prelude::*;
use burn::tensor::activation::{log_softmax, softmax};
use serde::{Deserialize, Serialize};
use triptych_encoders::Modality;

use super::companions::{Entries, Queue};
use super::compared::{Compared, compared, groups, mean};
use super::options::{self, OptionError, Options};
use super::{Objective, Requirement, StepContext};
use crate::heads::pair::Pair;

/// What a config may set of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct MomentumOptions {
    /// Pairs of earlier steps that are compared with; ALBEF: 65536, of 4 million.
    n_queued: usize,
    /// Share of the targets that the average's similarities have in the end.
    alpha: f64,
    /// Steps over which that share rises from 0; ALBEF: the first epoch.
    ramp_steps: u64,
}

const DEFAULTS: MomentumOptions = MomentumOptions { n_queued: 4096, alpha: 0.4, ramp_steps: 1000 };

/// Pictures with their texts, by what they mean.
pub(super) const IMAGE_TEXT: MomentumContrast = MomentumContrast {
    name: "momentum_image_text",
    about: "contrast of pictures and texts with a slow average of the model and a queue, towards its soft targets",
    pair: Pair::ImageText,
    options: DEFAULTS,
};

/// Sounds with their texts, by how they are said.
pub(super) const AUDIO_TEXT: MomentumContrast = MomentumContrast {
    name: "momentum_audio_text",
    about: "contrast of sounds and texts with a slow average of the model and a queue, towards its soft targets",
    pair: Pair::AudioText,
    options: DEFAULTS,
};

/// See the module's documentation.
///
/// # Differences from the reference
/// The queue starts empty, not full of random vectors. Samples of a row's own group, in the batch or in the queue, share
/// its target, as in ALBEF's fine-tuning for retrieval.
#[derive(Clone, Copy)]
pub(super) struct MomentumContrast {
    name: &'static str,
    about: &'static str,
    pair: Pair,
    options: MomentumOptions,
}

impl Objective for MomentumContrast {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn needs(&self) -> &'static [Modality] {
        self.pair.modalities()
    }

    fn requires(&self) -> &'static [Requirement] {
        &[Requirement::Momentum]
    }

    fn queue(&self) -> Option<(Pair, usize)> {
        Some((self.pair, self.options.n_queued))
    }

    fn embeds(&self) -> Option<&'static [Modality]> {
        Some(self.pair.modalities())
    }

    fn options(&self) -> Options {
        options::table(&self.options)
    }

    fn with(&self, given: &Options) -> Result<Box<dyn Objective>, OptionError> {
        let options = options::given(&self.options, given)?;
        if !(0.0..=1.0).contains(&options.alpha) {
            return Err(OptionError::new("alpha", "0 to 1"));
        }
        if options.n_queued > MOST_QUEUED {
            return Err(OptionError::new("n_queued", format!("at most {MOST_QUEUED}")));
        }
        Ok(Box::new(Self { options, ..*self }))
    }

    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>> {
        let (average, momentum) = context.momentum()?;
        let scale = context.model.retrieval.log_scale.val().narrow(0, self.pair.idx(), 1);
        let queue = &momentum.queues[self.pair.idx()];
        let ramp = (context.step() as f64 / self.options.ramp_steps.max(1) as f64).min(1.0);
        let alpha = (self.options.alpha * ramp) as f32;
        let pairings = compared(context, self.pair)?.into_iter().zip(compared(average, self.pair)?);
        let losses = pairings.map(|(student, teacher)| {
            let here = groups(context, self.pair.modalities()[0], &student.places[0]);
            let pairs = context.lift(shared_targets(&here, queue, average.device()));
            let teacher = candidates(teacher.sides, queue).map(|side| context.lift(side));
            momentum_contrast(student.sides, teacher, scale.clone(), pairs, alpha)
        });
        mean(losses.collect())
    }

    fn queued(&self, context: &StepContext<'_>) -> Option<(Pair, Entries)> {
        let (average, _) = context.momentum()?;
        let Compared { places, sides } = compared(average, self.pair)?.into_iter().next()?;
        let groups = groups(context, self.pair.modalities()[0], &places[0]);
        Some((self.pair, Entries { sides, groups }))
    }
}

/// What memory may be asked for: 2^20 pairs.
const MOST_QUEUED: usize = 1 << 20;

/// The batch's embeddings with those of the queue behind them.
fn candidates(sides: [Tensor<2>; 2], queue: &Queue) -> [Tensor<2>; 2] {
    let Some(queued) = queue.entries() else { return sides };
    let mut queued = queued.sides.clone().into_iter();
    sides.map(|side| Tensor::cat([side].into_iter().chain(queued.next()).collect(), 0))
}

/// Each row's target, shared by all samples of its group.
///
/// # Shapes
/// -> `[n, n + n_queued]`
fn shared_targets(groups: &[u64], queue: &Queue, device: &Device) -> Tensor<2> {
    let queued = queue.entries().map_or(&[][..], |entries| &entries.groups);
    let all = groups.iter().chain(queued).copied().collect::<Vec<_>>();
    let mut targets = Vec::with_capacity(groups.len() * all.len());
    for group in groups {
        let n_same = all.iter().filter(|other| *other == group).count() as f32;
        targets.extend(all.iter().map(|other| if other == group { 1.0 / n_same } else { 0.0 }));
    }
    Tensor::from_data(TensorData::new(targets, [groups.len(), all.len()]), device)
}

/// `½ Σ over both directions of -(1/n) Σᵢ (α softmax(s·aᵢ'·B'ᵀ) + (1-α) Yᵢ) · log softmax(s·aᵢ·B'ᵀ)`, with `s = exp(log_scale)`,
/// `aᵢ'` the teacher's embedding of what `aᵢ` is the student's, and `B'` the teacher's embeddings to compare with: those of the
/// batch, then those of earlier batches. No gradient flows to the teacher's, nor to the scale through the targets.
///
/// # Shapes
/// - student: unit vectors `[n, d]` of each side
/// - teacher: unit vectors `[n + n_queued, d]` of each side, the batch's first
/// - log_scale: `[1]`
/// - pairs: `Y`, `[n, n + n_queued]`; rows sum up to 1: 1 where a row's counterpart stands, shared where several do
/// - output: `[1]`
///
/// # Panics
/// When the shapes do not fit.
///
/// # Reference
/// Li et al. 2021, "Align before fuse", equations 6 and 7; several counterparts of a row as in ALBEF's `model_retrieval.py`.
pub fn momentum_contrast(
    student: [Tensor<2>; 2],
    teacher: [Tensor<2>; 2],
    log_scale: Tensor<1>,
    pairs: Tensor<2>,
    alpha: f32,
) -> Tensor<1> {
    let [n, _] = student[0].dims();
    let [n_candidates, _] = teacher[0].dims();
    assert_eq!(pairs.dims(), [n, n_candidates], "momentum_contrast: targets do not fit the embeddings");
    assert_eq!(teacher[1].dims()[0], n_candidates, "momentum_contrast: the sides differ in number");
    let scale = log_scale.exp().reshape([1, 1]);
    let teacher = teacher.map(Tensor::detach);
    let hard = pairs.detach() * (1.0 - alpha);
    let direction = |from: usize, to: usize| {
        let candidates = teacher[to].clone().transpose();
        let own = teacher[from].clone().narrow(0, 0, n);
        let soft = softmax(own.matmul(candidates.clone()) * scale.clone().detach(), 1);
        let log_p = log_softmax(student[from].clone().matmul(candidates) * scale.clone(), 1);
        (log_p * (soft * alpha + hard.clone())).sum()
    };
    (direction(0, 1) + direction(1, 0)) * (-0.5 / n.max(1) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objectives::differences::{assert_differentiates, unit};
    use crate::objectives::info_nce;

    const N: usize = 4;
    const D: usize = 5;

    #[test]
    fn gradient_agrees_with_finite_differences() {
        let teacher = [unit(N + 3, D, 3), unit(N + 3, D, 4)];
        let loss = |x: Vec<Tensor<1>>| {
            let [a, b, scale] = x.try_into().expect("three inputs");
            let device = a.device();
            let pairs = Tensor::cat(vec![Tensor::eye(N, &device), Tensor::<2>::zeros([N, 3], &device)], 1);
            let teacher = teacher.clone();
            let teacher =
                teacher.map(|values| Tensor::from_data(TensorData::new(values, [N + 3, D]), &device));
            // the targets follow the scale without a gradient: without them it is differentiable as it stands
            momentum_contrast([a.reshape([N, D]), b.reshape([N, D])], teacher, scale, pairs, 0.0)
        };
        assert_differentiates(&[unit(N, D, 1), unit(N, D, 2), vec![1.2]], &loss, 2e-3);
    }

    #[test]
    fn without_queue_and_soft_targets_a_student_who_is_its_teacher_has_the_plain_loss() {
        let device = Device::flex();
        let side = |seed| Tensor::<2>::from_data(TensorData::new(unit(N, D, seed), [N, D]), &device);
        let (a, b, scale) = (side(1), side(2), Tensor::<1>::from_floats([1.5], &device));
        let both = [a.clone(), b.clone()];
        let ours: f32 =
            momentum_contrast(both.clone(), both, scale.clone(), Tensor::eye(N, &device), 0.0).into_scalar();
        let plain: f32 = info_nce(a, b, scale).into_scalar();
        assert!((ours - plain).abs() < 1e-6, "{ours}, not {plain}");
    }
}
