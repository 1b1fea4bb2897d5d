//! Masked sound told by codes: spans of frames are blanked, and the random code of each is predicted.

use std::sync::OnceLock;

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use triptych_encoders::Modality;
use triptych_encoders::layers::ops;

use super::blanking::BlankedSounds;
use super::masked_audio::SpanMask;
use super::options::{self, OptionError, Options};
use super::{Objective, RandomQuantizer, StepContext, lacks_tokens};
use crate::model::ModelConfig;

/// What a config may set of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct CodeOptions {
    masked: [f64; 2],
    span_frames: usize,
    /// Width of a code.
    d_code: usize,
    /// Decides projection and codes, so that runs of other seeds learn the same.
    codebook_seed: u64,
}

/// With its defaults.
pub(super) static MASKED_AUDIO_CODES: MaskedAudioCodes = MaskedAudioCodes {
    options: CodeOptions {
        masked: SpanMask::DATA2VEC.masked,
        span_frames: SpanMask::DATA2VEC.span_frames,
        d_code: 16,
        codebook_seed: 1,
    },
    quantizer: OnceLock::new(),
};

/// Cross entropy of the random codes of the masked tokens' frames.
///
/// # Reference
/// Chiu et al. 2022 (BEST-RQ), section 3: a frozen projection to 16 dimensions and 8192 codes (`model.audio_codes`), of the
/// stacked frames behind a token, normalised.
///
/// # Differences from the reference
/// Masked frames are blank and not noise; the spans are data2vec's; the prediction is read off the backbone's audio span.
#[derive(Clone)]
pub(super) struct MaskedAudioCodes {
    options: CodeOptions,
    /// Made for the first model that is met: its table is too large to be drawn at every step.
    quantizer: OnceLock<RandomQuantizer>,
}

impl MaskedAudioCodes {
    fn mask(&self) -> SpanMask {
        SpanMask { masked: self.options.masked, span_frames: self.options.span_frames }
    }

    fn quantizer(&self, d_in: usize, n_codes: usize) -> RandomQuantizer {
        let make = || RandomQuantizer::new(d_in, self.options.d_code, n_codes, self.options.codebook_seed);
        let known = self.quantizer.get_or_init(make);
        if [known.d_in(), known.n_codes()] == [d_in, n_codes] { known.clone() } else { make() }
    }
}

impl Objective for MaskedAudioCodes {
    fn name(&self) -> &'static str {
        "masked_audio_codes"
    }

    fn about(&self) -> &'static str {
        "random codes of blanked spans of a sound (BEST-RQ)"
    }

    fn needs(&self) -> &'static [Modality] {
        &[Modality::Audio]
    }

    fn options(&self) -> Options {
        options::table(&self.options)
    }

    fn with(&self, given: &Options) -> Result<Box<dyn Objective>, OptionError> {
        let options: CodeOptions = options::given(&self.options, given)?;
        let changed = Self { options, quantizer: OnceLock::new() };
        changed.mask().check()?;
        if options.d_code == 0 {
            return Err(OptionError::new("d_code", "at least 1"));
        }
        Ok(Box::new(changed))
    }

    fn lacks(&self, model: &ModelConfig) -> Option<String> {
        let codes =
            model.audio_codes.is_none().then(|| "given `model.audio_codes`, the number of codes".to_owned());
        codes.or_else(|| lacks_tokens(model, Modality::Audio))
    }

    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>> {
        let head = context.model.codes.as_ref()?;
        let d_token = context.model.frames.as_ref()?.weight.dims()[1];
        let places = (0..context.audio_batch()?.rows.len()).collect::<Vec<_>>();
        let input = context.sounds_at(&places)?;
        let frames_per_token = d_token / input.frames.dims()[2];
        let hidden = self.mask().draw(context, self.name(), &places, &input, frames_per_token);
        let sounds = BlankedSounds::new(input, frames_per_token, &hidden);
        let masked = sounds.places(&hidden);
        if masked.is_empty() {
            return None;
        }
        let (n, indices) = (masked.len(), context.indices(&masked));
        let [_, n_codes] = head.weight.dims();
        let codes = self.quantizer(d_token, n_codes).codes(sounds.frames(indices.clone()));
        let codes = Tensor::<1, Int>::from_data(TensorData::new(codes, [n]), context.device());
        let fused = context.fuse(&[context.model.encode_audio(&sounds.input)]);
        let predicted = head.forward(sounds.tokens(&fused, indices)?);
        Some(ops::cross_entropy(predicted, codes, Tensor::ones([n], context.device()), 0.0))
    }
}
