//! The gradients of one step: of the whole batch at once, or exact from pieces that fit the memory.
//!
//! What compares embeddings of the whole batch cannot be summed up over pieces. But its gradient at the embeddings can be
//! had from the embeddings alone, and from there each piece goes on by itself:
//!
//! ```text
//! piece 1, 2, ..  ->  embeddings, without keeping what they came from
//! all embeddings  ->  loss  ->  gradient g at the embeddings
//! piece 1, 2, ..  ->  embeddings again  ->  sum of embeddings ⊙ g  ->  gradients of the weights, added up
//! ```

use std::collections::BTreeMap;

use burn::prelude::*;
use triptych_datasets::batch::HostBatch;
use triptych_datasets::text::WordBoundaries;
use triptych_encoders::Modality;

use super::companions::{Companions, Entries};
use super::context::{StepContext, TokenIds};
use super::embeddings::Embeddings;
use super::gradients::GradientTable;
use super::pieces::pieces;
use super::{LossParts, Objective, combine};
use crate::heads::pair::Pair;
use crate::heads::retrieval::Space;
use crate::model::Model;

/// A step's batch with all that its losses are computed from.
#[derive(Clone, Copy, Debug)]
pub struct StepInputs<'a> {
    /// The model that learns, on an autodiff device.
    pub model: &'a Model,
    /// The batch on the host.
    pub batch: &'a HostBatch,
    /// Special token ids.
    pub token_ids: TokenIds,
    /// Where words begin and end among the tokens; objectives that mask whole words need to know.
    pub words: Option<&'a WordBoundaries>,
    /// Where the model lives.
    pub device: &'a Device,
    /// Decides, with the step, everything that is drawn.
    pub seed: u64,
    /// Steps done before this one.
    pub step: u64,
    /// Models beside the one that learns.
    pub companions: Companions<'a>,
}

/// What a step's losses and gradients are.
#[derive(Debug)]
pub struct StepGradients {
    /// Of the weighted sum, at every parameter.
    pub gradients: GradientTable,
    /// The weighted sum.
    pub total: f64,
    /// Each loss before its weight, as in [`LossParts::named`].
    pub named: Vec<(&'static str, f64)>,
    /// What the objectives put into their queues.
    pub queued: Vec<(Pair, Entries)>,
}

/// The gradients of the weighted losses; `None` when no objective applies to the batch.
///
/// With more than one piece, the losses of objectives that compare embeddings ([`Objective::embeds`]) are those of the whole
/// batch, and so are their gradients but for rounding; of the others the losses are means over the pieces, each computed
/// on its own. At most one piece is in memory with what its gradient needs.
///
/// # Reference
/// Gao et al. 2021, "Scaling deep contrastive learning batch size under memory limited setup" (GradCache), section 3.
pub fn differentiate(
    inputs: StepInputs<'_>,
    weighted: &[(&dyn Objective, f32)],
    n_pieces: usize,
) -> Option<StepGradients> {
    let pieces = if n_pieces > 1 { pieces(inputs.batch, n_pieces) } else { Vec::new() };
    if pieces.len() > 1 {
        return from_pieces(inputs, weighted, &pieces);
    }
    inputs.reseed(0);
    let context = inputs.context();
    let parts = combine(&context, weighted)?;
    let mut gradients = parts.total.backward();
    let mut found = StepGradients {
        gradients: GradientTable::take(inputs.model, &mut gradients),
        total: 0.0,
        named: Vec::new(),
        queued: queued(&context, weighted),
    };
    found.note(parts, 1.0);
    Some(found)
}

fn from_pieces(
    inputs: StepInputs<'_>,
    weighted: &[(&dyn Objective, f32)],
    pieces: &[HostBatch],
) -> Option<StepGradients> {
    let (comparing, others): (Vec<_>, Vec<_>) =
        weighted.iter().copied().partition(|(objective, _)| objective.embeds().is_some());
    let compared = comparing.iter().flat_map(|(objective, _)| objective.embeds().unwrap_or_default());
    let compared =
        Modality::ALL.into_iter().filter(|modality| compared.clone().any(|other| other == modality));
    let compared = compared.collect::<Vec<_>>();
    let mut found = StepGradients {
        gradients: GradientTable::default(),
        total: 0.0,
        named: Vec::new(),
        queued: Vec::new(),
    };
    let slopes = slopes(inputs, &comparing, &compared, pieces, &mut found);
    let mut sizes = [[0; 2]; 3];
    for (idx, piece) in pieces.iter().enumerate() {
        inputs.reseed(idx as u64);
        let context = StepInputs { batch: piece, ..inputs }.context();
        let mut loss: Option<Tensor<1>> = None;
        let mut add = |part: Tensor<1>| {
            loss = Some(match loss.take() {
                Some(loss) => loss + part,
                None => part,
            });
        };
        // in the order of the first time, so that what is drawn on the device is the same
        for (modality, space, embeddings) in embed(&context, &compared) {
            let Some(slope) = slopes.iter().find(|(m, s, _)| (*m, *s) == (modality, space)) else { continue };
            let start = &mut sizes[modality.idx()][space as usize];
            let [n, _] = embeddings.dims();
            let slope = Tensor::from_inner(slope.2.clone().narrow(0, *start, n));
            *start += n;
            add((embeddings * slope).sum());
        }
        let share = 1.0 / pieces.len() as f32;
        if let Some(parts) = combine(&context, &others) {
            add(parts.total.clone() * share);
            found.note(parts, f64::from(share));
        }
        if let Some(loss) = loss {
            let mut gradients = loss.backward();
            found.gradients.add(GradientTable::take(inputs.model, &mut gradients));
        }
    }
    (!found.named.is_empty()).then_some(found)
}

/// Gradients at the embeddings of the whole batch, on the device without autodiff.
type Slopes = Vec<(Modality, Space, Tensor<2>)>;

/// The losses that compare embeddings of the whole batch: their gradients at these, and, noted in `found`, the losses and
/// their gradients at what else they depend on.
fn slopes(
    inputs: StepInputs<'_>,
    comparing: &[(&dyn Objective, f32)],
    compared: &[Modality],
    pieces: &[HostBatch],
    found: &mut StepGradients,
) -> Slopes {
    let mut own = Joined::default();
    let mut beside = [inputs.companions.teacher, inputs.companions.momentum.map(|momentum| &momentum.model)]
        .map(|model| model.map(|model| (model, Joined::default())));
    let inner = inputs.device.clone().inner();
    for (idx, piece) in pieces.iter().enumerate() {
        inputs.reseed(idx as u64);
        let context = StepInputs { batch: piece, ..inputs }.context();
        own.extend(embed(&context, compared).into_iter().map(|(m, s, tensor)| (m, s, tensor.inner())));
        for (model, joined) in beside.iter_mut().flatten() {
            let context = StepContext::new(model, piece, inputs.token_ids, &inner, inputs.seed, inputs.step);
            joined.extend(embed(&context, compared));
        }
    }
    let leaves = own.finish().into_iter();
    let leaves = leaves.map(|(m, s, tensor)| (m, s, Tensor::from_inner(tensor).require_grad()));
    let leaves = leaves.collect::<Vec<_>>();
    let context = inputs.context().with_embeddings(Embeddings::given(leaves.clone()));
    let beside = beside.map(|joined| joined.map(|(_, joined)| Embeddings::given(joined.finish())));
    let context = context.with_companions_embeddings(beside);
    let Some(parts) = combine(&context, comparing) else { return Vec::new() };
    found.queued = queued(&context, comparing);
    let mut gradients = parts.total.backward();
    found.gradients.add(GradientTable::take(inputs.model, &mut gradients));
    found.note(parts, 1.0);
    let slope = |(m, s, leaf): (Modality, Space, Tensor<2>)| Some((m, s, leaf.grad_remove(&mut gradients)?));
    leaves.into_iter().filter_map(slope).collect()
}

/// The embeddings of these modalities in every space, in a fixed order.
fn embed(context: &StepContext<'_>, modalities: &[Modality]) -> Vec<(Modality, Space, Tensor<2>)> {
    let places = modalities.iter().flat_map(|&m| Space::ALL.map(|space| (m, space)));
    places.filter_map(|(m, space)| Some((m, space, context.embedding(m, space)?))).collect()
}

/// Embeddings of pieces, one behind the other.
#[derive(Default)]
struct Joined(BTreeMap<(usize, usize), (Modality, Space, Vec<Tensor<2>>)>);

impl Joined {
    fn extend(&mut self, part: impl IntoIterator<Item = (Modality, Space, Tensor<2>)>) {
        for (modality, space, tensor) in part {
            let place = self.0.entry((modality.idx(), space as usize));
            place.or_insert((modality, space, Vec::new())).2.push(tensor);
        }
    }

    fn finish(self) -> Vec<(Modality, Space, Tensor<2>)> {
        self.0.into_values().map(|(m, space, parts)| (m, space, Tensor::cat(parts, 0))).collect()
    }
}

fn queued(context: &StepContext<'_>, weighted: &[(&dyn Objective, f32)]) -> Vec<(Pair, Entries)> {
    weighted.iter().filter_map(|(objective, _)| objective.queued(context)).collect()
}

impl<'a> StepInputs<'a> {
    /// The batch and its encodings.
    pub fn context(&self) -> StepContext<'a> {
        let Self { model, batch, token_ids, words, device, seed, step, companions } = *self;
        let context = StepContext::new(model, batch, token_ids, device, seed, step);
        context.with_words(words).with_companions(companions)
    }

    /// What is drawn on the device (which samples skip a block) is a function of the seed, the step and the piece.
    fn reseed(&self, piece: u64) {
        let key = self.seed.wrapping_add(self.step).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.device.seed(key.wrapping_add(piece.wrapping_mul(0xD6E8_FEB8_6659_FD93)));
    }
}

impl StepGradients {
    /// Adds losses that count for a share of the step.
    fn note(&mut self, parts: LossParts, share: f64) {
        self.total += parts.total.into_scalar::<f64>() * share;
        for (name, loss) in parts.named {
            let loss = loss.into_scalar::<f64>() * share;
            match self.named.iter_mut().find(|(other, _)| *other == name) {
                Some((_, sum)) => *sum += loss,
                None => self.named.push((name, loss)),
            }
        }
    }
}
