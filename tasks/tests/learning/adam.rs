//! The smallest optimizer that trains a whole model.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::*;
use burn::tensor::Gradients;
use triptych_encoders::layers::ops::{AdamHyper, adamw_step};

/// AdamW without decay at a fixed learning rate.
pub(crate) struct Adam {
    lr: f32,
    step: usize,
    /// First and second moments by path in the model.
    moments: BTreeMap<String, [Tensor<1>; 2]>,
}

impl Adam {
    pub(crate) fn new(lr: f32) -> Self {
        Self { lr, step: 0, moments: BTreeMap::new() }
    }

    /// One step; parameters that had no part in the loss stay as they are.
    pub(crate) fn step<M: Module>(&mut self, model: M, gradients: &Gradients) -> M {
        self.step += 1;
        model.map(&mut Update { path: Vec::new(), adam: self, gradients })
    }
}

struct Update<'a> {
    path: Vec<String>,
    adam: &'a mut Adam,
    gradients: &'a Gradients,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let value = param.val();
        let Some(gradient) = value.grad(self.gradients) else { return param };
        let shape = value.dims();
        let gradient = gradient.flatten::<1>(0, D - 1);
        let zeros = || Tensor::zeros(gradient.dims(), &gradient.device());
        let [first, second] =
            self.adam.moments.remove(&self.path.join(".")).unwrap_or_else(|| [zeros(), zeros()]);
        let hyper = AdamHyper {
            beta1: 0.9,
            beta2: 0.98,
            eps: 1e-8,
            lr: self.adam.lr,
            weight_decay: 0.0,
            step: self.adam.step,
            grad_scale: 1.0,
        };
        let weights = value.inner().flatten::<1>(0, D - 1);
        let (weights, first, second) = adamw_step(weights, gradient, first, second, hyper);
        self.adam.moments.insert(self.path.join("."), [first, second]);
        Param::from_tensor(Tensor::from_inner(weights.reshape(shape)))
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
}
