//! Walks over a module's parameters by their paths: what a checkpoint holds, and the gradients.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::prelude::*;
use burn::tensor::Gradients;

/// Values by path in the module.
pub(crate) type Table = BTreeMap<String, TensorData>;

/// Every parameter's values.
pub(crate) fn save<M: Module>(model: &M) -> Table {
    collect(model, None)
}

/// Every parameter's gradient; those that the loss does not depend on are left out.
pub(crate) fn gradients<M: Module>(model: &M, gradients: &Gradients) -> Table {
    collect(model, Some(gradients))
}

/// The module with the table's values, all of them and no others.
pub(crate) fn load<M: Module>(model: M, table: Table) -> M {
    let mut loader = Loader { path: Vec::new(), table };
    let model = model.map(&mut loader);
    assert!(loader.table.is_empty(), "the module has no {:?}", loader.table.keys());
    model
}

/// Asserts that the loss reached every parameter with finite gradients that are not all 0.
pub(crate) fn assert_gradient_everywhere<M: Module>(model: &M, gradients: &Gradients, what: &str) {
    let found = self::gradients(model, gradients);
    for name in save(model).keys() {
        let gradient = found.get(name).unwrap_or_else(|| panic!("{what}: {name} has no gradient"));
        let values = gradient.iter::<f32>().collect::<Vec<_>>();
        assert!(values.iter().all(|value| value.is_finite()), "{what}: the gradient of {name} is not finite");
        assert!(values.iter().any(|value| *value != 0.0), "{what}: the gradient of {name} is 0 everywhere");
    }
}

fn collect<M: Module>(model: &M, gradients: Option<&Gradients>) -> Table {
    let mut collector = Collector { path: Vec::new(), gradients, found: Table::new() };
    model.visit(&mut collector);
    collector.found
}

struct Collector<'a> {
    path: Vec<String>,
    gradients: Option<&'a Gradients>,
    found: Table,
}

impl ModuleVisitor for Collector<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.join(".");
        let values = match self.gradients {
            None => Some(param.val().into_data()),
            Some(gradients) => param.val().grad(gradients).map(Tensor::into_data),
        };
        if let Some(values) = values {
            assert!(self.found.insert(name.clone(), values).is_none(), "two parameters at {name}");
        }
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
}

struct Loader {
    path: Vec<String>,
    table: Table,
}

impl ModuleMapper for Loader {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.join(".");
        let values = self.table.remove(&name).unwrap_or_else(|| panic!("the table has no {name}"));
        let device = param.val().device();
        Param::from_tensor(Tensor::from_data(values, &device))
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
}
