//! A decoder-only language model by its layer table.

use triptych_encoders::layers::transformer::TransformerConfig;

/// Sizes of a decoder with learned positions and tied output weights, as GPT-2 and GPT-3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LanguageModel {
    /// Blocks.
    pub(crate) n_layers: usize,
    /// Width of a token.
    pub(crate) d_model: usize,
    /// Attention heads.
    pub(crate) n_heads: usize,
    /// Token ids.
    pub(crate) n_vocab: usize,
    /// Tokens of a sequence.
    pub(crate) n_context: usize,
}

impl LanguageModel {
    fn transformer(&self) -> TransformerConfig {
        TransformerConfig::new(self.d_model, self.n_layers, self.n_heads)
    }

    /// Learned values.
    pub(crate) fn parameters(&self) -> u64 {
        let tables = (self.n_vocab + self.n_context) * self.d_model;
        self.transformer().cost(self.n_context).cost.parameters + tables as u64
    }

    /// Values that the backward pass of one sequence reads again.
    pub(crate) fn kept(&self) -> u64 {
        self.transformer().cost(self.n_context).cost.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{PFLOP_DAY, training_flops};

    /// Brown et al. 2020, table 2.1: name, layers, width, heads, parameters as printed.
    const GPT3: &[(&str, usize, usize, usize, f64)] = &[
        ("small", 12, 768, 12, 125e6),
        ("medium", 24, 1024, 16, 350e6),
        ("large", 24, 1536, 16, 760e6),
        ("xl", 24, 2048, 24, 1.3e9),
        ("2.7b", 32, 2560, 32, 2.7e9),
        ("6.7b", 32, 4096, 32, 6.7e9),
        ("175b", 96, 12_288, 96, 175.0e9),
    ];

    fn gpt3(&(_, n_layers, d_model, n_heads, _): &(&str, usize, usize, usize, f64)) -> LanguageModel {
        LanguageModel { n_layers, d_model, n_heads, n_vocab: 50_257, n_context: 2048 }
    }

    #[test]
    fn gpt3s_layer_table_gives_its_parameters() {
        for row in GPT3 {
            let parameters = gpt3(row).parameters() as f64;
            // the table prints two or three digits
            assert!((parameters / row.4 - 1.0).abs() < 0.03, "{}: {parameters:e}", row.0);
        }
        // 96 (12 d² + 13 d) + (50,257 + 2,048) d + 2 d, by hand
        assert_eq!(gpt3(&GPT3[6]).parameters(), 174_604_259_328);
    }

    #[test]
    fn gpt3_took_3640_petaflop_days() {
        // appendix D: 3.14e23 operations, 3.64e3 PFLOP-days, for 300 billion tokens
        let flops = training_flops(gpt3(&GPT3[6]).parameters() as f64, 300e9);
        assert_eq!(format!("{flops:.2e}"), "3.14e23");
        assert!((flops / PFLOP_DAY - 3640.0).abs() < 10.0, "{}", flops / PFLOP_DAY);
    }
}
