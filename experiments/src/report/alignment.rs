//! Word by word: what a transcript got right, changed, added and missed.

/// A word of an alignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word<'a> {
    /// Written as it was said.
    Same(&'a str),
    /// Written for another word.
    Changed { hypothesis: &'a str, reference: &'a str },
    /// Written, but not said.
    Added(&'a str),
    /// Said, but not written.
    Missed(&'a str),
}

/// The cheapest alignment of two texts by words split at white space; every edit costs one.
pub(super) fn align<'a>(hypothesis: &'a str, reference: &'a str) -> Vec<Word<'a>> {
    let hypothesis: Vec<&str> = hypothesis.split_whitespace().collect();
    let reference: Vec<&str> = reference.split_whitespace().collect();
    let (rows, columns) = (hypothesis.len() + 1, reference.len() + 1);
    // [hypothesis words, reference words]: edits between the rests of both from there on
    let mut cost = vec![vec![0usize; columns]; rows];
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            cost[row][column] = match (hypothesis.get(row), reference.get(column)) {
                (None, _) => columns - 1 - column,
                (_, None) => rows - 1 - row,
                (Some(said), Some(meant)) => {
                    let paired = cost[row + 1][column + 1] + usize::from(said != meant);
                    paired.min(1 + cost[row + 1][column].min(cost[row][column + 1]))
                }
            };
        }
    }

    let mut words = Vec::new();
    let (mut row, mut column) = (0, 0);
    loop {
        let (word, down, right) = match (hypothesis.get(row).copied(), reference.get(column).copied()) {
            (None, None) => return words,
            (Some(said), None) => (Word::Added(said), 1, 0),
            (None, Some(meant)) => (Word::Missed(meant), 0, 1),
            (Some(said), Some(meant)) if said == meant => (Word::Same(said), 1, 1),
            (Some(said), Some(meant)) => {
                let here = cost[row][column];
                if here == 1 + cost[row + 1][column + 1] {
                    (Word::Changed { hypothesis: said, reference: meant }, 1, 1)
                } else if here == 1 + cost[row + 1][column] {
                    (Word::Added(said), 1, 0)
                } else {
                    (Word::Missed(meant), 0, 1)
                }
            }
        };
        words.push(word);
        row += down;
        column += right;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Word::*, *};

    #[test]
    fn each_kind_of_edit_is_told_apart() {
        assert_eq!(
            align("a red car big", "red cat big dog"),
            [
                Added("a"),
                Same("red"),
                Changed { hypothesis: "car", reference: "cat" },
                Same("big"),
                Missed("dog")
            ]
        );
        assert_eq!(align("", "two words"), [Missed("two"), Missed("words")]);
        assert_eq!(align("  ", ""), []);
    }

    proptest! {
        #[test]
        fn both_texts_can_be_read_back(
            hypothesis in prop::collection::vec("[ab]", 0..8),
            reference in prop::collection::vec("[ab]", 0..8),
        ) {
            let (hypothesis, reference) = (hypothesis.join(" "), reference.join(" "));
            let words = align(&hypothesis, &reference);
            let said: Vec<_> = words.iter().filter_map(|word| match *word {
                Same(w) | Added(w) | Changed { hypothesis: w, .. } => Some(w),
                Missed(_) => None,
            }).collect();
            let meant: Vec<_> = words.iter().filter_map(|word| match *word {
                Same(w) | Missed(w) | Changed { reference: w, .. } => Some(w),
                Added(_) => None,
            }).collect();
            prop_assert_eq!(said.join(" "), hypothesis.as_str());
            prop_assert_eq!(meant.join(" "), reference.as_str());
        }
    }
}
