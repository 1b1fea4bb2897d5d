//! Every backbone in the registry, in a whole model.

use burn::module::Module;
use burn::prelude::*;
use triptych_fusion::backbone::BackboneConfig;
use triptych_tasks::model::{ModelConfig, SampleLengths};
use triptych_tasks::objectives::{Objective, StepContext, combine, find};

use crate::adam::Adam;
use crate::fixture::{SHAPE, TOKEN_IDS, batch};

const N_SAMPLES: usize = 12;
const N_STEPS: usize = 100;
const LR: f32 = 5e-3;

/// What the first losses must fall to a share of; label smoothing of 0.1 over 24 labels leaves 0.2 of a uniform guess.
const GOAL: f32 = 0.35;

fn models() -> impl Iterator<Item = (&'static str, ModelConfig)> {
    let with = |fusion| ModelConfig { fusion, ..ModelConfig::tiny() };
    BackboneConfig::registry().into_iter().map(move |(name, fusion)| (name, with(fusion)))
}

#[test]
fn every_backbone_learns_to_write_what_it_sees_and_hears() {
    let objectives = ["caption", "transcript"].map(|name| (find(name).expect("it is registered"), 1.0));
    let device = Device::flex().autodiff();
    let batch = batch(N_SAMPLES);
    for (name, config) in models() {
        let mut model = config.init(SHAPE, 1, &device).expect("the sizes fit together");
        let mut adam = Adam::new(LR);
        let mut losses = Vec::with_capacity(N_STEPS);
        for _ in 0..N_STEPS {
            let context = StepContext::new(&model, &batch, TOKEN_IDS, &device, 1, 1);
            let parts = combine(&context, &objectives).expect("every modality is there");
            let of_objectives = parts.named.iter().take(objectives.len());
            losses.push(of_objectives.map(|(_, loss)| loss.clone().into_scalar::<f32>()).sum::<f32>());
            let gradients = parts.total.backward();
            drop(context);
            model = adam.step(model, &gradients);
        }
        let (first, last) = (losses[0], losses[N_STEPS - 1]);
        assert!(last.is_finite() && last < GOAL * first, "{name}: from {first} to {last}");
    }
}

#[test]
fn costs_count_every_parameter_of_every_backbone() {
    for (name, config) in models() {
        let cost = config.cost(SHAPE, SampleLengths { n_text_tokens: 5, n_frames: 40 });
        let model = config.init(SHAPE, 1, &Device::flex()).expect("the sizes fit together");
        assert_eq!(cost.cost.parameters, model.num_params() as u64, "{name}");
    }
}

#[test]
fn objectives_that_read_every_token_of_a_resampled_input_do_not_apply() {
    let (_, config) = models().find(|(name, _)| *name == "resampler").expect("it is registered");
    let device = Device::flex();
    let (model, batch) = (config.init(SHAPE, 1, &device).expect("the sizes fit together"), batch(4));
    let context = StepContext::new(&model, &batch, TOKEN_IDS, &device, 1, 1);
    let applies = |objective: &dyn Objective| objective.loss(&context).is_some();
    for name in ["ctc", "masked_audio", "masked_image"] {
        assert!(!applies(find(name).expect("it is registered")), "{name}");
    }
    for name in ["caption", "transcript", "masked_text_given_audio", "contrast_image_audio"] {
        assert!(find(name).is_none_or(applies), "{name}");
    }
}
