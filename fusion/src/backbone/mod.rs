//! The shared transformer over the tokens of whichever modalities are present, with an optional causal text at
//! the end that makes the same weights a decoder. The crate's documentation draws who attends to whom.

mod config;

use burn::module::{Module, Param};
use burn::prelude::*;
pub use config::{BackboneConfig, FusionKind};
use triptych_encoders::layers::embedding::{Embedding, add_positions};
use triptych_encoders::layers::experts::Kind;
use triptych_encoders::layers::linear::Linear;
use triptych_encoders::layers::ops::AttentionMask;
use triptych_encoders::layers::transformer::{KeyValueCache, Transformer};
use triptych_encoders::{Modality, TextInput, TokenSequence, select_rows};

use crate::co_attention::{CoAttention, Stream};
use crate::resampler::Resampler;
use crate::sequence::{FusedSequence, Segment, Span};

/// See the module's documentation.
#[derive(Module, Debug)]
pub struct Backbone {
    image_resampler: Option<Resampler>,
    audio_resampler: Option<Resampler>,
    /// One map a modality to the backbone's width.
    inputs: Vec<Linear>,
    /// `[3, d_model]`, added to every token of a modality.
    modalities: Param<Tensor<2>>,
    /// Embeddings of the causal text, which are its output weights too.
    causal: Embedding,
    causal_positions: Param<Tensor<2>>,
    vocabulary_bias: Param<Tensor<1>>,
    /// Over all tokens; with co-attention, over those of the language stream.
    transformer: Transformer,
    co_attention: Option<CoAttention>,
}

/// Where decoding stands: the keys and values so far, and which of them are padding.
#[derive(Clone, Debug)]
pub struct DecodingState {
    cache: KeyValueCache,
    is_pad: Tensor<2, Bool>,
    n_causal: usize,
}

/// One input, or the causal text, at the backbone's width.
#[derive(Clone, Debug)]
struct Part {
    segment: Segment,
    stream: Stream,
}

impl Backbone {
    /// Fuses any subset of modalities, all looking at each other.
    ///
    /// # Shapes
    /// Each `[batch, n_tokens, d_encoder]` -> `[batch, sum of n_tokens, d_model]`; a resampled input has as many tokens there
    /// as its resampler has latents
    ///
    /// # Panics
    /// When there is no input at all.
    pub fn forward(&self, inputs: &[TokenSequence]) -> FusedSequence {
        assert!(!inputs.is_empty(), "the backbone needs at least one modality");
        self.fuse(self.embed(inputs))
    }

    /// Fuses the inputs as [`Self::forward`] does, and gives what the first `n` blocks make of them for every `n` of `depths`
    /// too, in rising order, normalised as the whole is, which comes last; 0 gives what goes into the first.
    ///
    /// # Shapes
    /// Each `[batch, n_tokens, d_encoder]` -> `[batch, sum of n_tokens, d_model]`, one a depth below the last, and one
    ///
    /// # Panics
    /// When there is no input at all, and with co-attention, whose streams have depths of their own.
    pub fn forward_tapped(&self, inputs: &[TokenSequence], depths: &[usize]) -> Vec<FusedSequence> {
        assert!(!inputs.is_empty(), "the backbone needs at least one modality");
        assert!(self.co_attention.is_none(), "with co-attention there is no sequence between the blocks");
        let parts = self.embed(inputs);
        let spans = spans(&parts);
        let Stream { tokens, is_pad } = Stream::joined(&parts);
        let mask = AttentionMask::bidirectional(Some(is_pad.clone()));
        let (tapped, routing) = self.transformer.forward_tapped(tokens, &mask, &kinds(&spans), depths);
        let fused =
            |tokens| FusedSequence { tokens, is_pad: is_pad.clone(), spans: spans.clone(), routing: None };
        let mut tapped = tapped.into_iter().map(fused).collect::<Vec<_>>();
        if let Some(whole) = tapped.last_mut() {
            whole.routing = routing;
        }
        tapped
    }

    /// Fuses the inputs with a causal text behind them; without inputs, it reads the text alone.
    ///
    /// # Shapes
    /// The text is `[batch, n_causal]` -> `[batch, sum of n_tokens + n_causal, d_model]`
    ///
    /// # Panics
    /// When the text is longer than `max_causal_tokens`.
    pub fn forward_causal(&self, inputs: &[TokenSequence], text: &TextInput) -> FusedSequence {
        let mut parts = self.embed(inputs);
        let tokens = add_positions(self.causal.forward(text.ids.clone()), &self.causal_positions);
        parts.push(Part { segment: Segment::Causal, stream: Stream { tokens, is_pad: text.is_pad.clone() } });
        self.fuse(parts)
    }

    /// Scores of every token id, from fused tokens and the tied embeddings.
    ///
    /// # Shapes
    /// `[n, d_model]` -> `[n, n_vocab]`
    pub fn vocabulary_logits(&self, tokens: Tensor<2>) -> Tensor<2> {
        tokens.matmul(self.causal.weight.val().transpose()) + self.vocabulary_bias.val().unsqueeze::<2>()
    }

    /// Runs the inputs once, for decoding behind them; [`Backbone::start_decoding_alone`] does without.
    ///
    /// # Panics
    /// When there is no input at all.
    pub fn start_decoding(&self, inputs: &[TokenSequence]) -> (FusedSequence, DecodingState) {
        assert!(!inputs.is_empty(), "the backbone needs at least one modality");
        self.prefill(self.embed(inputs))
    }

    /// Where decoding of `n_rows` texts begins that have nothing before them.
    ///
    /// # Panics
    /// Without a row.
    pub fn start_decoding_alone(&self, n_rows: usize) -> DecodingState {
        assert!(n_rows > 0, "decoding needs at least one row");
        let ([_, d_model], device) = (self.causal_positions.dims(), self.causal_positions.device());
        let stream = Stream::absent(n_rows, d_model, &device);
        self.prefill(vec![Part { segment: Segment::Encoded(Modality::Text), stream }]).1
    }

    fn prefill(&self, parts: Vec<Part>) -> (FusedSequence, DecodingState) {
        let spans = spans(&parts);
        if let Some(co_attention) = &self.co_attention {
            let is_pad = Stream::joined(&parts).is_pad;
            let [language, perception] = streams(&parts);
            let language_is_pad = language.is_pad.clone();
            let (streams, cache) = co_attention.prefill(&self.transformer, language, perception);
            let fused = FusedSequence { tokens: reassembled(&parts, streams), is_pad, spans, routing: None };
            return (fused, DecodingState { cache, is_pad: language_is_pad, n_causal: 0 });
        }
        let Stream { tokens, is_pad } = Stream::joined(&parts);
        let mask = AttentionMask::bidirectional(Some(is_pad.clone()));
        let (tokens, cache) = self.transformer.prefill(tokens, &mask, None, &kinds(&spans));
        (
            FusedSequence { tokens, is_pad: is_pad.clone(), spans, routing: None },
            DecodingState { cache, is_pad, n_causal: 0 },
        )
    }

    /// Runs the next token of every row and gives the scores of the one behind it.
    ///
    /// # Shapes
    /// `[batch]` -> `[batch, n_vocab]`
    ///
    /// # Panics
    /// Behind `max_causal_tokens` tokens.
    pub fn decode_next(&self, ids: Tensor<1, Int>, state: &mut DecodingState) -> Tensor<2> {
        let [batch] = ids.dims();
        let [_, d_model] = self.causal_positions.dims();
        let position = self.causal_positions.val().narrow(0, state.n_causal, 1).unsqueeze::<3>();
        let token = self.causal.forward(ids.reshape([batch, 1])) + position;
        let here = Tensor::<2, Bool>::full([batch, 1], false, &token.device());
        state.is_pad = Tensor::cat(vec![state.is_pad.clone(), here], 1);
        state.n_causal += 1;
        let token = self.transformer.forward_cached(token, Some(&state.is_pad), &mut state.cache);
        self.vocabulary_logits(token.reshape([batch, d_model]))
    }

    /// Number of token ids of the causal text.
    pub fn n_vocab(&self) -> usize {
        let [n_vocab] = self.vocabulary_bias.dims();
        n_vocab
    }

    /// Longest causal text in tokens, begin mark included.
    pub fn max_causal_tokens(&self) -> usize {
        let [max_causal_tokens, _] = self.causal_positions.dims();
        max_causal_tokens
    }

    /// The inputs at the backbone's width, resampled where they are to be.
    fn embed(&self, inputs: &[TokenSequence]) -> Vec<Part> {
        let modalities = self.modalities.val();
        let embed = |input: &TokenSequence| {
            let resampler = match input.modality {
                Modality::Text => &None,
                Modality::Image => &self.image_resampler,
                Modality::Audio => &self.audio_resampler,
            };
            let input =
                resampler.as_ref().map_or_else(|| input.clone(), |resampler| resampler.forward(input));
            let idx = input.modality.idx();
            let modality = modalities.clone().narrow(0, idx, 1).unsqueeze::<3>();
            let tokens = self.inputs[idx].forward(input.tokens) + modality;
            Part {
                segment: Segment::Encoded(input.modality),
                stream: Stream { tokens, is_pad: input.is_pad },
            }
        };
        inputs.iter().map(embed).collect()
    }

    fn fuse(&self, parts: Vec<Part>) -> FusedSequence {
        let spans = spans(&parts);
        let Stream { tokens, is_pad } = Stream::joined(&parts);
        if let Some(co_attention) = &self.co_attention {
            let [language, perception] = streams(&parts);
            let n_causal = parts.iter().filter(|part| part.segment == Segment::Causal);
            let n_causal = n_causal.map(|part| part.stream.n_tokens()).sum::<usize>();
            let n_text = language.n_tokens() - n_causal;
            let streams = co_attention.forward(&self.transformer, language, perception, n_text);
            return FusedSequence { tokens: reassembled(&parts, streams), is_pad, spans, routing: None };
        }
        let mask = match spans.last() {
            Some((Segment::Causal, places)) => AttentionMask::prefix(Some(is_pad.clone()), places.start),
            _ => AttentionMask::bidirectional(Some(is_pad.clone())),
        };
        let (tokens, routing) = self.transformer.forward_among(tokens, &mask, &kinds(&spans));
        FusedSequence { tokens, is_pad, spans, routing }
    }
}

impl Stream {
    fn n_tokens(&self) -> usize {
        let [_, n_tokens, _] = self.tokens.dims();
        n_tokens
    }

    /// The parts one behind the other.
    fn joined<'a>(parts: impl IntoIterator<Item = &'a Part>) -> Self {
        let (tokens, is_pad): (Vec<_>, Vec<_>) =
            parts.into_iter().map(|part| (part.stream.tokens.clone(), part.stream.is_pad.clone())).unzip();
        Self { tokens: Tensor::cat(tokens, 1), is_pad: Tensor::cat(is_pad, 1) }
    }

    /// One token of padding, as what an absent input is: nobody looks at it.
    fn absent(batch: usize, d_model: usize, device: &Device) -> Self {
        Self {
            tokens: Tensor::zeros([batch, 1, d_model], device),
            is_pad: Tensor::<2, Bool>::full([batch, 1], true, device),
        }
    }
}

fn is_language(segment: Segment) -> bool {
    matches!(segment, Segment::Encoded(Modality::Text) | Segment::Causal)
}

/// Language, with the causal text at its end, and perception. A stream without an input, or a language stream without
/// one but the causal text, begins with [`Stream::absent`].
fn streams(parts: &[Part]) -> [Stream; 2] {
    let stream = |of_language: bool| {
        let of_it = parts.iter().filter(|part| is_language(part.segment) == of_language).cloned();
        let mut of_it = of_it.collect::<Vec<_>>();
        if of_it.iter().all(|part| part.segment == Segment::Causal) {
            let like = &parts[0].stream.tokens;
            let [batch, _, d_model] = like.dims();
            let absent = Stream::absent(batch, d_model, &like.device());
            of_it.insert(0, Part { segment: Segment::Causal, stream: absent });
        }
        Stream::joined(&of_it)
    };
    [stream(true), stream(false)]
}

/// The tokens of both streams in the order of the parts.
fn reassembled(parts: &[Part], [language, perception]: [Tensor<3>; 2]) -> Tensor<3> {
    // what is absent stands first, and is left out
    let n_parts = |of_language: bool| {
        let of_it = parts.iter().filter(|part| is_language(part.segment) == of_language);
        of_it.map(|part| part.stream.n_tokens()).sum::<usize>()
    };
    let mut at = [language.dims()[1] - n_parts(true), perception.dims()[1] - n_parts(false)];
    let tokens = parts.iter().map(|part| {
        let (stream, at) =
            if is_language(part.segment) { (&language, &mut at[0]) } else { (&perception, &mut at[1]) };
        let n_tokens = part.stream.n_tokens();
        *at += n_tokens;
        stream.clone().narrow(1, *at - n_tokens, n_tokens)
    });
    Tensor::cat(tokens.collect(), 1)
}

/// Where the parts lie.
fn spans(parts: &[Part]) -> Vec<Span> {
    let mut start = 0;
    let span = |part: &Part| {
        start += part.stream.n_tokens();
        (part.segment, start - part.stream.n_tokens()..start)
    };
    parts.iter().map(span).collect()
}

/// Which expert each span belongs to: the causal text is text.
fn kinds(spans: &[Span]) -> Vec<Kind> {
    let kind = |segment: &Segment| match segment {
        Segment::Encoded(modality) => modality.idx(),
        Segment::Causal => Modality::Text.idx(),
    };
    spans.iter().map(|(segment, places)| (kind(segment), places.clone())).collect()
}

impl DecodingState {
    /// Where its tensors lie.
    pub fn device(&self) -> Device {
        self.is_pad.device()
    }

    /// Keeps the rows `rows` of the batch, in that order; a row may be taken more than once (beam search).
    #[must_use]
    pub fn select(&self, rows: &Tensor<1, Int>) -> Self {
        Self {
            cache: self.cache.select(rows),
            is_pad: select_rows(&self.is_pad, rows),
            n_causal: self.n_causal,
        }
    }
}
