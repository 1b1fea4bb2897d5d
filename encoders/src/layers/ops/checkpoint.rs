//! Gradient checkpointing: what a module computes in between is not kept for the backward pass, but computed again.

use std::fmt;
use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, DispatchDevice, DispatchKindConversion, DispatchTensor, Flex,
};
use burn::module::{Module, ModuleVisitor, Param};
use burn::prelude::*;

/// `run(module, inputs)`, of which the backward pass keeps the inputs alone: it runs `run` a second time, so that only what
/// one such call keeps in between is in memory at once. Outputs are those of the plain call, and gradients too but for the
/// order in which what several operations add to one is added up.
///
/// `run` must give the same twice: what is drawn at random is drawn outside. It sees the module and the inputs outside
/// training, then in training.
///
/// # Shapes
/// Inputs `[batch, n, d]`, each its own -> what `run` gives
///
/// # Panics
/// When there is no input, or more than [`MAX_PARENTS`] inputs and parameters.
///
/// # Reference
/// Chen et al. 2016, "Training deep nets with sublinear memory cost".
pub fn checkpointed<M, F>(module: &M, inputs: Vec<Tensor<3>>, run: F) -> Tensor<3>
where
    M: Module + 'static,
    F: Fn(&M, &[Tensor<3>]) -> Tensor<3> + Clone + Send + 'static,
{
    let device = inputs[0].device().inner();
    match device.as_dispatch() {
        DispatchDevice::Flex(_) => on::<Flex, M, F>(module, inputs, run),
        #[cfg(feature = "cuda")]
        DispatchDevice::Cube(_) => on::<burn::backend::Cube, M, F>(module, inputs, run),
        // there is no other device in this build
        #[allow(unreachable_patterns)]
        _ => run(module, &inputs),
    }
}

/// Most inputs and parameters of one call.
pub const MAX_PARENTS: usize = 64;

fn on<B, M, F>(module: &M, inputs: Vec<Tensor<3>>, run: F) -> Tensor<3>
where
    B: Backend,
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
    M: Module + 'static,
    F: Fn(&M, &[Tensor<3>]) -> Tensor<3> + Clone + Send + 'static,
{
    let mut parents = Parents::<B> { tensors: Vec::new(), is_training: false };
    inputs.iter().for_each(|input| parents.push(input.clone()));
    module.visit(&mut parents);
    if !parents.is_training {
        return run(module, &inputs);
    }
    let inputs = inputs.into_iter().map(Tensor::without_autodiff).collect();
    let call = Call { module: module.valid(), inputs, run };
    let output = match parents.tensors.len() {
        ..=16 => record::<B, M, F, 16>(call, parents.tensors),
        17..=32 => record::<B, M, F, 32>(call, parents.tensors),
        _ => record::<B, M, F, MAX_PARENTS>(call, parents.tensors),
    };
    Tensor::from_primitive::<Autodiff<B>>(output)
}

/// Nodes have a fixed number of parents: what is left over is filled with constants.
fn record<B, M, F, const N: usize>(
    call: Call<M, F>,
    mut parents: Vec<FloatTensor<Autodiff<B>>>,
) -> FloatTensor<Autodiff<B>>
where
    B: Backend,
    DispatchTensor: DispatchKindConversion<B>,
    M: Module + 'static,
    F: Fn(&M, &[Tensor<3>]) -> Tensor<3> + Clone + Send + 'static,
{
    assert!(parents.len() <= N, "checkpointed: at most {N} inputs and parameters, got {}", parents.len());
    let output = primitive::<B, 3>((call.run)(&call.module, &call.inputs));
    parents.resize_with(N, || Autodiff::<B>::from_inner(output.clone()));
    let guards: [_; N] = std::array::from_fn(|idx| parents[idx].node());
    let node = Node(PhantomData::<fn() -> (B, M, F)>);
    match node.prepare::<NoCheckpointing>(guards).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(call, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}

/// A call outside any graph.
#[derive(Clone)]
struct Call<M, F> {
    module: M,
    inputs: Vec<Tensor<3>>,
    run: F,
}

impl<M, F> fmt::Debug for Call<M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("n_inputs", &self.inputs.len()).finish_non_exhaustive()
    }
}

impl<M, F> Call<M, F>
where
    M: Module,
    F: Fn(&M, &[Tensor<3>]) -> Tensor<3>,
{
    /// The gradients of inputs and parameters from that of the output; `None` of those that need none.
    fn gradients<B: Backend>(self, grad: FloatTensor<B>) -> Vec<Option<FloatTensor<B>>>
    where
        DispatchTensor: DispatchKindConversion<B>,
    {
        let module = self.module.train();
        let inputs = self.inputs.into_iter().map(|input| input.autodiff().require_grad()).collect::<Vec<_>>();
        let output = (self.run)(&module, &inputs);
        // the derivative of this sum by the output is `grad`, bit for bit
        let gradients = (output * Tensor::<3>::from_primitive::<B>(grad).autodiff()).sum().backward();
        let mut found = Found::<B> { gradients: &gradients, values: Vec::new() };
        inputs.iter().for_each(|input| found.push(input));
        module.visit(&mut found);
        found.values
    }
}

/// A call in the graph.
struct Node<T>(PhantomData<T>);

impl<T> fmt::Debug for Node<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Checkpointed")
    }
}

impl<B, M, F, const N: usize> Backward<B, N> for Node<fn() -> (B, M, F)>
where
    B: Backend,
    DispatchTensor: DispatchKindConversion<B>,
    M: Module + 'static,
    F: Fn(&M, &[Tensor<3>]) -> Tensor<3> + Clone + Send + 'static,
{
    type State = Call<M, F>;

    fn backward(self, ops: Ops<Call<M, F>, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        for (parent, grad) in ops.parents.into_iter().zip(ops.state.gradients::<B>(grad)) {
            if let (Some(parent), Some(grad)) = (parent, grad) {
                grads.register::<B>(parent.id, grad);
            }
        }
    }
}

fn primitive<B: Backend, const D: usize>(tensor: Tensor<D>) -> FloatTensor<B>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    tensor
        .try_into_primitive::<B>()
        .expect("the inputs, the parameters and what is made of them share a backend")
}

/// Inputs and parameters of a call, the latter in the order of the module's visit.
struct Parents<B: Backend> {
    tensors: Vec<FloatTensor<Autodiff<B>>>,
    is_training: bool,
}

impl<B: Backend> Parents<B>
where
    DispatchTensor: DispatchKindConversion<Autodiff<B>>,
{
    fn push<const D: usize>(&mut self, tensor: Tensor<D>) {
        self.is_training |= tensor.is_autodiff();
        self.tensors.push(primitive::<Autodiff<B>, D>(tensor.autodiff()));
    }
}

impl<B: Backend> ModuleVisitor for Parents<B>
where
    DispatchTensor: DispatchKindConversion<Autodiff<B>>,
{
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.push(param.val());
    }
}

/// Their gradients, in the same order.
struct Found<'a, B: Backend> {
    gradients: &'a burn::tensor::Gradients,
    values: Vec<Option<FloatTensor<B>>>,
}

impl<B: Backend> Found<'_, B>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    fn push<const D: usize>(&mut self, tensor: &Tensor<D>) {
        self.values.push(tensor.grad(self.gradients).map(primitive::<B, D>));
    }
}

impl<B: Backend> ModuleVisitor for Found<'_, B>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.push(&param.val());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::initializer::Initializer;
    use crate::layers::linear::Linear;

    fn forward(linear: &Linear, inputs: &[Tensor<3>]) -> Tensor<3> {
        linear.forward(inputs[0].clone().square()).tanh() * inputs[1].clone() + inputs[0].clone()
    }

    fn inputs(device: &Device) -> Vec<Tensor<3>> {
        let values = |seed: usize| (0..24).map(move |i| ((i * 7 + seed) % 11) as f32 / 5.0 - 1.0);
        let input = |seed| TensorData::new(values(seed).collect::<Vec<_>>(), [2, 3, 4]);
        [3, 5].map(|seed| Tensor::from_data(input(seed), device)).to_vec()
    }

    #[test]
    fn outputs_and_gradients_are_those_of_the_plain_call() {
        let device = Device::flex().autodiff();
        let linear = Linear::new(4, 4, &mut Initializer::new(1, &device));
        let run = |is_checkpointed: bool| {
            let inputs = inputs(&device).into_iter().map(Tensor::require_grad).collect::<Vec<_>>();
            let output = match is_checkpointed {
                true => checkpointed(&linear, inputs.clone(), forward),
                false => forward(&linear, &inputs),
            };
            let gradients = output.clone().square().sum().backward();
            let bias = linear.bias.as_ref().expect("it has one");
            let of_inputs = inputs.iter().map(|input| input.grad(&gradients).map(Tensor::into_data));
            let of_inputs = of_inputs.collect::<Vec<_>>();
            let of_parameters = [
                linear.weight.val().grad(&gradients).map(Tensor::into_data),
                bias.val().grad(&gradients).map(Tensor::into_data),
            ];
            (output.into_data(), of_inputs, of_parameters)
        };
        let (plain, again) = (run(false), run(true));
        assert!(plain.1.iter().all(Option::is_some) && plain.2.iter().all(Option::is_some));
        assert_eq!(plain, again);
    }

    #[test]
    fn what_needs_no_gradient_gets_none() {
        let device = Device::flex().autodiff();
        let frozen = Linear::new(4, 4, &mut Initializer::new(1, &device)).no_grad();
        let mut inputs = inputs(&device);
        inputs[0] = inputs[0].clone().require_grad();
        let gradients = checkpointed(&frozen, inputs.clone(), forward).sum().backward();
        assert!(frozen.weight.val().grad(&gradients).is_none());
        assert!(inputs[0].grad(&gradients).is_some());
        assert!(inputs[1].grad(&gradients).is_none());
    }

    #[test]
    fn nothing_is_recorded_outside_training() {
        let device = Device::flex();
        let linear = Linear::new(4, 4, &mut Initializer::new(1, &device));
        let output = checkpointed(&linear, inputs(&device), forward);
        assert!(!output.is_autodiff());
        assert_eq!(output.into_data(), forward(&linear, &inputs(&device)).into_data());
    }
}
