//! Writing the text of a picture or a sound, token by token, on the backbone's causal segment.

use burn::prelude::*;
use triptych_datasets::batch::TextBatch;
use triptych_encoders::layers::ops;
use triptych_encoders::{Modality, TextInput, TokenSequence};
use triptych_fusion::sequence::{FusedSequence, Segment};

use super::context::{PAD_ID, select_texts};
use super::{Objective, StepContext};

/// CoCa's and big_vision's captioners train without; 0.1 since Vaswani et al. 2017 for small data.
const LABEL_SMOOTHING: f32 = 0.1;

/// Pictures to captions.
pub(super) const CAPTION: Writing = Writing {
    name: "caption",
    about: "cross entropy of a picture's text on the causal segment",
    needs: &[Modality::Image, Modality::Text],
    source: Modality::Image,
};

/// Sounds to transcripts.
pub(super) const TRANSCRIPT: Writing = Writing {
    name: "transcript",
    about: "cross entropy of a sound's text on the causal segment",
    needs: &[Modality::Audio, Modality::Text],
    source: Modality::Audio,
};

/// See the module's documentation.
pub(super) struct Writing {
    name: &'static str,
    about: &'static str,
    needs: &'static [Modality],
    source: Modality,
}

impl Objective for Writing {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn needs(&self) -> &'static [Modality] {
        self.needs
    }

    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>> {
        let compute = || write(context, self.source);
        let pass = if self.source == Modality::Audio { context.transcript(compute) } else { compute() };
        pass.map(|(loss, _)| loss)
    }
}

/// Loss of writing the texts behind the encoded `source`, and the fused sequence.
pub(super) fn write(context: &StepContext<'_>, source: Modality) -> Option<(Tensor<1>, FusedSequence)> {
    let (encoded, text, _) = with_texts(context, source)?;
    let causal = CausalText::new(&text, context);
    let fused = context.fuse_causal(&[encoded], &causal.input);
    let written = fused.span(Segment::Causal)?;
    let [batch, n_tokens, d_model] = written.dims();
    let logits = context.model.backbone.vocabulary_logits(written.reshape([batch * n_tokens, d_model]));
    let loss = ops::cross_entropy(logits, causal.targets, causal.weight, LABEL_SMOOTHING);
    Some((loss, fused))
}

/// The encoded rows that have a text, the texts, and the places of the rows in their modality's batch.
pub(super) fn with_texts(
    context: &StepContext<'_>,
    source: Modality,
) -> Option<(TokenSequence, Vec<Vec<u32>>, Vec<usize>)> {
    let [places, text_places] = context.paired(source, Modality::Text)?;
    let texts = select_texts(context.text_batch()?, &text_places);
    Some((context.encoded_at(source, &places)?, texts, places))
}

/// Texts as the decoder reads and is to write them.
struct CausalText {
    /// `begin t1 .. tn`
    input: TextInput,
    /// `[batch * n_tokens]`: `t1 .. tn end`
    targets: Tensor<1, Int>,
    /// `[batch * n_tokens]`, 0 on padding and where a text was cut
    weight: Tensor<1>,
}

impl CausalText {
    fn new(texts: &[Vec<u32>], context: &StepContext<'_>) -> Self {
        let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
        // a text and one mark
        let n_tokens = (longest + 1).min(context.model.backbone.max_causal_tokens());
        let (mut ids, mut targets, mut weight, mut lengths) = (vec![], vec![], vec![], vec![]);
        for text in texts {
            let is_cut = text.len() >= n_tokens;
            let text = &text[..text.len().min(n_tokens - 1)];
            // where a text is cut it does not end
            let n_written = if is_cut { text.len() } else { text.len() + 1 };
            let row = |before: Option<u32>, after: Option<u32>| {
                let tokens = before.into_iter().chain(text.iter().copied()).chain(after);
                tokens.chain(std::iter::repeat(PAD_ID)).take(n_tokens).collect::<Vec<_>>()
            };
            ids.extend(row(Some(context.token_ids.begin), None));
            targets.extend(row(None, Some(context.token_ids.end)).into_iter().map(i64::from));
            weight.extend((0..n_tokens).map(|idx| if idx < n_written { 1.0f32 } else { 0.0 }));
            lengths.push(text.len() + 1);
        }
        let device = context.device();
        let n = targets.len();
        let batch = TextBatch { rows: (0..texts.len()).collect(), ids, lengths, n_tokens };
        let input = TextInput::new(&batch, device);
        Self {
            input,
            targets: Tensor::from_data(TensorData::new(targets, [n]), device),
            weight: Tensor::from_data(TensorData::new(weight, [n]), device),
        }
    }
}
