//! The text encoders.

use burn::prelude::*;
use triptych_datasets::batch::TextBatch;
use triptych_encoders::layers::cost::CostTree;
use triptych_encoders::layers::initializer::Initializer;
use triptych_encoders::layers::transformer::TransformerConfig;
use triptych_encoders::text::{
    BertConfig, CausalTextConfig, LstmConfig, TextEncoder, TextEncoderConfig, TextTransformerConfig,
};
use triptych_encoders::{Modality, TextInput, TokenSequence};

use crate::{Kind, Row, conformance, noise};

const N_VOCAB: usize = 20;

struct Text;

impl Kind for Text {
    type Config = TextEncoderConfig;
    type Encoder = TextEncoder;
    const MODALITY: Modality = Modality::Text;

    /// With and without what is optional.
    fn registry() -> Vec<(&'static str, TextEncoderConfig)> {
        let mut registry = TextEncoderConfig::registry();
        let bert = BertConfig { n_segments: 0, ..BertConfig::tiny() };
        registry.push(("bert without segments", TextEncoderConfig::Bert(bert)));
        let gpt2 = CausalTextConfig { transformer: TransformerConfig::tiny(), ..CausalTextConfig::tiny() };
        registry.push(("causal with learned positions", TextEncoderConfig::Causal(gpt2)));
        registry
    }

    fn d_model(config: &TextEncoderConfig) -> usize {
        config.d_model()
    }

    fn init(config: &TextEncoderConfig, init: &mut Initializer) -> TextEncoder {
        config.init(N_VOCAB, init).expect("registered sizes fit together")
    }

    fn forward(
        encoder: &TextEncoder,
        rows: &[Row],
        width: usize,
        filler: u64,
        device: &Device,
    ) -> TokenSequence {
        let id = |seed, place| ((noise(seed, place) + 1.0) / 2.0 * N_VOCAB as f32) as u32;
        let ids = rows.iter().flat_map(|row| {
            (0..width).map(move |place| id(if place < row.length { row.seed } else { filler }, place))
        });
        let batch = TextBatch {
            rows: (0..rows.len()).collect(),
            ids: ids.collect(),
            lengths: rows.iter().map(|row| row.length).collect(),
            n_tokens: width,
        };
        encoder.forward(&TextInput::new(&batch, device))
    }

    fn cost(config: &TextEncoderConfig, length: usize) -> CostTree {
        config.cost(N_VOCAB, length)
    }

    fn n_tokens(_: &TextEncoderConfig, length: usize) -> usize {
        length
    }

    fn lengths() -> (Vec<usize>, usize) {
        (vec![1, 9, 4, 0, 2], 9)
    }
}

conformance!(Text);

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let init = &mut Initializer::new(1, &Device::flex());
    for (_, config) in TextEncoderConfig::registry() {
        assert!(config.init(0, init).is_err(), "no vocabulary");
    }
    let mut sizes = TextTransformerConfig::tiny();
    sizes.transformer.n_heads = 3;
    let error = sizes.init(N_VOCAB, init).expect_err("16 is no multiple of 3");
    assert!(error.to_string().contains("d_model 16, n_heads 3"), "{error}");
    let pre_norm = BertConfig { transformer: TransformerConfig::tiny(), ..BertConfig::tiny() };
    let error = pre_norm.init(N_VOCAB, init).expect_err("another model").to_string();
    assert!(error.contains("expected block.norm_first = false, got true"), "{error}");
    let odd =
        LstmConfig { d_model: 15, ..LstmConfig::tiny() }.init(N_VOCAB, init).expect_err("two directions");
    assert!(odd.to_string().contains("an even d_model, got d_model 15"), "{odd}");
}
