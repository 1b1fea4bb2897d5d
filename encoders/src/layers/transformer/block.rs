//! One block: attention, attention to another sequence where there is one, feed-forward.

use burn::module::{Module, Param};
use burn::prelude::*;

use super::config::TransformerConfig;
use super::cross::CrossAttention;
use super::surroundings::Surroundings;
use crate::layers::experts::{Experts, ExpertsConfig};
use crate::layers::feed_forward::FeedForward;
use crate::layers::initializer::Initializer;
use crate::layers::linear::Linear;
use crate::layers::norm::Norm;
use crate::layers::ops;
use crate::layers::rotary::Rotary;

/// What attention's and the feed-forward's additions are multiplied by, where samples skip them.
pub(super) type Paths = [Option<Tensor<3>>; 2];

#[derive(Module, Debug)]
pub(super) struct Block {
    attention_norm: Norm,
    /// Queries of every head, then keys, then values.
    query_key_value: Linear,
    attention_out: Linear,
    attention_scale: Option<Param<Tensor<1>>>,
    cross: Option<CrossAttention>,
    feed_forward_norm: Norm,
    feed_forward: FeedForward,
    feed_forward_scale: Option<Param<Tensor<1>>>,
    /// The first expert is `feed_forward`.
    experts: Option<Experts>,
    n_heads: usize,
    n_key_heads: usize,
    norm_first: bool,
    drop_path: f64,
}

impl Block {
    pub(super) fn new(
        config: &TransformerConfig,
        d_context: Option<usize>,
        experts: Option<&ExpertsConfig>,
        idx: usize,
        init: &mut Initializer,
    ) -> Self {
        let (d_model, block) = (config.d_model, &config.block);
        let d_keys = 2 * config.n_key_heads() * config.d_head();
        let attention_norm = config.norm(init);
        let query_key_value = Linear::with_bias(block.has_bias, d_model, d_model + d_keys, init);
        let mut attention_out = Linear::with_bias(block.has_bias, d_model, d_model, init);
        let cross = d_context.map(|d_context| CrossAttention::new(config, d_context, init));
        let feed_forward_norm = config.norm(init);
        let mut feed_forward = config.feed_forward().init(init);
        let factor =
            if block.scale_outputs_by_depth { 1.0 / (2.0 * config.depth as f64).sqrt() } else { 1.0 };
        if block.scale_outputs_by_depth {
            attention_out = attention_out.scaled(factor);
            feed_forward = feed_forward.with_scaled_output(factor);
        }
        let experts = experts.map(|experts| experts.init(&config.feed_forward(), factor, init));
        let mut scale = || block.layer_scale.map(|start| init.constant([d_model], start));
        Self {
            attention_scale: scale(),
            feed_forward_scale: scale(),
            attention_norm,
            query_key_value,
            attention_out,
            cross,
            feed_forward_norm,
            feed_forward,
            experts,
            n_heads: config.n_heads,
            n_key_heads: config.n_key_heads(),
            norm_first: block.norm_first,
            drop_path: block.drop_path * idx as f64 / config.depth.saturating_sub(1).max(1) as f64,
        }
    }

    /// `[batch, n_tokens, d_model]` -> the same
    pub(super) fn forward(&self, tokens: Tensor<3>, around: &Surroundings) -> Tensor<3> {
        self.forward_keeping_keys(tokens, around, None).0
    }

    /// The tokens, and the keys and values of their attention, `[batch, n_tokens, 2 * n_key_heads * d_head]`. The
    /// context's keys and values are computed where they are not given.
    pub(super) fn forward_keeping_keys(
        &self,
        tokens: Tensor<3>,
        around: &Surroundings,
        context_keys: Option<&Tensor<3>>,
    ) -> (Tensor<3>, Tensor<3>) {
        self.forward_on_paths(tokens, around, context_keys, &self.draw_paths(around))
    }

    /// Which samples skip attention and which the feed-forward, in training.
    pub(super) fn draw_paths(&self, around: &Surroundings) -> Paths {
        [around.dropped(self.drop_path), around.dropped(self.drop_path)]
    }

    /// The same with what is random drawn before.
    pub(super) fn forward_on_paths(
        &self,
        tokens: Tensor<3>,
        around: &Surroundings,
        context_keys: Option<&Tensor<3>>,
        [attention_path, feed_forward_path]: &Paths,
    ) -> (Tensor<3>, Tensor<3>) {
        let [_, _, d_model] = tokens.dims();
        let qkv = self.queries_keys_values(tokens.clone(), around.rotary.as_ref());
        let width = qkv.dims()[2];
        let key_value = qkv.clone().narrow(2, d_model, width - d_model);
        let attended = around.attend(self.for_every_head(qkv, d_model), self.n_heads);
        let tokens = self.add_attention(tokens, attended, attention_path.as_ref());
        let tokens = match (&self.cross, context_keys) {
            (None, _) => tokens,
            (Some(cross), Some(keys)) => cross.forward_with_keys(tokens, keys, around, self.norm_first),
            (Some(cross), None) => cross.forward(tokens, around, self.norm_first),
        };
        (self.add_feed_forward(tokens, around, feed_forward_path.as_ref()), key_value)
    }

    /// The keys and values of another sequence, for [`Self::forward_cached`]; none in blocks that attend to no other.
    pub(super) fn context_keys(&self, context: &Tensor<3>) -> Option<Tensor<3>> {
        self.cross.as_ref().map(|cross| cross.keys(context.clone()))
    }

    /// One more token a row behind `cache`, which it is added to.
    pub(super) fn forward_cached(
        &self,
        token: Tensor<3>,
        is_pad: Option<&Tensor<2, Bool>>,
        cache: &mut Tensor<3>,
        around: &Surroundings,
        context_keys: Option<&Tensor<3>>,
    ) -> Tensor<3> {
        let [_, _, d_model] = token.dims();
        let qkv = self.queries_keys_values(token.clone(), around.rotary.as_ref());
        let width = qkv.dims()[2];
        let query = qkv.clone().narrow(2, 0, d_model);
        *cache = Tensor::cat(vec![cache.clone(), qkv.narrow(2, d_model, width - d_model)], 1);
        let keys = self.for_every_head(cache.clone(), 0);
        let attended = ops::cross_attention(query, keys, self.n_heads, is_pad.cloned());
        let token = self.add_attention(token, attended, None);
        let token = match (&self.cross, context_keys) {
            (Some(cross), Some(keys)) => cross.forward_with_keys(token, keys, around, self.norm_first),
            _ => token,
        };
        self.add_feed_forward(token, around, None)
    }

    fn queries_keys_values(&self, tokens: Tensor<3>, rotary: Option<&Rotary>) -> Tensor<3> {
        let [_, _, d_model] = tokens.dims();
        let tokens = if self.norm_first { self.attention_norm.forward(tokens) } else { tokens };
        let qkv = self.query_key_value.forward(tokens);
        let Some(rotary) = rotary else { return qkv };
        let (n_rotated, width) = (self.n_heads + self.n_key_heads, qkv.dims()[2]);
        let rotated_width = n_rotated * (d_model / self.n_heads);
        let rotated = rotary.rotate(qkv.clone().narrow(2, 0, rotated_width), n_rotated);
        Tensor::cat(vec![rotated, qkv.narrow(2, rotated_width, width - rotated_width)], 2)
    }

    /// Repeats keys and values for the query heads that share them; `n_before` channels stand before the keys.
    fn for_every_head(&self, x: Tensor<3>, n_before: usize) -> Tensor<3> {
        if self.n_key_heads == self.n_heads {
            return x;
        }
        let [batch, n_tokens, width] = x.dims();
        let half = (width - n_before) / 2;
        let (d_head, group) = (half / self.n_key_heads, self.n_heads / self.n_key_heads);
        let repeat = |x: Tensor<3>| {
            x.reshape([batch, n_tokens, self.n_key_heads, 1, d_head]).repeat_dim(3, group).reshape([
                batch,
                n_tokens,
                self.n_heads * d_head,
            ])
        };
        let mut parts = Vec::with_capacity(3);
        if n_before > 0 {
            parts.push(x.clone().narrow(2, 0, n_before));
        }
        parts.push(repeat(x.clone().narrow(2, n_before, half)));
        parts.push(repeat(x.narrow(2, n_before + half, half)));
        Tensor::cat(parts, 2)
    }

    fn add_attention(&self, tokens: Tensor<3>, attended: Tensor<3>, path: Option<&Tensor<3>>) -> Tensor<3> {
        let tokens = if self.attention_scale.is_none() && path.is_none() {
            self.attention_out.forward_add(attended, tokens)
        } else {
            add(tokens, self.attention_out.forward(attended), self.attention_scale.as_ref(), path)
        };
        if self.norm_first { tokens } else { self.attention_norm.forward(tokens) }
    }

    fn add_feed_forward(
        &self,
        tokens: Tensor<3>,
        around: &Surroundings,
        path: Option<&Tensor<3>>,
    ) -> Tensor<3> {
        let input =
            if self.norm_first { self.feed_forward_norm.forward(tokens.clone()) } else { tokens.clone() };
        let hidden = match &self.experts {
            None => self.feed_forward.forward(input),
            Some(experts) => around.through(experts, &self.feed_forward, input),
        };
        let tokens = add(tokens, hidden, self.feed_forward_scale.as_ref(), path);
        if self.norm_first { tokens } else { self.feed_forward_norm.forward(tokens) }
    }
}

fn add(
    tokens: Tensor<3>,
    branch: Tensor<3>,
    scale: Option<&Param<Tensor<1>>>,
    path: Option<&Tensor<3>>,
) -> Tensor<3> {
    let branch = match scale {
        Some(scale) => branch * scale.val().unsqueeze::<3>(),
        None => branch,
    };
    match path {
        Some(factor) => tokens + branch * factor.clone(),
        None => tokens + branch,
    }
}
