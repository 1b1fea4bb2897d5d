//! The embeddings of a batch's pairs, in the space that the pair is compared in.

use burn::prelude::*;
use triptych_encoders::Modality;

use super::StepContext;
use super::companions::group_number;
use crate::heads::pair::Pair;

/// All embeddings of one modality, in the space in which the pair's are compared.
pub(super) fn embeddings(context: &StepContext<'_>, pair: Pair, modality: Modality) -> Option<Tensor<2>> {
    context.embedding(modality, context.model.retrieval.space(pair, modality))
}

/// The rows of `all` at `places`, which rise.
pub(super) fn at(context: &StepContext<'_>, all: &Tensor<2>, places: &[usize]) -> Tensor<2> {
    let [n, _] = all.dims();
    if places.len() == n { all.clone() } else { all.clone().select(0, context.indices(places)) }
}

/// Rows that have both modalities of a pair.
pub(super) struct Compared {
    /// Where they lie in each modality's batch.
    pub(super) places: [Vec<usize>; 2],
    /// `[n, d]` of each side.
    pub(super) sides: [Tensor<2>; 2],
}

/// The embeddings of the rows that have both modalities of a pair: one pairing for each of the samples that a row has.
/// Rows alone are left out, as a pair alone has nothing to be told from.
pub(super) fn compared(context: &StepContext<'_>, pair: Pair) -> Option<Vec<Compared>> {
    let [a, b] = *pair.modalities();
    let pairings = context.pairings(a, b).into_iter().filter(|[places, _]| places.len() > 1);
    let pairings = pairings.collect::<Vec<_>>();
    if pairings.is_empty() {
        return None;
    }
    let (all_a, all_b) = (embeddings(context, pair, a)?, embeddings(context, pair, b)?);
    let of = |places: [Vec<usize>; 2]| {
        let sides = [at(context, &all_a, &places[0]), at(context, &all_b, &places[1])];
        Compared { places, sides }
    };
    Some(pairings.into_iter().map(of).collect())
}

/// The mean of the losses of all pairings.
pub(super) fn mean(losses: Vec<Tensor<1>>) -> Option<Tensor<1>> {
    let n = losses.len() as f32;
    Some(losses.into_iter().reduce(|total, loss| total + loss)?.div_scalar(n))
}

/// Numbers for the groups of the rows at `places` of a modality's batch.
pub(super) fn groups(context: &StepContext<'_>, modality: Modality, places: &[usize]) -> Vec<u64> {
    let rows = context.rows(modality).unwrap_or_default();
    places.iter().map(|&place| group_number(&context.batch.ids[rows[place]])).collect()
}
