//! How much memory a training step takes with and without gradient checkpointing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::module::Module;
use burn::prelude::*;
use triptych_encoders::layers::initializer::Initializer;
use triptych_encoders::layers::ops::AttentionMask;
use triptych_encoders::layers::transformer::TransformerConfig;

/// The system's allocator, with the bytes in use counted.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed on to the system's allocator
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let in_use = IN_USE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(in_use, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const BATCH: usize = 4;
const N_TOKENS: usize = 64;

/// The most bytes that a forward and backward pass takes beside weights, their gradients and inputs.
fn peak_bytes(config: &TransformerConfig) -> usize {
    let device = Device::flex().autodiff();
    let model = config.init(&mut Initializer::new(1, &device)).expect("sizes that fit");
    let tokens = Tensor::<3>::ones([BATCH, N_TOKENS, config.d_model], &device);
    let before = IN_USE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let loss = model.forward(tokens, &AttentionMask::bidirectional(None)).square().sum();
    let gradients = loss.backward();
    let peak = PEAK.load(Ordering::Relaxed) - before;
    drop(gradients);
    peak.saturating_sub(4 * model.num_params())
}

// one test alone: others would be counted too
#[test]
fn checkpointed_blocks_take_the_activations_of_one_block() {
    let config = |depth, checkpoint_blocks| TransformerConfig {
        checkpoint_blocks,
        ..TransformerConfig::new(64, depth, 4)
    };
    // the first pass makes what is made once
    peak_bytes(&config(1, false));
    let [shallow, deep] = [2, 12].map(|depth| peak_bytes(&config(depth, false)));
    let [shallow_again, deep_again] = [2, 12].map(|depth| peak_bytes(&config(depth, true)));
    eprintln!(
        "2 and 12 blocks: {shallow} and {deep} bytes kept, {shallow_again} and {deep_again} checkpointed"
    );
    assert!(shallow_again < shallow, "{shallow_again} bytes of {shallow}");
    assert!(5 * deep_again < deep, "{deep_again} bytes of {deep}");
    // each block more keeps its input
    let input_bytes = 4 * BATCH * N_TOKENS * 64;
    let one_block = (deep - shallow) / 10;
    assert!(deep_again < 12 * input_bytes + 2 * one_block, "{deep_again} bytes, a block keeps {one_block}");
}
