//! Walks over a module's parameters by their paths.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::prelude::*;

/// Every parameter's shape and values, flattened to one axis, by its path in the module.
pub(super) fn parameters<M: Module>(module: &M) -> BTreeMap<String, (Vec<usize>, Tensor<1>)> {
    let mut collector = Collector { path: Vec::new(), found: BTreeMap::new() };
    module.visit(&mut collector);
    collector.found
}

struct Collector {
    path: Vec<String>,
    found: BTreeMap<String, (Vec<usize>, Tensor<1>)>,
}

impl ModuleVisitor for Collector {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let tensor = if tensor.device().is_autodiff() { tensor.inner() } else { tensor };
        let shape = tensor.dims().to_vec();
        self.found.insert(self.path.join("."), (shape, tensor.flatten::<1>(0, D - 1)));
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
}

/// The module with the values that `values` gives for each parameter's path, whose number must be that of the
/// parameter. Where it gives none the parameter stays as it is; after an error all do.
pub(super) fn replace<M: Module, E>(
    module: M,
    values: impl FnMut(&str) -> Result<Option<Vec<f32>>, E>,
) -> Result<M, E> {
    let mut loader = Loader { path: Vec::new(), values, error: None };
    let module = module.map(&mut loader);
    match loader.error {
        Some(error) => Err(error),
        None => Ok(module),
    }
}

struct Loader<F, E> {
    path: Vec<String>,
    values: F,
    error: Option<E>,
}

impl<F: FnMut(&str) -> Result<Option<Vec<f32>>, E>, E> ModuleMapper for Loader<F, E> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.error.is_some() {
            return param;
        }
        let values = match (self.values)(&self.path.join(".")) {
            Ok(Some(values)) => values,
            Ok(None) => return param,
            Err(error) => {
                self.error = Some(error);
                return param;
            }
        };
        let is_trained = param.is_require_grad();
        let (id, old, mapper) = param.consume();
        let values = Tensor::from_data(TensorData::new(values, old.dims()), &old.device());
        let values = if is_trained { values.require_grad() } else { values };
        Param::from_mapped_value(id, values, mapper)
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
}
