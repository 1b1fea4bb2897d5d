//! The operations that a training step spends its time in.
//!
//! Each is a function on tensors with two implementations that agree in outputs and gradients: kernels for the CPU
//! backend (flex, float32), with hand-written backward passes, and a composition of plain tensor operations for
//! every other device and dtype. Results do not depend on the number of threads.

mod activation;
mod adamw;
mod attention;
mod checkpoint;
mod cross_entropy;
mod ctc;
mod depthwise;
mod feed_forward;
mod half_table;
mod kernel;
mod layer_norm;
mod linear;
mod matrix;
mod rms_norm;
mod simd;
mod storage;
#[cfg(test)]
mod testing;
mod unfold;

pub use activation::{Activation, activate};
pub use adamw::{AdamHyper, adamw_step, ema_update, sum_of_squares};
pub use attention::{AttentionMask, Packing, attention, cross_attention, pack, packed_attention, unpack};
pub use checkpoint::{MAX_PARENTS, checkpointed};
pub use cross_entropy::cross_entropy;
pub use ctc::ctc_loss;
pub use depthwise::depthwise_conv2d;
pub use feed_forward::feed_forward;
pub use half_table::HalfTable;
pub use layer_norm::layer_norm;
pub use linear::{linear, linear_add};
pub use rms_norm::rms_norm;
pub use unfold::unfold;
