//! The whole model: configs, saved parameters, and a gradient for everything.

use burn::module::Module;
use burn::prelude::*;
use triptych_encoders::{AudioInput, ImageInput, Modality, TextInput};
use triptych_tasks::model::{Model, ModelConfig, SampleLengths};
use triptych_tasks::objectives::{OBJECTIVES, StepContext, combine};

use crate::adam::Adam;
use crate::fixture::{SHAPE, TOKEN_IDS, batch, companions, tiny_model};
use crate::{config, parameters};

#[test]
fn configs_round_trip_and_refuse_unknown_keys() {
    config::assert_round_trips(&ModelConfig::tiny());
    config::assert_round_trips(&ModelConfig { audio: None, ..ModelConfig::tiny() });
}

#[test]
fn a_model_knows_the_modalities_that_it_has_encoders_for() {
    let config = ModelConfig { vision: None, ..ModelConfig::tiny() };
    let model = config.init(SHAPE, 1, &Device::flex()).expect("two encoders are enough");
    assert_eq!(Modality::ALL.map(|modality| model.knows(modality)), [true, false, true]);
}

#[test]
fn costs_count_every_parameter() {
    let all = ModelConfig::tiny();
    let configs = [
        ModelConfig { vision: None, ..all.clone() },
        ModelConfig { audio: None, ..all.clone() },
        ModelConfig { text: None, ..all.clone() },
        all,
    ];
    for config in configs {
        let cost = config.cost(SHAPE, SampleLengths { n_text_tokens: 5, n_frames: 40 });
        let model = config.init(SHAPE, 1, &Device::flex()).expect("the sizes fit together");
        assert_eq!(cost.cost.parameters, model.num_params() as u64, "{config:?}");
    }
}

#[test]
fn the_objectives_together_reach_every_parameter() {
    let device = Device::flex().autodiff();
    let (model, batch) = (tiny_model(&device), batch(6));
    let context = StepContext::new(&model, &batch, TOKEN_IDS, &device, 1, 1).with_companions(companions());
    let parts = combine(&context, &OBJECTIVES.iter().map(|&objective| (objective, 1.0)).collect::<Vec<_>>());
    let parts = parts.expect("every modality is there");
    assert_eq!(parts.named.len(), OBJECTIVES.len());
    parameters::assert_gradient_everywhere(&model, &parts.total.backward(), "model");
}

#[test]
fn the_total_is_the_weighted_sum_of_the_parts() {
    let device = Device::flex();
    let (model, batch) = (tiny_model(&device), batch(6));
    let context = StepContext::new(&model, &batch, TOKEN_IDS, &device, 1, 1).with_companions(companions());
    let weighted = OBJECTIVES.iter().zip(1..).map(|(&objective, weight)| (objective, weight as f32 * 0.3));
    let weighted = weighted.collect::<Vec<_>>();
    let parts = combine(&context, &weighted).expect("every modality is there");
    let total = parts.total.into_scalar::<f32>();
    let parts = parts.named.into_iter().zip(&weighted).map(|((name, loss), (objective, weight))| {
        assert_eq!(name, objective.name());
        loss.into_scalar::<f32>() * weight
    });
    let expected = parts.sum::<f32>();
    assert!((total - expected).abs() < 1e-4 * expected, "{total} is not {expected}");
    assert!(combine(&context, &[]).is_none());
}

#[test]
fn saved_parameters_give_the_same_outputs() {
    let device = Device::flex();
    let batch = batch(3);
    let embed = |model: &Model| {
        let text = TextInput::new(batch.text.as_ref().expect("asked for"), &device);
        let image = ImageInput::new(batch.image.as_ref().expect("asked for"), &device);
        let audio = AudioInput::new(batch.audio.as_ref().expect("asked for"), &device);
        let tokens = [model.encode_text(&text), model.encode_image(&image), model.encode_audio(&audio)];
        tokens.map(|tokens| model.retrieval.embed(&tokens).into_data())
    };
    let [trained, other] =
        [1, 2].map(|seed| ModelConfig::tiny().init(SHAPE, seed, &device).expect("sizes fit together"));
    assert_ne!(embed(&trained), embed(&other));
    assert_eq!(embed(&trained), embed(&parameters::load(other, parameters::save(&trained))));
}

#[test]
fn embeddings_compare_in_the_spaces_that_both_modalities_are_in() {
    let device = Device::flex();
    let (model, batch) = (tiny_model(&device), batch(4));
    let text = TextInput::new(batch.text.as_ref().expect("asked for"), &device);
    let image = ImageInput::new(batch.image.as_ref().expect("asked for"), &device);
    let audio = AudioInput::new(batch.audio.as_ref().expect("asked for"), &device);
    let [text, image, audio] =
        [model.encode_text(&text), model.encode_image(&image), model.encode_audio(&audio)];
    let retrieval = &model.retrieval;
    let meaning = |tokens| retrieval.meaning(tokens).expect("every modality has a meaning");
    let wording = |tokens| retrieval.wording(tokens).expect("texts and sounds have a wording");
    let products = |a: Tensor<2>, b: Tensor<2>| (a * b).sum_dim(1);
    let near = |a: Tensor<2>, b: Tensor<2>| {
        a.into_data().assert_approx_eq::<f32>(&b.into_data(), burn::tensor::Tolerance::absolute(1e-5));
    };
    assert!(retrieval.wording(&image).is_none());
    for other in [&text, &audio] {
        near(
            products(retrieval.embed(&image), retrieval.embed(other)),
            products(meaning(&image), meaning(other)),
        );
    }
    near(
        products(retrieval.embed(&text), retrieval.embed(&audio)),
        products(meaning(&text), meaning(&audio)) + products(wording(&text), wording(&audio)),
    );
}

#[test]
fn embeddings_are_unit_vectors_and_an_empty_text_is_embedded_as_zero() {
    let device = Device::flex().autodiff();
    let (model, mut batch) = (tiny_model(&device), batch(4));
    let text = batch.text.as_mut().expect("asked for");
    text.lengths[2] = 0;
    let embedding = model.retrieval.embed(&model.encode_text(&TextInput::new(text, &device)));
    let norms = embedding.clone().powi_scalar(2).sum_dim(1).into_data().iter::<f32>().collect::<Vec<_>>();
    for (row, norm) in norms.into_iter().enumerate() {
        // of the meaning and of the wording
        let expected = if row == 2 { 0.0 } else { 2.0 };
        assert!((norm - expected).abs() < 1e-5, "row {row}: squared norm {norm}");
    }
    for (name, gradient) in parameters::gradients(&model, &embedding.sum().backward()) {
        assert!(gradient.iter::<f32>().all(f32::is_finite), "{name}");
    }
}

#[test]
fn training_steps_are_the_same_bit_for_bit_on_one_thread_and_on_two() {
    let train = |n_threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().expect("a pool of threads");
        pool.install(|| {
            let device = Device::flex().autodiff();
            let (mut model, batch, mut adam) = (tiny_model(&device), batch(6), Adam::new(3e-3));
            let weighted = OBJECTIVES.iter().map(|&objective| (objective, 1.0)).collect::<Vec<_>>();
            for step in 0..4 {
                let context = StepContext::new(&model, &batch, TOKEN_IDS, &device, 1, step);
                let context = context.with_companions(companions());
                let parts = combine(&context, &weighted).expect("every modality is there");
                let gradients = parts.total.backward();
                drop(context);
                model = adam.step(model, &gradients);
            }
            parameters::save(&model)
        })
    };
    let first = train(1);
    assert!(first != parameters::save(&tiny_model(&Device::flex())), "nothing was learned");
    for n_threads in [1, 2, 2] {
        assert!(first == train(n_threads), "weights differ on {n_threads} threads");
    }
}
