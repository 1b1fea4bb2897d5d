//! Gradients of a model's parameters by their paths, which outlive the graph that they came from.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::prelude::*;
use burn::tensor::Gradients;
use triptych_encoders::layers::ops;

/// Gradients by path in the model, each flat; those that a loss does not depend on are left out.
#[derive(Clone, Debug, Default)]
pub struct GradientTable(BTreeMap<String, Tensor<1>>);

impl GradientTable {
    /// Takes the gradients of a model's parameters out of a graph's.
    pub fn take<M: Module>(model: &M, gradients: &mut Gradients) -> Self {
        let mut taking = Taking { path: Vec::new(), gradients, found: BTreeMap::new() };
        model.visit(&mut taking);
        Self(taking.found)
    }

    /// Adds those of another part of the loss.
    pub fn add(&mut self, other: Self) {
        for (name, gradient) in other.0 {
            let sum = match self.0.remove(&name) {
                Some(own) => own + gradient,
                None => gradient,
            };
            self.0.insert(name, sum);
        }
    }

    /// Takes out the gradient of one parameter.
    pub fn remove(&mut self, name: &str) -> Option<Tensor<1>> {
        self.0.remove(name)
    }

    /// All of them by name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Tensor<1>)> {
        self.0.iter()
    }

    /// The norm of the whole gradient.
    pub fn norm(&self) -> f64 {
        self.0.values().map(|gradient| ops::sum_of_squares(gradient.clone())).sum::<f64>().sqrt()
    }

    /// The cosine between the whole gradient and another one; 0 where either is 0.
    pub fn cosine(&self, other: &Self) -> f64 {
        let shared = self.0.iter().filter_map(|(name, gradient)| Some((gradient, other.0.get(name)?)));
        let products = shared.map(|(a, b)| (a.clone() * b.clone()).sum().into_scalar::<f64>());
        let (product, norms) = (products.sum::<f64>(), self.norm() * other.norm());
        if norms > 0.0 { product / norms } else { 0.0 }
    }
}

struct Taking<'a> {
    path: Vec<String>,
    gradients: &'a mut Gradients,
    found: BTreeMap<String, Tensor<1>>,
}

impl ModuleVisitor for Taking<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad_remove(self.gradients) {
            self.found.insert(self.path.join("."), gradient.flatten::<1>(0, D - 1));
        }
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(values: &[(&str, &[f32])]) -> GradientTable {
        let tensor = |values: &[f32]| Tensor::<1>::from_floats(values, &Device::flex());
        GradientTable(values.iter().map(|(name, values)| ((*name).to_owned(), tensor(values))).collect())
    }

    #[test]
    fn sums_norms_and_cosines_run_over_all_parameters() {
        let (a, b) = (table(&[("x", &[3.0, 0.0]), ("y", &[4.0])]), table(&[("y", &[-2.0]), ("z", &[0.0])]));
        assert_eq!((a.norm(), b.norm()), (5.0, 2.0));
        assert!((a.cosine(&b) + 0.8).abs() < 1e-6);
        assert!((a.cosine(&a) - 1.0).abs() < 1e-6);
        assert_eq!(a.cosine(&GradientTable::default()), 0.0);
        let mut sum = a;
        sum.add(b);
        assert!((sum.norm() - 13f64.sqrt()).abs() < 1e-6);
        assert_eq!(sum.remove("z").map(|z| z.into_scalar::<f32>()), Some(0.0));
        assert!(sum.remove("z").is_none());
    }
}
