//! A model's parameters as a table of named tensors: what checkpoints hold and optimizers work on.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::prelude::*;

/// Parameters, or something of their shapes, by path in the model; each flattened to one axis.
pub(crate) type NamedTensors = BTreeMap<String, Tensor<1>>;

/// Where a walk through a module stands.
#[derive(Debug, Default)]
pub(crate) struct ModulePath(Vec<String>);

impl ModulePath {
    pub(crate) fn enter(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    pub(crate) fn exit(&mut self) {
        self.0.pop();
    }

    pub(crate) fn join(&self) -> String {
        self.0.join(".")
    }
}

/// Every parameter without its autodiff graph, with its shape.
pub(crate) fn named<M: Module>(model: &M) -> BTreeMap<String, (Vec<usize>, Tensor<1>)> {
    let mut collector = Collector::default();
    model.visit(&mut collector);
    collector.found
}

#[derive(Default)]
struct Collector {
    path: ModulePath,
    found: BTreeMap<String, (Vec<usize>, Tensor<1>)>,
}

impl ModuleVisitor for Collector {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let tensor = if tensor.device().is_autodiff() { tensor.inner() } else { tensor };
        let shape = tensor.dims().to_vec();
        self.found.insert(self.path.join(), (shape, tensor.flatten::<1>(0, D - 1)));
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }
}

/// Parameters that do not fit the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// The table lacks one.
    #[error("parameter {name} of shape {expected:?} is missing")]
    Missing {
        /// Path in the model.
        name: String,
        /// Its shape there.
        expected: Vec<usize>,
    },
    /// The table holds one of another size.
    #[error("parameter {name}: expected {expected:?}, got {got} elements")]
    Shape {
        /// Path in the model.
        name: String,
        /// Its shape there.
        expected: Vec<usize>,
        /// Elements in the table.
        got: usize,
    },
    /// The table holds some that the model does not have.
    #[error("the model has no parameter {name} ({n} such)")]
    Unknown {
        /// The first of them.
        name: String,
        /// How many there are.
        n: usize,
    },
}

/// The model with the parameters of `table`, all of them and no others.
///
/// # Errors
/// When one is missing, left over or of another size.
pub(crate) fn replace<M: Module>(model: M, table: NamedTensors) -> Result<M, ParameterError> {
    let mut loader = Loader { path: ModulePath::default(), table, error: None };
    let model = model.map(&mut loader);
    if let Some(error) = loader.error {
        return Err(error);
    }
    match loader.table.keys().next() {
        Some(name) => Err(ParameterError::Unknown { name: name.clone(), n: loader.table.len() }),
        None => Ok(model),
    }
}

/// The model with those parameters out of its graph that `is_frozen` names: no gradient is computed of them.
pub(crate) fn freeze<M: Module>(model: M, is_frozen: impl Fn(&str) -> bool) -> M {
    model.map(&mut Freezer { path: ModulePath::default(), is_frozen })
}

struct Freezer<F> {
    path: ModulePath,
    is_frozen: F,
}

impl<F: Fn(&str) -> bool> ModuleMapper for Freezer<F> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if (self.is_frozen)(&self.path.join()) { param.set_require_grad(false) } else { param }
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }
}

struct Loader {
    path: ModulePath,
    table: NamedTensors,
    error: Option<ParameterError>,
}

impl ModuleMapper for Loader {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.join();
        let shape = param.val().dims();
        let expected = shape.to_vec();
        let Some(values) = self.table.remove(&name) else {
            self.error.get_or_insert(ParameterError::Missing { name, expected });
            return param;
        };
        let [got] = values.dims();
        if got != shape.iter().product::<usize>() {
            self.error.get_or_insert(ParameterError::Shape { name, expected, got });
            return param;
        }
        let is_trained = param.is_require_grad();
        let (id, old, mapper) = param.consume();
        let values = values.reshape(shape);
        let values = match (old.device().is_autodiff(), is_trained) {
            (true, true) => Tensor::from_inner(values).require_grad(),
            (true, false) => Tensor::from_inner(values),
            (false, _) => values,
        };
        Param::from_mapped_value(id, values, mapper)
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }
}
