//! Writing the text of a picture or a sound, token by token, on the backbone's causal segment.

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use triptych_datasets::batch::TextBatch;
use triptych_encoders::layers::ops;
use triptych_encoders::{Modality, TextInput, TokenSequence};
use triptych_fusion::sequence::{FusedSequence, Segment};

use super::context::{PAD_ID, select_texts};
use super::options::{self, OptionError, Options};
use super::{Objective, StepContext};

/// What a config may set of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct WritingOptions {
    /// Share of the target that all tokens get alike. CoCa's and big_vision's captioners train without; 0.1 since
    /// Vaswani et al. 2017 for small data.
    label_smoothing: f64,
    /// Share of the samples whose tokens are all predicted at once, from masks (0.75 in Tschannen et al. 2023, section 3).
    parallel: f64,
}

const DEFAULTS: WritingOptions = WritingOptions { label_smoothing: 0.1, parallel: 0.0 };

/// Pictures to captions.
pub(super) const CAPTION: Writing = Writing {
    name: "caption",
    about: "cross entropy of a picture's text on the causal segment",
    needs: &[Modality::Image, Modality::Text],
    source: Modality::Image,
    options: DEFAULTS,
};

/// Sounds to transcripts.
pub(super) const TRANSCRIPT: Writing = Writing {
    name: "transcript",
    about: "cross entropy of a sound's text on the causal segment",
    needs: &[Modality::Audio, Modality::Text],
    source: Modality::Audio,
    options: DEFAULTS,
};

/// See the module's documentation.
///
/// # Reference
/// Yu et al. 2022 (CoCa); Tschannen et al. 2023, "Image captioners are scalable vision learners too" (CapPa), for the samples
/// that are predicted in parallel.
///
/// # Differences from the reference
/// There masks see each other in both directions, and as texts are padded to one length they tell nothing of it. Here a text has as
/// many masks as tokens, so that they stay causal: none sees how long the text is.
#[derive(Clone, Copy)]
pub(super) struct Writing {
    name: &'static str,
    about: &'static str,
    needs: &'static [Modality],
    source: Modality,
    options: WritingOptions,
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

    fn options(&self) -> Options {
        options::table(&self.options)
    }

    fn with(&self, given: &Options) -> Result<Box<dyn Objective>, OptionError> {
        let options: WritingOptions = options::given(&self.options, given)?;
        options::check_label_smoothing(options.label_smoothing)?;
        if !(0.0..=1.0).contains(&options.parallel) {
            return Err(OptionError::new("parallel", "0 to 1"));
        }
        Ok(Box::new(Self { options, ..*self }))
    }

    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>> {
        let WritingOptions { label_smoothing, parallel } = self.options;
        let written = if self.source == Modality::Audio && parallel == 0.0 {
            shared_transcript(context)
        } else {
            write(context, self.source, self.name, parallel as f32)
        };
        written.map(|written| written.loss(context, label_smoothing as f32))
    }
}

/// Texts that the backbone has read behind what they belong to.
#[derive(Clone, Debug)]
pub(super) struct Written {
    /// The encoded source, and the texts as its causal segment.
    pub(super) fused: FusedSequence,
    /// `[batch * n_tokens]`
    targets: Tensor<1, Int>,
    /// `[batch * n_tokens]`
    weight: Tensor<1>,
}

impl Written {
    pub(super) fn new(fused: FusedSequence, text: CausalText) -> Self {
        Self { fused, targets: text.targets, weight: text.weight }
    }

    /// Cross entropy of what follows each token.
    pub(super) fn loss(&self, context: &StepContext<'_>, label_smoothing: f32) -> Tensor<1> {
        let written = self.fused.span(Segment::Causal).expect("the texts are its causal segment");
        let [batch, n_tokens, d_model] = written.dims();
        let logits = context.model.backbone.vocabulary_logits(written.reshape([batch * n_tokens, d_model]));
        ops::cross_entropy(logits, self.targets.clone(), self.weight.clone(), label_smoothing)
    }
}

/// The transcripts behind their sounds, token by token, in one pass for all objectives that read it.
pub(super) fn shared_transcript(context: &StepContext<'_>) -> Option<Written> {
    context.transcript(|| write(context, Modality::Audio, "transcript", 0.0))
}

/// The texts behind what they belong to, token by token.
pub(super) fn read_behind(context: &StepContext<'_>, source: Modality) -> Option<Written> {
    match source {
        Modality::Audio => shared_transcript(context),
        _ => write(context, source, "caption", 0.0),
    }
}

/// Reads the texts behind the encoded `source`; of a share of the samples, masks in their place.
pub(super) fn write(
    context: &StepContext<'_>,
    source: Modality,
    purpose: &str,
    parallel: f32,
) -> Option<Written> {
    let (encoded, text, places) = with_texts(context, source)?;
    let draws = context.draws(purpose, source, &places);
    let is_parallel = draws.into_iter().map(|mut draw| draw.chance(parallel)).collect::<Vec<_>>();
    let causal = CausalText::new(&text, &is_parallel, context);
    let fused = context.fuse_causal(&[encoded], &causal.input);
    Some(Written::new(fused, causal))
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
pub(super) struct CausalText {
    /// `begin t1 .. tn`, or as many masks
    pub(super) input: TextInput,
    /// `[batch * n_tokens]`: `t1 .. tn end`
    targets: Tensor<1, Int>,
    /// `[batch * n_tokens]`, 0 on padding and where a text was cut
    weight: Tensor<1>,
}

impl CausalText {
    /// Those that are written in parallel are read as masks.
    pub(super) fn new(texts: &[Vec<u32>], is_parallel: &[bool], context: &StepContext<'_>) -> Self {
        let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
        // a text and one mark
        let n_tokens = (longest + 1).min(context.model.backbone.max_causal_tokens());
        let (mut ids, mut targets, mut weight, mut lengths) = (vec![], vec![], vec![], vec![]);
        for (text, &is_parallel) in texts.iter().zip(is_parallel) {
            let is_cut = text.len() >= n_tokens;
            let text = &text[..text.len().min(n_tokens - 1)];
            // where a text is cut it does not end
            let n_written = if is_cut { text.len() } else { text.len() + 1 };
            let row = |before: Option<u32>, after: Option<u32>| {
                let tokens = before.into_iter().chain(text.iter().copied()).chain(after);
                tokens.chain(std::iter::repeat(PAD_ID)).take(n_tokens).collect::<Vec<_>>()
            };
            let read = row(Some(context.token_ids.begin), None);
            let is_read = |place: usize| place <= text.len();
            let masked = |place: usize| if is_read(place) { context.token_ids.mask } else { PAD_ID };
            ids.extend(if is_parallel { (0..n_tokens).map(masked).collect() } else { read });
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
