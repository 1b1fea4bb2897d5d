//! The slow average that momentum contrast compares with: made, moved after every step, saved and taken up again.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::prelude::*;
use triptych_encoders::layers::ops;
use triptych_tasks::heads::pair::Pair;
use triptych_tasks::model::Model;
use triptych_tasks::objectives::{Entries, Momentum, Objective};

use super::checkpoint::TensorBytes;
use super::parameters::{NamedTensors, ParameterError, named, replace};

/// Numbers of groups are saved as four of these, which float32 holds exactly.
const PART_BITS: u32 = 16;
const N_PARTS: usize = 4;

/// The average that `objectives` need, which starts at the model; `None` when they need none.
pub(super) fn new<'a>(
    objectives: impl Iterator<Item = &'a dyn Objective>,
    model: &Model,
) -> Option<Momentum> {
    let queues = objectives.filter_map(Objective::queue).collect::<Vec<_>>();
    if queues.is_empty() {
        return None;
    }
    let mut n_queued = [0; 3];
    for (pair, n) in queues {
        n_queued[pair.idx()] = n_queued[pair.idx()].max(n);
    }
    // values of its own: the learner's are updated in place
    let own = named(model).into_iter().map(|(name, (_, tensor))| (name, tensor.add_scalar(0.0)));
    let average = replace(model.valid(), own.collect()).expect("a model's own parameters fit it");
    Some(Momentum::new(average, n_queued))
}

/// Moves the average towards the model: `average * decay + model * (1 - decay)`.
pub(super) fn follow(momentum: &mut Momentum, model: &Model, decay: f64) {
    let mut weights = named(model);
    let moved = named(&momentum.model).into_iter().map(|(name, (_, average))| {
        let (_, weights) = weights.remove(&name).expect("an average has its model's parameters");
        (name, ops::ema_update(average, weights, decay as f32))
    });
    let moved = moved.collect::<NamedTensors>();
    momentum.model = replace(momentum.model.clone(), moved).expect("a model's own parameters fit it");
}

/// The average and its queues, as a checkpoint holds them.
pub(super) fn save(momentum: &Momentum, tensors: &mut BTreeMap<String, TensorBytes>) {
    for (name, (shape, tensor)) in named(&momentum.model) {
        tensors.insert(format!("momentum/{name}"), TensorBytes { shape, data: values(tensor) });
    }
    for pair in Pair::ALL {
        let Some(Entries { sides, groups }) = momentum.queues[pair.idx()].entries() else { continue };
        for (side, tensor) in ["a", "b"].into_iter().zip(sides) {
            let [n, d] = tensor.dims();
            let data = values(tensor.clone().flatten(0, 1));
            tensors.insert(format!("queue/{}.{side}", pair.name()), TensorBytes { shape: vec![n, d], data });
        }
        let part = |group: &u64, part: usize| (group >> (PART_BITS * part as u32)) as u16;
        let parts = groups.iter().flat_map(|group| (0..N_PARTS).map(move |idx| f32::from(part(group, idx))));
        let groups = TensorBytes { shape: vec![groups.len(), N_PARTS], data: parts.collect() };
        tensors.insert(format!("queue/{}.groups", pair.name()), groups);
    }
}

/// Takes up the average and its queues from a checkpoint's tables.
///
/// # Errors
/// When they do not fit the model.
pub(super) fn load(
    momentum: &mut Momentum,
    average: NamedTensors,
    mut queued: NamedTensors,
) -> Result<(), ParameterError> {
    momentum.model = replace(momentum.model.clone(), average)?;
    for pair in Pair::ALL {
        let mut take = |part: &str| {
            let name = format!("{}.{part}", pair.name());
            queued
                .remove(&name)
                .ok_or(ParameterError::Missing { name: format!("queue/{name}"), expected: vec![] })
        };
        let Ok(groups) = take("groups") else { continue };
        let parts = groups.into_data().iter::<f32>().collect::<Vec<_>>();
        let number = |parts: &[f32]| {
            let part = |(idx, &part): (usize, &f32)| (part as u64) << (PART_BITS * idx as u32);
            parts.iter().enumerate().map(part).sum::<u64>()
        };
        let groups = parts.chunks(N_PARTS).map(number).collect::<Vec<_>>();
        let (a, b) = (take("a")?, take("b")?);
        let n = groups.len().max(1);
        let got = a.dims()[0];
        if got % n != 0 || b.dims() != a.dims() {
            let name = format!("queue/{}", pair.name());
            return Err(ParameterError::Shape { name, expected: vec![n], got });
        }
        let sides = [a, b].map(|side| side.reshape([n, got / n]));
        momentum.queues[pair.idx()].push(Entries { sides, groups });
    }
    Ok(())
}

fn values(tensor: Tensor<1>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

#[cfg(test)]
mod tests {
    use triptych_tasks::model::{DataShape, ModelConfig};
    use triptych_tasks::objectives::find;

    use super::*;

    fn model(seed: u64) -> Model {
        let shape = DataShape { n_vocab: 24, image_side: 16, n_mels: 6 };
        ModelConfig::tiny().init(shape, seed, &Device::flex().autodiff()).expect("the sizes fit together")
    }

    fn average(seed: u64) -> Momentum {
        new([find("momentum_image_text").expect("it is registered")].into_iter(), &model(seed))
            .expect("an objective needs it")
    }

    #[test]
    fn only_objectives_with_a_queue_need_an_average() {
        assert!(new([find("caption").expect("it is registered")].into_iter(), &model(1)).is_none());
        assert_eq!(average(1).queues.map(|queue| queue.n_most()), [4096, 0, 0]);
    }

    #[test]
    fn the_average_moves_by_its_decay_and_leaves_the_model_alone() {
        let (mut momentum, learner) = (average(1), model(2));
        let first = |model: &Model| named(model)["backbone.modalities"].1.to_data().iter::<f32>().next();
        let (from, to) = (first(&momentum.model).expect("a value"), first(&learner).expect("a value"));
        follow(&mut momentum, &learner, 0.75);
        let moved = first(&momentum.model).expect("a value");
        assert!((moved - (0.75 * from + 0.25 * to)).abs() < 1e-6, "{moved} between {from} and {to}");
        assert_eq!(first(&learner), Some(to));
    }

    #[test]
    fn what_is_saved_comes_back_to_the_last_bit() {
        let mut momentum = average(1);
        let device = Device::flex();
        let side = |factor: f32| {
            let values = (0..6).map(|idx| idx as f32 * factor).collect::<Vec<_>>();
            Tensor::<2>::from_data(TensorData::new(values, [2, 3]), &device)
        };
        let groups = vec![u64::MAX - 5, 0x0123_4567_89AB_CDEF];
        momentum.push(vec![(Pair::ImageText, Entries { sides: [side(0.1), side(-0.7)], groups })]);
        let mut saved = BTreeMap::new();
        save(&momentum, &mut saved);
        let table = |prefix: &str| {
            let of = saved.iter().filter_map(|(name, bytes)| {
                let tensor = Tensor::<1>::from_floats(bytes.data.as_slice(), &device);
                Some((name.strip_prefix(prefix)?.to_owned(), tensor))
            });
            of.collect::<NamedTensors>()
        };
        let mut other = average(9);
        load(&mut other, table("momentum/"), table("queue/")).expect("it fits");
        let mut again = BTreeMap::new();
        save(&other, &mut again);
        assert_eq!(saved, again);
        let mut torn = table("queue/");
        torn.remove("image_text.b");
        assert!(load(&mut average(9), table("momentum/"), torn).is_err());
    }
}
