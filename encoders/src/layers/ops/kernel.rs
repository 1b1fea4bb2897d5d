//! How a kernel enters Burn: one extension trait that runs it on flex, and one graph node that runs its hand-written
//! backward pass.

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, DispatchDevice, Flex, backend_extension};
use burn::prelude::*;
use burn::tensor::DType;

use super::storage::contiguous;

/// An operation on `N` float32 tensors with a hand-written backward pass. All tensors arrive contiguous.
pub(super) trait Kernel<const N: usize>: Clone + Debug + Send + 'static {
    /// What the backward pass needs.
    type Saved: Clone + Debug + Send + 'static;

    /// The output, and what to save.
    fn forward(&self, inputs: [FlexTensor; N]) -> (FlexTensor, Self::Saved);

    /// The gradients of the inputs from the gradient of the output. One that is not `needed` may be `None`.
    fn backward(&self, saved: Self::Saved, grad: FlexTensor, needed: [bool; N]) -> [Option<FlexTensor>; N];
}

/// Whether kernels run on the tensor: flex, with or without autodiff, in float32.
pub(super) fn runs_on<const D: usize>(tensor: &Tensor<D>) -> bool {
    let device = tensor.device();
    let device = match device.as_dispatch() {
        DispatchDevice::Autodiff(device) => device,
        device => device,
    };
    matches!(device, DispatchDevice::Flex(_)) && tensor.dtype() == DType::F32
}

/// Runs kernels. A call on another backend than flex panics: ask [`runs_on`] first.
#[backend_extension(Flex, Autodiff)]
pub(super) trait RunKernel: Backend {
    fn run_1<K: Kernel<1>>(kernel: K, a: FloatTensor<Self>) -> FloatTensor<Self>;
    fn run_2<K: Kernel<2>>(kernel: K, a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self>;
    fn run_3<K: Kernel<3>>(
        kernel: K,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    fn run_4<K: Kernel<4>>(
        kernel: K,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    fn run_5<K: Kernel<5>>(
        kernel: K,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        e: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// Implements the methods of [`RunKernel`] by one function of an array.
macro_rules! run_by {
    ($run:path) => {
        run_by!($run, run_1: 1(a), run_2: 2(a, b), run_3: 3(a, b, c), run_4: 4(a, b, c, d), run_5: 5(a, b, c, d, e));
    };
    ($run:path, $($name:ident: $n:literal($($arg:ident),*)),*) => { $(
        fn $name<K: Kernel<$n>>(kernel: K, $($arg: FloatTensor<Self>),*) -> FloatTensor<Self> {
            $run(kernel, [$($arg),*])
        }
    )* };
}

impl RunKernel for Flex {
    run_by!(run);
}

impl<C: CheckpointStrategy> RunKernel for Autodiff<Flex, C> {
    run_by!(run_tracked::<C, _, _>);
}

fn run<K: Kernel<N>, const N: usize>(kernel: K, inputs: [FlexTensor; N]) -> FlexTensor {
    kernel.forward(inputs.map(contiguous)).0
}

fn run_tracked<C: CheckpointStrategy, K: Kernel<N>, const N: usize>(
    kernel: K,
    inputs: [FloatTensor<Autodiff<Flex, C>>; N],
) -> FloatTensor<Autodiff<Flex, C>> {
    let guards = inputs.each_ref().map(|input| input.node());
    let (output, saved) = kernel.forward(inputs.map(|input| contiguous(input.into_primitive())));
    match Node(PhantomData).prepare::<C>(guards).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish((kernel, saved), output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}

/// A kernel in the graph.
#[derive(Debug)]
struct Node<K>(PhantomData<K>);

impl<K: Kernel<N>, const N: usize> Backward<Flex, N> for Node<K> {
    type State = (K, K::Saved);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (kernel, saved) = ops.state;
        let grad = contiguous(grads.consume::<Flex>(&ops.node));
        let needed = ops.parents.each_ref().map(Option::is_some);
        for (parent, grad) in ops.parents.into_iter().zip(kernel.backward(saved, grad, needed)) {
            if let (Some(parent), Some(grad)) = (parent, grad) {
                grads.register::<Flex>(parent.id, grad);
            }
        }
    }
}

/// Runs a kernel on tensors, as many as it takes: `fused!(kernel; a, b)`.
macro_rules! fused {
    ($kernel:expr; $a:expr) => { $crate::layers::ops::kernel::fused!(@ run_1, $kernel, $a) };
    ($kernel:expr; $a:expr, $b:expr) => { $crate::layers::ops::kernel::fused!(@ run_2, $kernel, $a, $b) };
    ($kernel:expr; $a:expr, $b:expr, $c:expr) => { $crate::layers::ops::kernel::fused!(@ run_3, $kernel, $a, $b, $c) };
    ($kernel:expr; $a:expr, $b:expr, $c:expr, $d:expr) => {
        $crate::layers::ops::kernel::fused!(@ run_4, $kernel, $a, $b, $c, $d)
    };
    ($kernel:expr; $a:expr, $b:expr, $c:expr, $d:expr, $e:expr) => {
        $crate::layers::ops::kernel::fused!(@ run_5, $kernel, $a, $b, $c, $d, $e)
    };
    (@ $run:ident, $kernel:expr, $($input:expr),*) => {
        burn::tensor::Tensor::from_dispatch(
            <burn::backend::Dispatch as $crate::layers::ops::kernel::RunKernel>::$run(
                $kernel, $($input.into_dispatch()),*
            )
        )
    };
}
pub(super) use fused;
