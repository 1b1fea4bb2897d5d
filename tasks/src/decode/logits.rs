//! What is done to the logits of one next token before it is chosen, as plain functions. What is taken out gets negative infinity.
//!
//! # Reference
//! The logits processors of Hugging Face's transformers 5, of the same names; they are applied in the order of this file.

/// Makes logits natural log-probabilities; where nothing is possible it leaves them.
///
/// # Shapes
/// `[n_vocab]`
pub fn log_softmax(logits: &mut [f32]) {
    let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if best == f32::NEG_INFINITY {
        return;
    }
    let total = logits.iter().map(|logit| f64::from(logit - best).exp()).sum::<f64>().ln();
    logits.iter_mut().for_each(|logit| *logit = (f64::from(*logit - best) - total) as f32);
}

/// Makes what is written already less likely: logits above 0 are divided by the penalty, others multiplied (Keskar et al. 2019).
/// A penalty of 1 changes nothing.
pub fn repetition_penalty(logits: &mut [f32], written: &[u32], penalty: f32) {
    let mut ids = written.to_vec();
    ids.sort_unstable();
    ids.dedup();
    for id in ids {
        if let Some(logit) = logits.get_mut(id as usize) {
            *logit = if *logit < 0.0 { *logit * penalty } else { *logit / penalty };
        }
    }
}

/// Sharpens a distribution below 1 and flattens it above. It must be above 0.
pub fn temperature(logits: &mut [f32], temperature: f32) {
    logits.iter_mut().for_each(|logit| *logit /= temperature);
}

/// Keeps the `k` highest, and those that equal the last of them.
pub fn top_k(logits: &mut [f32], k: usize) {
    if k == 0 || k >= logits.len() {
        return;
    }
    let mut sorted = logits.to_vec();
    let (_, least, _) = sorted.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
    let least = *least;
    remove(logits, |logit| logit < least);
}

/// Keeps the likeliest whose probabilities add up to `p` or more, at least one (nucleus sampling, Holtzman et al. 2020).
pub fn top_p(logits: &mut [f32], p: f32) {
    let mut order = (0..logits.len()).collect::<Vec<_>>();
    // of equals the lower id goes first, as in the sort that the reference relies on
    order.sort_by(|a, b| logits[*a].total_cmp(&logits[*b]));
    let mut probabilities = logits.to_vec();
    log_softmax(&mut probabilities);
    let mut total = 0.0;
    let n = order.len();
    for &id in &order[..n.saturating_sub(1)] {
        total += f64::from(probabilities[id]).exp();
        if total <= 1.0 - f64::from(p) {
            logits[id] = f32::NEG_INFINITY;
        }
    }
}

/// Keeps what is at least `p` times as likely as the likeliest (Nguyen et al. 2024).
pub fn min_p(logits: &mut [f32], p: f32) {
    let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let least = best + p.ln();
    remove(logits, |logit| logit < least);
}

fn remove(logits: &mut [f32], is_removed: impl Fn(f32) -> bool) {
    logits.iter_mut().filter(|logit| is_removed(**logit)).for_each(|logit| *logit = f32::NEG_INFINITY);
}

/// The first of the highest that is possible at all.
pub(super) fn best(logits: &[f32]) -> Option<u32> {
    let mut best = None;
    let mut score = f32::NEG_INFINITY;
    for (id, &logit) in logits.iter().enumerate() {
        if logit > score {
            (best, score) = (Some(id as u32), logit);
        }
    }
    best
}

/// The `n` ids of the highest scores among those that are possible, best first, the lower id first of equals.
pub(super) fn best_ids(scores: &[f32], n: usize) -> Vec<u32> {
    let order = |a: &u32, b: &u32| scores[*b as usize].total_cmp(&scores[*a as usize]).then(a.cmp(b));
    let mut ids =
        (0..scores.len() as u32).filter(|id| scores[*id as usize] > f32::NEG_INFINITY).collect::<Vec<_>>();
    if ids.len() > n {
        ids.select_nth_unstable_by(n, order);
        ids.truncate(n);
    }
    ids.sort_unstable_by(order);
    ids
}
