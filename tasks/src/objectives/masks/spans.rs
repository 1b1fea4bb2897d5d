//! Spans of a sound's tokens.

use triptych_datasets::draw::Draw;

/// Hides whole spans of `span` neighbours, wherever they fall, until at least the share `low` of the tokens is hidden and
/// never more than `high`; where no number of tokens lies between the two, and in sounds that are too short for a span, as
/// many as `low` asks for.
///
/// # Shapes
/// -> `[n_tokens]`, true = hidden
///
/// # Reference
/// Baevski et al. 2022 (data2vec), section 4.2: spans of 10 frames that may overlap, 65% of the frames or more.
///
/// # Differences from the reference
/// There the number of spans is drawn, and what they cover is left to chance.
pub fn spans(n_tokens: usize, span: usize, [low, high]: [f32; 2], draw: &mut Draw) -> Vec<bool> {
    // shares of float32 must not ask for one token more
    let low = ((low * n_tokens as f32 - 1e-4).ceil() as usize).min(n_tokens);
    let high = ((high * n_tokens as f32 + 1e-4).floor() as usize).clamp(low, n_tokens);
    let span = span.clamp(1, low.max(1));
    let mut hidden = vec![false; n_tokens];
    let mut n_hidden = 0;
    while n_hidden < low {
        let gain = |start: usize| hidden[start..start + span].iter().filter(|hidden| !**hidden).count();
        let gains = (0..=n_tokens - span).map(|start| (start, gain(start))).filter(|(_, gain)| *gain > 0);
        let gains = gains.collect::<Vec<_>>();
        let fitting = gains.iter().filter(|(_, gain)| n_hidden + gain <= high).collect::<Vec<_>>();
        // a gap that is left may be shorter than any span that fits: then its first tokens alone
        let (start, gain) = match fitting.as_slice() {
            [] => gains[draw.below(gains.len())],
            fitting => *fitting[draw.below(fitting.len())],
        };
        let mut n_left = gain.min(high - n_hidden);
        n_hidden += n_left;
        for hidden in &mut hidden[start..start + span] {
            if !*hidden && n_left > 0 {
                (*hidden, n_left) = (true, n_left - 1);
            }
        }
    }
    hidden
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn spans_cover_the_share_that_is_asked_for(n_tokens in 0usize..400, span in 1usize..12, seed: u64) {
            let hidden = spans(n_tokens, span, [0.65, 0.8], &mut Draw::new(seed, 0, "", ""));
            prop_assert_eq!(hidden.len(), n_tokens);
            let n_hidden = hidden.iter().filter(|hidden| **hidden).count();
            let low = (n_tokens * 65).div_ceil(100);
            prop_assert!((low..=low.max(n_tokens * 80 / 100)).contains(&n_hidden), "{} of {}", n_hidden, n_tokens);
        }

        #[test]
        fn hidden_runs_are_spans_or_longer(n_tokens in 30usize..400, seed: u64) {
            let hidden = spans(n_tokens, 3, [0.65, 0.8], &mut Draw::new(seed, 0, "", ""));
            prop_assert!(hidden.chunk_by(|a, b| a == b).all(|run| !run[0] || run.len() >= 3), "{:?}", hidden);
        }
    }

    #[test]
    fn whole_sounds_are_hidden_only_where_a_token_is_all_there_is() {
        let n_hidden = |n| {
            let hidden = spans(n, 3, [0.65, 0.8], &mut Draw::new(1, 0, "", ""));
            hidden.into_iter().filter(|hidden| *hidden).count()
        };
        assert_eq!([0, 1, 2, 3, 4, 5, 20].map(n_hidden), [0, 1, 2, 2, 3, 4, n_hidden(20)]);
        assert!((13..=16).contains(&n_hidden(20)));
    }
}
