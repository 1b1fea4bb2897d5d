//! Two streams, language and perception, each of which attends to the other in every block.

use burn::module::Module;
use burn::prelude::*;
use triptych_encoders::ConfigError;
use triptych_encoders::layers::cost::{Cost, CostTree};
use triptych_encoders::layers::initializer::Initializer;
use triptych_encoders::layers::norm::Norm;
use triptych_encoders::layers::ops::AttentionMask;
use triptych_encoders::layers::transformer::{Context, KeyValueCache, Transformer, TransformerConfig};

/// Tokens of one stream.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    /// `[batch, n_tokens, d_model]`
    pub(crate) tokens: Tensor<3>,
    /// `[batch, n_tokens]`, true = ignore
    pub(crate) is_pad: Tensor<2, Bool>,
}

/// What co-attention adds to the blocks of the language stream.
///
/// In each block a stream attends to itself, then to what the other stream was at the block's start, normalised where
/// blocks are pre-norm; then comes its feed-forward.
///
/// # Reference
/// Lu et al. 2019 (ViLBERT); Dou et al. 2022 (METER), section 3.1, "co-attention".
///
/// # Differences from the reference
/// Pictures and sounds are one stream. The language stream may end in a causal text, which the perception does not see.
#[derive(Module, Debug)]
pub(crate) struct CoAttention {
    perception: Transformer,
    /// Of language as perception attends to it, one a block; none in post-norm blocks.
    language_norms: Vec<Norm>,
    /// Of perception as language attends to it.
    perception_norms: Vec<Norm>,
}

impl CoAttention {
    /// The blocks of the language stream, and what goes beside them.
    pub(crate) fn init(
        config: &TransformerConfig,
        init: &mut Initializer,
    ) -> Result<(Transformer, Self), ConfigError> {
        let language = config.init_attending(config.d_model, init)?;
        let perception = config.init_attending(config.d_model, init)?;
        let n_norms = if config.block.norm_first { config.depth } else { 0 };
        let mut norms = || (0..n_norms).map(|_| config.norm(init)).collect();
        Ok((language, Self { perception, language_norms: norms(), perception_norms: norms() }))
    }

    /// What `n_language` tokens, of which perception sees `n_text`, beside `n_perception` tokens cost.
    pub(crate) fn cost(
        config: &TransformerConfig,
        n_language: usize,
        n_text: usize,
        n_perception: usize,
    ) -> Vec<CostTree> {
        let d_model = config.d_model;
        let norms = |n| {
            if config.block.norm_first { config.norm_cost(n) * config.depth as u64 } else { Cost::default() }
        };
        vec![
            config.cost_attending(n_language, [n_perception, d_model]),
            config.cost_attending(n_perception, [n_text, d_model]).named("perception"),
            CostTree::leaf("language_norms", &[n_text, d_model], norms(n_text)),
            CostTree::leaf("perception_norms", &[n_perception, d_model], norms(n_perception)),
        ]
    }

    /// Both streams behind the last block. Perception sees the first `n_text` tokens of language, the rest of which is
    /// causal.
    pub(crate) fn forward(
        &self,
        blocks: &Transformer,
        language: Stream,
        perception: Stream,
        n_text: usize,
    ) -> [Tensor<3>; 2] {
        self.run(blocks, language, perception, n_text, |idx, tokens, mask, context| {
            blocks.forward_block(idx, tokens, mask, context)
        })
    }

    /// The same without a causal text, and what decoding one behind it needs.
    pub(crate) fn prefill(
        &self,
        blocks: &Transformer,
        language: Stream,
        perception: Stream,
    ) -> ([Tensor<3>; 2], KeyValueCache) {
        let [_, n_text, _] = language.tokens.dims();
        let is_pad = perception.is_pad.clone();
        let mut kept = Vec::with_capacity(blocks.depth());
        let streams = self.run(blocks, language, perception, n_text, |idx, tokens, mask, context| {
            let (tokens, keys) = blocks.prefill_block(idx, tokens, mask, context);
            kept.push(keys);
            tokens
        });
        let context = Context { tokens: streams[1].clone(), is_pad: Some(is_pad) };
        (streams, KeyValueCache::of_blocks(kept, context))
    }

    fn run(
        &self,
        blocks: &Transformer,
        language: Stream,
        perception: Stream,
        n_text: usize,
        mut step: impl FnMut(usize, Tensor<3>, &AttentionMask, &Context) -> Tensor<3>,
    ) -> [Tensor<3>; 2] {
        let language_mask = AttentionMask::prefix(Some(language.is_pad.clone()), n_text);
        let perception_mask = AttentionMask::bidirectional(Some(perception.is_pad.clone()));
        let text_is_pad = language.is_pad.narrow(1, 0, n_text);
        let (mut language, mut sight) = (language.tokens, perception.tokens);
        for idx in 0..blocks.depth() {
            let seen = |norms: &[Norm], tokens: Tensor<3>, is_pad: &Tensor<2, Bool>| Context {
                tokens: norms.get(idx).map_or_else(|| tokens.clone(), |norm| norm.forward(tokens.clone())),
                is_pad: Some(is_pad.clone()),
            };
            let by_language = seen(&self.perception_norms, sight.clone(), &perception.is_pad);
            let text = language.clone().narrow(1, 0, n_text);
            let by_perception = seen(&self.language_norms, text, &text_is_pad);
            language = step(idx, language, &language_mask, &by_language);
            sight = self.perception.forward_block(idx, sight, &perception_mask, &by_perception);
        }
        [blocks.finish(language), self.perception.finish(sight)]
    }
}
