//! Masked text, with the picture or the sound that it belongs to in view.

use burn::prelude::*;
use triptych_datasets::batch::TextBatch;
use triptych_encoders::layers::ops;
use triptych_encoders::{Modality, TextInput};
use triptych_fusion::sequence::Segment;

use super::caption::with_texts;
use super::{Objective, OptionError, Options, PAD_ID, StepContext, without_options};

/// Share of a text's tokens to predict; at least one of each text.
const MASKED: f32 = 0.15;
/// Of these, the shares that a mask and a random token replace; the rest stay (Devlin et al. 2019, section 3.1).
const REPLACED_BY_MASK: f32 = 0.8;
const REPLACED_AT_RANDOM: f32 = 0.1;

/// Texts whose picture is seen.
pub(super) const GIVEN_IMAGE: MaskedText = MaskedText {
    name: "masked_text_given_image",
    about: "masked tokens of a text beside its picture",
    needs: &[Modality::Image, Modality::Text],
    given: Modality::Image,
};

/// Texts whose sound is heard.
pub(super) const GIVEN_AUDIO: MaskedText = MaskedText {
    name: "masked_text_given_audio",
    about: "masked tokens of a text beside its sound",
    needs: &[Modality::Audio, Modality::Text],
    given: Modality::Audio,
};

/// See the module's documentation.
#[derive(Clone, Copy)]
pub(super) struct MaskedText {
    name: &'static str,
    about: &'static str,
    needs: &'static [Modality],
    given: Modality,
}

impl Objective for MaskedText {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn needs(&self) -> &'static [Modality] {
        self.needs
    }

    fn with(&self, given: &Options) -> Result<Box<dyn Objective>, OptionError> {
        without_options(given)?;
        Ok(Box::new(*self))
    }

    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>> {
        let (given, texts, _) = with_texts(context, self.given)?;
        let n_tokens = texts.iter().map(Vec::len).max().filter(|&longest| longest > 0)?;
        let (mut ids, mut targets, mut places, mut lengths) = (vec![], vec![], vec![], vec![]);
        let mut draw = context.draw(self.name);
        for (row, text) in texts.iter().enumerate() {
            let mut masked = text.clone();
            let n_masked = ((text.len() as f32 * MASKED).round() as usize).clamp(1, text.len().max(1));
            for _ in 0..n_masked.min(text.len()) {
                let place = draw.below(text.len());
                // drawn twice: the first replacement stands
                if masked[place] != text[place] || places.contains(&(row * n_tokens + place)) {
                    continue;
                }
                let fate = draw.uniform();
                if fate < REPLACED_BY_MASK {
                    masked[place] = context.token_ids.mask;
                } else if fate < REPLACED_BY_MASK + REPLACED_AT_RANDOM {
                    let first = context.token_ids.first_ordinary;
                    masked[place] = first + draw.below(context.token_ids.n_vocab - first as usize) as u32;
                }
                places.push(row * n_tokens + place);
                targets.push(i64::from(text[place]));
            }
            lengths.push(masked.len());
            masked.resize(n_tokens, PAD_ID);
            ids.extend(masked);
        }
        let batch = TextBatch { rows: (0..texts.len()).collect(), ids, lengths, n_tokens };
        let text = context.model.encode_text(&TextInput::new(&batch, context.device()));
        let fused = context.fuse(&[given, text]);
        let span = fused.span(Segment::Encoded(Modality::Text))?;
        let [batch, n_tokens, d_model] = span.dims();
        let predicted = span.reshape([batch * n_tokens, d_model]).select(0, context.indices(&places));
        let n = targets.len();
        let targets = Tensor::<1, Int>::from_data(TensorData::new(targets, [n]), context.device());
        let weight = Tensor::<1>::ones([n], context.device());
        (n > 0).then(|| {
            ops::cross_entropy(context.model.backbone.vocabulary_logits(predicted), targets, weight, 0.0)
        })
    }
}
