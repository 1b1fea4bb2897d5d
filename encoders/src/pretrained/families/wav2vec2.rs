//! wav2vec 2.0: waveforms to vectors.

use serde::{Deserialize, Serialize};

use super::blocks::{BlockNames, activation, transformer};
use super::{Family, LargestSample};
use crate::ConfigError;
use crate::audio::{Wav2vec2, Wav2vec2Config, WaveformConvolutionsConfig, WaveformNorm};
use crate::layers::cost::{self, CostTree};
use crate::layers::initializer::Initializer;
use crate::layers::transformer::{BlockConfig, TransformerConfig};
use crate::pretrained::mapping::{Layout, Mapping, Part};
use crate::pretrained::preprocessing::WaveformSettings;
use crate::pretrained::{Checkpoint, CheckpointError, PublishedConfig};

/// Sizes of a published [`Wav2vec2`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedWav2vec2Config {
    /// Over the waveform.
    pub convolutions: WaveformConvolutionsConfig,
    /// Kernel and groups of the convolution that gives positions.
    pub position_kernel: usize,
    /// See there.
    pub position_groups: usize,
    /// Whether the checkpoint has the vector that stood for masked tokens in pre-training.
    pub has_mask: bool,
    /// How its convolution's weight is named, which changed with PyTorch 2.
    pub has_older_names: bool,
    /// The blocks; post-norm in the base size, pre-norm in the large one.
    pub transformer: TransformerConfig,
}

impl PublishedWav2vec2Config {
    /// The encoder's sizes.
    pub fn encoder(&self) -> Wav2vec2Config {
        Wav2vec2Config {
            convolutions: self.convolutions.clone(),
            position_kernel: self.position_kernel,
            position_groups: self.position_groups,
            transformer: self.transformer.clone(),
        }
    }

    /// Random weights.
    ///
    /// # Errors
    /// When sizes do not fit together.
    pub fn init(&self, init: &mut Initializer) -> Result<Wav2vec2, ConfigError> {
        let model = self.encoder().build(init)?;
        Ok(if self.has_mask { model.with_mask(self.transformer.d_model, init) } else { model })
    }
}

/// A model of this family hears sounds of any length; what it costs is told for this one.
const SOUND_S: f64 = 10.0;

/// See the module's documentation.
#[derive(Debug)]
pub struct Wav2vec2Family;

/// The last part of the names of a convolution's direction and lengths, before and since PyTorch 2.
const OLDER_NAMES: [&str; 2] = ["weight_v", "weight_g"];
const NAMES: [&str; 2] = ["parametrizations.weight.original1", "parametrizations.weight.original0"];

/// The convolution for positions.
const POSITIONS: &str = "encoder.pos_conv_embed.conv";

impl Family for Wav2vec2Family {
    type Config = PublishedWav2vec2Config;
    type Model = Wav2vec2;
    const NAME: &'static str = "wav2vec2";
    const ABOUT: &'static str = "wav2vec 2.0: waveforms to vectors";
    const MODEL_TYPES: &'static [&'static str] = &["wav2vec2"];

    fn config(
        published: &PublishedConfig,
        weights: &Checkpoint,
    ) -> Result<PublishedWav2vec2Config, CheckpointError> {
        published.only("add_adapter", false)?;
        if published.table().get("adapter_attn_dim").is_some_and(|value| !value.is_null()) {
            return Err(published.wrong(
                "adapter_attn_dim",
                "null, as adapters are not implemented",
                "a width",
            ));
        }
        let norms = [("group", WaveformNorm::FirstOverTime), ("layer", WaveformNorm::EachOverChannels)];
        let channels = published.sizes("conv_dim", &[512; 7])?;
        let kernels = published.sizes("conv_kernel", &[10, 3, 3, 3, 3, 2, 2])?;
        let strides = published.sizes("conv_stride", &[5, 2, 2, 2, 2, 2, 2])?;
        for (key, sizes) in [("conv_kernel", &kernels), ("conv_stride", &strides)] {
            if sizes.len() != channels.len() {
                let expected = format!("{} sizes, as many as in `conv_dim`", channels.len());
                return Err(published.wrong(key, &expected, &sizes.len().to_string()));
            }
        }
        let layers = channels.iter().zip(&kernels).zip(&strides);
        let norm_first = published.flag("do_stable_layer_norm", false)?;
        let mut transformer = transformer(published, [768, 12, 12, 3072], (1e-5, "gelu"))?;
        transformer.block = BlockConfig { norm_first, ..transformer.block };
        let ends = |end: &str| weights.tensors().any(|(name, _)| name.ends_with(end));
        Ok(PublishedWav2vec2Config {
            convolutions: WaveformConvolutionsConfig {
                layers: layers.map(|((&channels, &kernel), &stride)| [channels, kernel, stride]).collect(),
                norm: published.choice("feat_extract_norm", "group", &norms)?,
                has_bias: published.flag("conv_bias", false)?,
                activation: activation(published, "feat_extract_activation", "gelu")?,
            },
            position_kernel: published.size("num_conv_pos_embeddings", 128)?,
            position_groups: published.size("num_conv_pos_embedding_groups", 16)?,
            has_mask: ends("masked_spec_embed"),
            has_older_names: ends(&format!("{POSITIONS}.weight_g")),
            transformer,
        })
    }

    fn init(config: &PublishedWav2vec2Config, init: &mut Initializer) -> Result<Wav2vec2, ConfigError> {
        config.init(init)
    }

    fn mapping(config: &PublishedWav2vec2Config) -> Mapping {
        const BLOCK: BlockNames = BlockNames {
            attention_norm: "layer_norm",
            query: "attention.q_proj",
            key: "attention.k_proj",
            value: "attention.v_proj",
            out: "attention.out_proj",
            feed_forward_norm: "final_layer_norm",
            up: "feed_forward.intermediate_dense",
            down: "feed_forward.output_dense",
            has_key_bias: true,
        };
        let mut mapping = Mapping::new();
        mapping.added_prefix("wav2vec2.");
        // heads of pre-training and of recognition
        for head in
            ["quantizer.*", "project_hid.*", "project_q.*", "lm_head.*", "classifier.*", "projector.*"]
        {
            mapping.ignore(head);
        }
        let convolutions = &config.convolutions;
        for (idx, &[_, kernel, _]) in convolutions.layers.iter().enumerate() {
            let ours = format!("convolutions.layers.{idx}.weight");
            let published = format!("feature_extractor.conv_layers.{idx}");
            let layout = Layout::Kernel(vec![kernel]);
            mapping.tensor(format!("{ours}.weight"), format!("{published}.conv.weight"), layout);
            if convolutions.has_bias {
                mapping.same(format!("{ours}.bias"), format!("{published}.conv.bias"));
            }
            if idx == 0 || convolutions.norm == WaveformNorm::EachOverChannels {
                mapping.norm(&format!("convolutions.norms.{idx}"), &format!("{published}.layer_norm"));
            }
        }
        mapping.norm("norm", "feature_projection.layer_norm");
        mapping.linear("projection", "feature_projection.projection");
        if config.has_mask {
            mapping.same("mask", "masked_spec_embed");
        }
        let [direction, lengths] = if config.has_older_names { OLDER_NAMES } else { NAMES };
        let weight = Part::WeightNorm {
            direction: format!("{POSITIONS}.{direction}"),
            lengths: format!("{POSITIONS}.{lengths}"),
            layout: Layout::GroupedKernel(vec![config.position_kernel]),
            axis: 2,
        };
        mapping.parts("positions.weight", [weight]);
        mapping.same("positions.bias", format!("{POSITIONS}.bias"));
        let norm = if config.transformer.block.norm_first { "transformer.norm" } else { "first_norm" };
        mapping.norm(norm, "encoder.layer_norm");
        BLOCK.declare(&mut mapping, "transformer", "encoder.layers", config.transformer.depth);
        mapping
    }

    fn n_vocab(_: &PublishedWav2vec2Config) -> Option<usize> {
        None
    }

    fn largest_sample(_: &PublishedWav2vec2Config) -> LargestSample {
        LargestSample { sound_s: Some(SOUND_S), ..LargestSample::default() }
    }

    fn cost(config: &PublishedWav2vec2Config) -> CostTree {
        // of 10 ms each
        let mut tree = config.encoder().cost((SOUND_S * 100.0) as usize);
        if config.has_mask {
            let d_model = config.transformer.d_model;
            let (shape, name) = (tree.shape.clone(), tree.name.clone());
            tree.parts.push(CostTree::leaf("mask", &[d_model], cost::table(1, d_model)));
            tree = CostTree::of(&name, &shape, tree.parts);
        }
        tree
    }

    fn check_preprocessing(
        _: &PublishedWav2vec2Config,
        settings: &PublishedConfig,
    ) -> Result<(), CheckpointError> {
        WaveformSettings::read(settings).map(|_| ())
    }
}
