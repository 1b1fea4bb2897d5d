//! Whole words of a text.

use std::ops::Range;

use triptych_datasets::draw::Draw;

/// Hides words as a whole, in an order that is drawn, as long as no more than `n_tokens` tokens are hidden: a word that is too
/// long for what is left stays. Where all words are longer, the shortest is hidden, so that there is something to predict.
///
/// # Shapes
/// The places of each word's tokens -> the places of hidden tokens, rising
///
/// # Reference
/// Devlin et al. 2019, `create_masked_lm_predictions` with `do_whole_word_mask` in `create_pretraining_data.py` of BERT's
/// repository.
///
/// # Differences from the reference
/// There a text of which every word is too long has nothing to predict.
pub fn whole_words(words: &[Range<usize>], n_tokens: usize, draw: &mut Draw) -> Vec<usize> {
    let mut hidden = Vec::new();
    for word in draw.choose(words.len(), words.len()).into_iter().map(|idx| &words[idx]) {
        if hidden.len() + word.len() <= n_tokens {
            hidden.extend(word.clone());
        }
    }
    if hidden.is_empty() {
        hidden.extend(words.iter().min_by_key(|word| word.len()).into_iter().flat_map(Clone::clone));
    }
    hidden.sort_unstable();
    hidden
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(lengths: &[usize]) -> Vec<Range<usize>> {
        let mut start = 0;
        let word = |&length: &usize| {
            start += length;
            start - length..start
        };
        lengths.iter().map(word).collect()
    }

    proptest! {
        #[test]
        fn words_are_hidden_whole_and_no_more_than_asked_for(
            lengths in prop::collection::vec(1usize..6, 0..40), n_tokens in 1usize..30, seed: u64,
        ) {
            let words = words(&lengths);
            let hidden = whole_words(&words, n_tokens, &mut Draw::new(seed, 0, "", ""));
            for word in &words {
                let n_hidden = word.clone().filter(|place| hidden.contains(place)).count();
                prop_assert!(n_hidden == 0 || n_hidden == word.len());
            }
            let shortest = lengths.iter().copied().min().unwrap_or(0);
            prop_assert!(hidden.len() <= n_tokens.max(shortest));
            prop_assert_eq!(hidden.is_empty(), words.is_empty());
            // another word that is seen would be too much
            let n_left = n_tokens.saturating_sub(hidden.len());
            prop_assert!(words.iter().filter(|word| !hidden.contains(&word.start)).all(|word| word.len() > n_left));
        }
    }

    #[test]
    fn words_are_hidden_alike() {
        let words = words(&[2; 10]);
        let mut counts = [0; 10];
        for seed in 0..2000 {
            let hidden = whole_words(&words, 6, &mut Draw::new(seed, 0, "", ""));
            assert_eq!(hidden.len(), 6);
            hidden.iter().step_by(2).for_each(|place| counts[place / 2] += 1);
        }
        // three of ten words each time: 600, give or take four deviations
        assert!(counts.iter().all(|count| (515..=685).contains(count)), "{counts:?}");
    }

    #[test]
    fn the_shortest_is_hidden_where_all_are_too_long() {
        let hidden = whole_words(&words(&[5, 3, 4]), 2, &mut Draw::new(1, 0, "", ""));
        assert_eq!(hidden, [5, 6, 7]);
    }
}
