//! Answering a question about a picture or a sound, token by token, on the backbone's causal segment.

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use triptych_encoders::{Modality, TextInput};

use super::caption::{CausalText, Written};
use super::context::select_texts;
use super::options::{self, OptionError, Options};
use super::{Objective, StepContext};

/// What a config may set of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct AnswerOptions {
    /// Share of the target that all tokens get alike, as in captions.
    label_smoothing: f64,
}

const DEFAULTS: AnswerOptions = AnswerOptions { label_smoothing: 0.1 };

/// Questions about pictures.
pub(super) const ANSWER: Answering = Answering {
    name: "answer",
    about: "cross entropy of the answer to a question about a picture, behind both",
    needs: &[Modality::Image, Modality::Text],
    source: Modality::Image,
    options: DEFAULTS,
};

/// Questions about sounds.
pub(super) const ANSWER_AUDIO: Answering = Answering {
    name: "answer_audio",
    about: "cross entropy of the answer to a question about a sound, behind both",
    needs: &[Modality::Audio, Modality::Text],
    source: Modality::Audio,
    options: DEFAULTS,
};

/// Cross entropy of the answer's tokens, and its end, behind the encoded question and what it is about. The question is read in
/// both directions and costs nothing itself.
///
/// ```text
/// [ question | picture | begin a1 a2 ]
///   <-- all of both -->  a1    a2 end
/// ```
///
/// # Reference
/// Li et al. 2021, "Align before fuse", section 3.4: visual question answering as the generation of an answer; Wang et al.
/// 2022 (SimVLM), section 3.1, for the prefix that is read in both directions.
///
/// # Differences from the reference
/// Where several people answered, the answer is one of theirs, drawn anew every epoch, in place of a sum of all answers' losses
/// weighted by how many gave them: it is the same in the mean.
#[derive(Clone, Copy)]
pub(super) struct Answering {
    name: &'static str,
    about: &'static str,
    needs: &'static [Modality],
    source: Modality,
    options: AnswerOptions,
}

impl Objective for Answering {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn needs(&self) -> &'static [Modality] {
        self.needs
    }

    fn asks(&self) -> Option<Modality> {
        Some(self.source)
    }

    fn options(&self) -> Options {
        options::table(&self.options)
    }

    fn with(&self, given: &Options) -> Result<Box<dyn Objective>, OptionError> {
        let options: AnswerOptions = options::given(&self.options, given)?;
        options::check_label_smoothing(options.label_smoothing)?;
        Ok(Box::new(Self { options, ..*self }))
    }

    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>> {
        let asked = context.questions(self.source)?;
        let [places, asked_places] = context.first_pairing(self.source, &asked.questions.rows)?;
        let source = context.encoded_at(self.source, &places)?;
        let question = context.model.encode_text(&TextInput::new(&asked.questions, context.device()));
        let question = if asked_places.len() == asked.questions.rows.len() {
            question
        } else {
            question.select(&context.indices(&asked_places))
        };
        let answers = select_texts(&asked.answers, &asked_places);
        let causal = CausalText::new(&answers, &vec![false; answers.len()], context);
        let fused = context.fuse_causal(&[question, source], &causal.input);
        Some(Written::new(fused, causal).loss(context, self.options.label_smoothing as f32))
    }
}
