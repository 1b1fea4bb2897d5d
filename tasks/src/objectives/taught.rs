//! Objectives that a frozen teacher sets: to find alike what it finds alike, to embed as it does, to write as it would.

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use triptych_encoders::Modality;
use triptych_fusion::sequence::Segment;

use super::caption::{Written, shared_transcript, write};
use super::compared::{Compared, compared, mean};
use super::distillation::{
    FeatureDistance, contrastive_distillation, feature_distillation, token_distillation,
};
use super::options::{self, OptionError, Options};
use super::{Objective, Requirement, StepContext, without_options};
use crate::heads::pair::Pair;

/// Pictures and texts that the teacher finds alike.
pub(super) const SIMILARITIES_IMAGE_TEXT: Similarities = Similarities {
    name: "distil_image_text",
    about: "the teacher's similarities of pictures and texts",
    pair: Pair::ImageText,
};

/// Sounds and texts that the teacher finds alike.
pub(super) const SIMILARITIES_AUDIO_TEXT: Similarities = Similarities {
    name: "distil_audio_text",
    about: "the teacher's similarities of sounds and texts",
    pair: Pair::AudioText,
};

/// Cross entropy between the teacher's and the student's softmax of similarities.
#[derive(Clone, Copy)]
pub(super) struct Similarities {
    name: &'static str,
    about: &'static str,
    pair: Pair,
}

impl Objective for Similarities {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn needs(&self) -> &'static [Modality] {
        self.pair.modalities()
    }

    fn requires(&self) -> &'static [Requirement] {
        &[Requirement::Teacher]
    }

    fn embeds(&self) -> Option<&'static [Modality]> {
        Some(self.pair.modalities())
    }

    fn with(&self, given: &Options) -> Result<Box<dyn Objective>, OptionError> {
        without_options(given)?;
        Ok(Box::new(*self))
    }

    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>> {
        let teacher = context.teacher()?;
        let scale =
            |context: &StepContext<'_>| context.model.retrieval.log_scale.val().narrow(0, self.pair.idx(), 1);
        let pairings = compared(context, self.pair)?.into_iter().zip(compared(teacher, self.pair)?);
        let losses = pairings.map(|(student, Compared { sides, .. })| {
            let sides = sides.map(|side| context.lift(side));
            contrastive_distillation(student.sides, scale(context), sides, context.lift(scale(teacher)))
        });
        mean(losses.collect())
    }
}

/// What a config may set of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct EmbeddingOptions {
    /// How far the projected vector is from the teacher's embedding: `"cosine"` or `"squared_error"`.
    distance: FeatureDistance,
}

/// The teacher's embeddings of texts.
pub(super) const EMBEDDING_TEXT: Embedding = Embedding::new("distil_text", &[Modality::Text]);
/// The teacher's embeddings of pictures.
pub(super) const EMBEDDING_IMAGE: Embedding = Embedding::new("distil_image", &[Modality::Image]);
/// The teacher's embeddings of sounds.
pub(super) const EMBEDDING_AUDIO: Embedding = Embedding::new("distil_audio", &[Modality::Audio]);

/// How far what an encoder gives for the whole, projected, is from the teacher's embedding.
#[derive(Clone, Copy)]
pub(super) struct Embedding {
    name: &'static str,
    needs: &'static [Modality; 1],
    options: EmbeddingOptions,
}

impl Embedding {
    const fn new(name: &'static str, needs: &'static [Modality; 1]) -> Self {
        Self { name, needs, options: EmbeddingOptions { distance: FeatureDistance::Cosine } }
    }
}

impl Objective for Embedding {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        match self.needs[0] {
            Modality::Text => "the teacher's embeddings of texts",
            Modality::Image => "the teacher's embeddings of pictures",
            Modality::Audio => "the teacher's embeddings of sounds",
        }
    }

    fn needs(&self) -> &'static [Modality] {
        self.needs
    }

    fn requires(&self) -> &'static [Requirement] {
        &[Requirement::Teacher, Requirement::DistilledHead]
    }

    fn options(&self) -> Options {
        options::table(&self.options)
    }

    fn with(&self, given: &Options) -> Result<Box<dyn Objective>, OptionError> {
        let options = options::given(&self.options, given).map_err(|error| match error.option.as_str() {
            "distance" => OptionError::new("distance", "\"cosine\" or \"squared_error\""),
            _ => error,
        })?;
        Ok(Box::new(Self { options, ..*self }))
    }

    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>> {
        let head = context.model.distilled.as_ref()?;
        let (tokens, _) = context.encoded(self.needs[0])?;
        let teacher = context.teacher()?;
        let (theirs, _) = teacher.encoded(self.needs[0])?;
        let theirs = context.lift(teacher.model.retrieval.embed(theirs));
        Some(feature_distillation(head.forward(tokens)?, theirs, self.options.distance))
    }
}

/// What a config may set of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct TokenOptions {
    /// What both models' logits are divided by.
    temperature: f64,
}

const DEFAULTS: TokenOptions = TokenOptions { temperature: 2.0 };

/// What the teacher would write of a picture.
pub(super) const CAPTION: Tokens = Tokens {
    name: "distil_caption",
    about: "the teacher's next tokens in the text of a picture",
    needs: &[Modality::Image, Modality::Text],
    options: DEFAULTS,
};

/// What the teacher would write of a sound.
pub(super) const TRANSCRIPT: Tokens = Tokens {
    name: "distil_transcript",
    about: "the teacher's next tokens in the text of a sound",
    needs: &[Modality::Audio, Modality::Text],
    options: DEFAULTS,
};

/// Divergence of the next token's distribution from the teacher's, at every place of the true text.
#[derive(Clone, Copy)]
pub(super) struct Tokens {
    name: &'static str,
    about: &'static str,
    needs: &'static [Modality; 2],
    options: TokenOptions,
}

impl Objective for Tokens {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn needs(&self) -> &'static [Modality] {
        self.needs
    }

    fn requires(&self) -> &'static [Requirement] {
        &[Requirement::TeacherTokens]
    }

    fn options(&self) -> Options {
        options::table(&self.options)
    }

    fn with(&self, given: &Options) -> Result<Box<dyn Objective>, OptionError> {
        let options = options::given(&self.options, given)?;
        if !(options.temperature.is_finite() && options.temperature > 0.0) {
            return Err(OptionError::new("temperature", "a finite number above 0"));
        }
        Ok(Box::new(Self { options, ..*self }))
    }

    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>> {
        let (student, is_pad) = self.logits(context)?;
        let (teacher, _) = self.logits(context.teacher()?)?;
        // where one may write less than the other, texts are cut
        let [batch, n_tokens, n_vocab] = student.dims();
        let n_tokens = n_tokens.min(teacher.dims()[1]);
        let flat = |logits: Tensor<3>| logits.narrow(1, 0, n_tokens).reshape([batch * n_tokens, n_vocab]);
        let weight = is_pad.narrow(1, 0, n_tokens).bool_not().float().reshape([batch * n_tokens]);
        let teacher = context.lift(flat(teacher));
        Some(token_distillation(flat(student), teacher, weight, self.options.temperature as f32))
    }
}

impl Tokens {
    /// Logits at every place of the texts, and where they are padding.
    ///
    /// # Shapes
    /// -> `[batch, n_tokens, n_vocab]`, `[batch, n_tokens]`
    fn logits(&self, context: &StepContext<'_>) -> Option<(Tensor<3>, Tensor<2, Bool>)> {
        let source = self.needs[0];
        let Written { fused, .. } = match source {
            Modality::Audio => shared_transcript(context)?,
            _ => write(context, source, self.name, 0.0)?,
        };
        let tokens = fused.span(Segment::Causal)?;
        let [batch, n_tokens, d_model] = tokens.dims();
        let logits = context.model.backbone.vocabulary_logits(tokens.reshape([batch * n_tokens, d_model]));
        let [_, n_vocab] = logits.dims();
        // the texts stand at the end
        let [_, n_all] = fused.is_pad.dims();
        let is_pad = fused.is_pad.narrow(1, n_all - n_tokens, n_tokens);
        Some((logits.reshape([batch, n_tokens, n_vocab]), is_pad))
    }
}
