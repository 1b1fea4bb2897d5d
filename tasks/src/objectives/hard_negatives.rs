//! Wrong partners that look right: drawn from the batch by how alike they are.

use triptych_datasets::draw::Draw;

/// The probabilities of a row's wrong partners: the softmax of `logits` over all of them but those excluded; all 0 where
/// none is left.
///
/// # Reference
/// Li et al. 2021, "Align before fuse", section 3.2.
///
/// # Differences from the reference
/// ALBEF excludes the row's own partner alone; here others of the same group are excluded too, as they are not wrong.
pub fn negative_probabilities(logits: &[f32], is_excluded: impl Fn(usize) -> bool) -> Vec<f32> {
    let is_there = |idx: &usize| !is_excluded(*idx);
    let largest = (0..logits.len()).filter(is_there).map(|idx| logits[idx]).fold(f32::MIN, f32::max);
    let weight = |idx| if is_there(&idx) { (logits[idx] - largest).exp() } else { 0.0 };
    let mut weights = (0..logits.len()).map(weight).collect::<Vec<_>>();
    let total = weights.iter().sum::<f32>();
    if total > 0.0 {
        weights.iter_mut().for_each(|weight| *weight /= total);
    }
    weights
}

/// A wrong partner, drawn from its probabilities; `None` where all are 0.
pub(super) fn pick(probabilities: &[f32], draw: &mut Draw) -> Option<usize> {
    // drawn whether or not it is needed, so that one row does not change what the next one draws
    let mut left = draw.uniform();
    for (idx, probability) in probabilities.iter().enumerate() {
        if left < *probability {
            return Some(idx);
        }
        left -= probability;
    }
    // what rounding left of the sum
    probabilities.iter().rposition(|probability| *probability > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excluded_partners_are_never_drawn_and_the_others_as_often_as_they_are_alike() {
        let logits = [0.0, 2.0, 50.0, 1.0];
        let probabilities = negative_probabilities(&logits, |idx| idx == 2);
        let mut draw = Draw::new(1, 1, "", "test");
        let mut counts = [0usize; 4];
        for _ in 0..20_000 {
            counts[pick(&probabilities, &mut draw).expect("three are left")] += 1;
        }
        assert_eq!(counts[2], 0);
        let total = 1.0 + 2f32.exp() + 1f32.exp();
        for (idx, logit) in logits.iter().enumerate().filter(|(idx, _)| *idx != 2) {
            let (expected, found) = (logit.exp() / total, counts[idx] as f32 / 20_000.0);
            // four standard deviations of a count
            assert!(
                (expected - found).abs() < 4.0 * (0.25f32 / 20_000.0).sqrt(),
                "{idx}: {found}, {expected}"
            );
        }
    }

    #[test]
    fn where_all_are_excluded_none_is_drawn() {
        let probabilities = negative_probabilities(&[1.0, 2.0], |_| true);
        assert_eq!(probabilities, [0.0, 0.0]);
        assert_eq!(pick(&probabilities, &mut Draw::new(1, 1, "", "test")), None);
    }
}
