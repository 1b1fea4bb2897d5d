//! Time and memory of a training step of twelve blocks, with their insides kept and computed again.
//!
//! ```text
//! cargo bench -p triptych-encoders --bench checkpointing
//! ```

use burn::prelude::*;
use divan::{AllocProfiler, Bencher};
use triptych_encoders::layers::initializer::Initializer;
use triptych_encoders::layers::ops::AttentionMask;
use triptych_encoders::layers::transformer::TransformerConfig;

/// Prints the most bytes in use beside the median.
#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// The blocks of ViT-S/16 on a batch of pictures of 224 x 224.
const BATCH: usize = 8;
const N_TOKENS: usize = 196;

#[divan::bench(args = [false, true], sample_count = 5, sample_size = 1)]
fn forward_and_backward(bencher: Bencher<'_, '_>, checkpoint_blocks: bool) {
    let device = Device::flex().autodiff();
    let config = TransformerConfig { checkpoint_blocks, ..TransformerConfig::new(384, 12, 6) };
    let model = config.init(&mut Initializer::new(1, &device)).expect("sizes that fit");
    let tokens = Tensor::<3>::ones([BATCH, N_TOKENS, config.d_model], &device);
    let mask = AttentionMask::bidirectional(None);
    bencher.bench_local(|| model.forward(tokens.clone(), &mask).square().sum().backward());
}
