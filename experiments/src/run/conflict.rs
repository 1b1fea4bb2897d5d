//! Each objective's own gradient at one step: how large it is, and which way it points beside the others'.

use std::collections::BTreeMap;

use triptych_tasks::objectives::{GradientTable, Objective, StepInputs, differentiate};

/// An objective's loss and gradient at one step, before its weight.
pub(super) struct Measured {
    pub(super) name: &'static str,
    pub(super) loss: f64,
    pub(super) gradients: GradientTable,
}

/// Measures every objective by itself, with what is drawn in the step itself. Costs a forward and a backward pass for each, and
/// changes nothing.
pub(super) fn measure(
    inputs: StepInputs<'_>,
    objectives: &[(&dyn Objective, f32)],
    n_pieces: usize,
) -> Vec<Measured> {
    let of = |(objective, _): &(&dyn Objective, f32)| {
        let found = differentiate(inputs, &[(*objective, 1.0)], n_pieces)?;
        Some(Measured { name: objective.name(), loss: found.total, gradients: found.gradients })
    };
    objectives.iter().filter_map(of).collect()
}

/// The cosine between the gradients of every two objectives: below 0 where what one learns, the other unlearns.
///
/// # Reference
/// Yu et al. 2020, "Gradient surgery for multi-task learning", definition 1.
pub(super) fn cosines(measured: &[Measured]) -> BTreeMap<String, f64> {
    let pairs = measured.iter().enumerate().flat_map(|(idx, a)| measured[..idx].iter().map(move |b| (b, a)));
    pairs.map(|(a, b)| (format!("{} {}", a.name, b.name), a.gradients.cosine(&b.gradients))).collect()
}
