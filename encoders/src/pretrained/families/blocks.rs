//! What the families' transformers have in common: their settings, and the names in their blocks.

use crate::layers::ops::Activation;
use crate::layers::transformer::{BlockConfig, TransformerConfig};
use crate::pretrained::config::PublishedConfig;
use crate::pretrained::error::CheckpointError;
use crate::pretrained::mapping::{Layout, Mapping, Part};

/// The non-linearities by the names that `transformers` gives them.
const ACTIVATIONS: [(&str, Activation); 7] = [
    ("gelu", Activation::Gelu),
    ("gelu_new", Activation::GeluTanh),
    ("gelu_pytorch_tanh", Activation::GeluTanh),
    ("quick_gelu", Activation::QuickGelu),
    ("relu", Activation::Relu),
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
];

/// The non-linearity under a key.
pub(super) fn activation(
    config: &PublishedConfig,
    key: &str,
    default: &str,
) -> Result<Activation, CheckpointError> {
    config.choice(key, default, &ACTIVATIONS)
}

/// Blocks by the settings of BERT and its kin; the defaults are those of a base size: width, depth, heads, hidden width.
pub(super) fn transformer(
    config: &PublishedConfig,
    [d_model, depth, n_heads, d_hidden]: [usize; 4],
    (epsilon, activation_default): (f64, &str),
) -> Result<TransformerConfig, CheckpointError> {
    let block = BlockConfig {
        d_hidden: Some(config.size("intermediate_size", d_hidden)?),
        norm_epsilon: config.positive("layer_norm_eps", epsilon)?,
        activation: activation(config, "hidden_act", activation_default)?,
        ..BlockConfig::default()
    };
    let sizes = TransformerConfig::new(
        config.size("hidden_size", d_model)?,
        config.size("num_hidden_layers", depth)?,
        config.size("num_attention_heads", n_heads)?,
    );
    Ok(sizes.with_block(block))
}

/// The names of what a block consists of, behind the block's own.
pub(super) struct BlockNames {
    pub(super) attention_norm: &'static str,
    pub(super) query: &'static str,
    pub(super) key: &'static str,
    pub(super) value: &'static str,
    pub(super) out: &'static str,
    pub(super) feed_forward_norm: &'static str,
    pub(super) up: &'static str,
    pub(super) down: &'static str,
    /// Whether keys have a bias.
    pub(super) has_key_bias: bool,
}

impl BlockNames {
    /// Of CLIP and SigLIP.
    pub(super) const CLIP: Self = Self {
        attention_norm: "layer_norm1",
        query: "self_attn.q_proj",
        key: "self_attn.k_proj",
        value: "self_attn.v_proj",
        out: "self_attn.out_proj",
        feed_forward_norm: "layer_norm2",
        up: "mlp.fc1",
        down: "mlp.fc2",
        has_key_bias: true,
    };

    /// Declares the blocks at `ours`, numbered behind `published`.
    pub(super) fn declare(&self, mapping: &mut Mapping, ours: &str, published: &str, depth: usize) {
        for idx in 0..depth {
            let ours = format!("{ours}.blocks.{idx}");
            let named = |name: &str| format!("{published}.{idx}.{name}");
            mapping.norm(&format!("{ours}.attention_norm"), &named(self.attention_norm));
            let projections = [named(self.query), named(self.key), named(self.value)];
            packed(
                mapping,
                &format!("{ours}.query_key_value"),
                &projections,
                (!self.has_key_bias).then_some(1),
            );
            mapping.linear(&format!("{ours}.attention_out"), &named(self.out));
            mapping.norm(&format!("{ours}.feed_forward_norm"), &named(self.feed_forward_norm));
            mapping.linear(&format!("{ours}.feed_forward.up"), &named(self.up));
            mapping.linear(&format!("{ours}.feed_forward.down"), &named(self.down));
        }
    }
}

/// A linear map whose outputs are those of several published ones, of which that of the keys, at `without_bias`, has no
/// bias.
pub(super) fn packed(mapping: &mut Mapping, ours: &str, published: &[String], without_bias: Option<usize>) {
    let weight = |name: &String| Part::Tensor(format!("{name}.weight"), Layout::Transposed);
    mapping.parts(format!("{ours}.weight"), published.iter().map(weight).collect::<Vec<_>>());
    let bias = |(idx, name): (usize, &String)| match without_bias == Some(idx) {
        true => Part::WithoutEffect,
        false => Part::Tensor(format!("{name}.bias"), Layout::Same),
    };
    mapping.parts(format!("{ours}.bias"), published.iter().enumerate().map(bias).collect::<Vec<_>>());
}
