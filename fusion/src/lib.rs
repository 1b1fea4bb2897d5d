//! The shared backbone: token sequences of any subset of text, image and audio to one fused sequence, with a
//! causal text segment that makes it a decoder too.
//!
//! # Who attends to whom
//!
//! `x`: attends to; `.`: does not. Rows look, columns are looked at. A row of the batch has 2 tokens of text, 3 of a
//! picture, and a text `c1 c2 c3` to write; whatever is padding nobody looks at.
//!
//! Inputs alone ([`Backbone::forward`](backbone::Backbone::forward)): everything sees everything.
//!
//! ```text
//!           text    picture
//!           t1 t2   p1 p2 p3
//!      t1   x  x    x  x  x
//!      t2   x  x    x  x  x
//!
//!      p1   x  x    x  x  x
//!      p2   x  x    x  x  x
//!      p3   x  x    x  x  x
//! ```
//!
//! With a text behind them ([`Backbone::forward_causal`](backbone::Backbone::forward_causal)): a prefix mask. The inputs
//! do not see the text that explains them, or they would be other tokens while it is written than in training; the
//! text sees the inputs and its own past.
//!
//! ```text
//!           text    picture    to write
//!           t1 t2   p1 p2 p3   c1 c2 c3
//!      t1   x  x    x  x  x    .  .  .
//!      t2   x  x    x  x  x    .  .  .
//!
//!      p1   x  x    x  x  x    .  .  .
//!      p2   x  x    x  x  x    .  .  .
//!      p3   x  x    x  x  x    .  .  .
//!
//!      c1   x  x    x  x  x    x  .  .
//!      c2   x  x    x  x  x    x  x  .
//!      c3   x  x    x  x  x    x  x  x
//! ```
//!
//! Decoding ([`Backbone::decode_next`](backbone::Backbone::decode_next)) computes one row of the last picture a step; the
//! keys and values of its columns are cached.
//!
//! Co-attention ([`FusionKind::CoAttention`](backbone::FusionKind)) has the same picture, in four parts: the language
//! stream is text and text to write, the perception stream is picture and sound. Each block looks at its own stream by
//! self-attention (`s`), at the other by cross-attention (`c`).
//!
//! ```text
//!           language           perception
//!           t1 t2   c1 c2 c3   p1 p2 p3
//!      t1   s  s    .  .  .    c  c  c
//!      t2   s  s    .  .  .    c  c  c
//!
//!      c1   s  s    s  .  .    c  c  c
//!      c2   s  s    s  s  .    c  c  c
//!      c3   s  s    s  s  s    c  c  c
//!
//!      p1   c  c    .  .  .    s  s  s
//!      p2   c  c    .  .  .    s  s  s
//!      p3   c  c    .  .  .    s  s  s
//! ```
//!
//! A resampled input ([`ResamplerConfig`](resampler::ResamplerConfig)) is looked at by a few learned queries first; the
//! backbone sees these in its place.
//!
//! ```text
//!           frames of a sound       queries
//!           f1 f2 f3 ..  f1500      q1 q2
//!      q1   x  x  x      x          x  x
//!      q2   x  x  x      x          x  x      2 tokens instead of 1500
//! ```

pub mod backbone;
mod co_attention;
pub mod resampler;
pub mod sequence;
