//! Texts that consist of allowed words only, or of whole phrases of a list.

use std::collections::BTreeSet;

use super::DecodeError;

/// What a text may consist of, besides its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// These tokens, in any order.
    Vocabulary(BTreeSet<u32>),
    /// Phrases of a list.
    Phrases(Phrases),
}

impl Constraint {
    /// Checks that every token of it is among `n_vocab`.
    pub(super) fn check(&self, n_vocab: usize) -> Result<(), DecodeError> {
        let largest = match self {
            Self::Vocabulary(ids) => ids.last().copied(),
            Self::Phrases(phrases) => {
                phrases.nodes.iter().filter_map(|node| Some(node.children.last()?.0)).max()
            }
        };
        match largest.filter(|id| *id as usize >= n_vocab) {
            Some(id) => Err(DecodeError::Vocabulary { what: "an allowed word", id, n_vocab }),
            None => Ok(()),
        }
    }

    /// What may stand behind `written`, and whether the text may end there. What could not be ended within `n_left` tokens, the
    /// next included, is left out.
    pub(super) fn next(&self, written: &[u32], n_left: usize) -> Next {
        match self {
            Self::Vocabulary(ids) if n_left > 0 => Next { ids: ids.iter().copied().collect(), may_end: true },
            Self::Vocabulary(_) => Next { ids: Vec::new(), may_end: true },
            Self::Phrases(phrases) => phrases.next(written, n_left),
        }
    }
}

/// What may stand next.
pub(super) struct Next {
    /// Sorted.
    pub(super) ids: Vec<u32>,
    pub(super) may_end: bool,
}

/// One phrase of a list, or any number of them, as a tree of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrases {
    nodes: Vec<Node>,
    /// Where further phrases begin, if there may be any.
    again: Option<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    /// Sorted by token.
    children: Vec<(u32, u32)>,
    is_end: bool,
    /// Tokens to the nearest end.
    n_to_end: usize,
}

const ROOT: u32 = 0;

impl Phrases {
    /// A text that is one of these phrases.
    ///
    /// # Errors
    /// No phrase, or an empty one.
    pub fn one_of(phrases: &[Vec<u32>]) -> Result<Self, DecodeError> {
        let mut tree = Self { nodes: vec![Node::default()], again: None };
        if phrases.is_empty() {
            return Err(DecodeError::Phrases { got: "none".to_owned() });
        }
        for (place, phrase) in phrases.iter().enumerate() {
            if phrase.is_empty() {
                return Err(DecodeError::Phrases { got: format!("an empty one at place {place}") });
            }
            tree.insert(ROOT, phrase);
        }
        tree.measure();
        Ok(tree)
    }

    /// A text of one or more of these phrases, with `separator` between them: empty where a phrase says itself that a word starts.
    ///
    /// # Errors
    /// No phrase, or an empty one.
    pub fn any_of(phrases: &[Vec<u32>], separator: &[u32]) -> Result<Self, DecodeError> {
        let mut tree = Self::one_of(phrases)?;
        let again = tree.nodes.len() as u32;
        tree.nodes.push(Node::default());
        for phrase in phrases {
            tree.insert(again, &[separator, phrase].concat());
        }
        tree.again = Some(again);
        tree.measure();
        Ok(tree)
    }

    fn insert(&mut self, root: u32, tokens: &[u32]) {
        let mut at = root as usize;
        for &token in tokens {
            let behind = self.nodes.len() as u32;
            at = match self.nodes[at].children.binary_search_by_key(&token, |child| child.0) {
                Ok(place) => self.nodes[at].children[place].1,
                Err(place) => {
                    self.nodes[at].children.insert(place, (token, behind));
                    self.nodes.push(Node::default());
                    behind
                }
            } as usize;
        }
        self.nodes[at].is_end = true;
    }

    /// Children come behind their parents.
    fn measure(&mut self) {
        for at in (0..self.nodes.len()).rev() {
            let node = &self.nodes[at];
            let nearest = node.children.iter().map(|child| self.nodes[child.1 as usize].n_to_end + 1).min();
            self.nodes[at].n_to_end = if node.is_end { 0 } else { nearest.unwrap_or(0) };
        }
    }

    fn next(&self, written: &[u32], n_left: usize) -> Next {
        // a text may be read in more than one way: "new" and "new york"
        let mut places = BTreeSet::from([ROOT]);
        for token in written {
            places = self.open(&places).filter(|child| child.0 == *token).map(|child| child.1).collect();
        }
        let fits = |child: &(u32, u32)| self.nodes[child.1 as usize].n_to_end < n_left;
        let ids = self.open(&places).filter(fits).map(|child| child.0).collect::<BTreeSet<_>>();
        Next {
            ids: ids.into_iter().collect(),
            may_end: places.iter().any(|place| self.nodes[*place as usize].is_end),
        }
    }

    /// Every step on from some places.
    fn open<'a>(&'a self, places: &'a BTreeSet<u32>) -> impl Iterator<Item = (u32, u32)> + 'a {
        places.iter().flat_map(|place| {
            let node = &self.nodes[*place as usize];
            let again = self.again.filter(|_| node.is_end);
            let further = again.map_or(&[][..], |again| &self.nodes[again as usize].children);
            node.children.iter().chain(further).copied()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(phrases: &Phrases, written: &[u32], n_left: usize) -> (Vec<u32>, bool) {
        let next = phrases.next(written, n_left);
        (next.ids, next.may_end)
    }

    #[test]
    fn phrases_go_on_as_listed_and_end_where_one_ends() {
        let phrases = Phrases::one_of(&[vec![1, 2], vec![1], vec![3, 4, 5]]).unwrap();
        assert_eq!(next(&phrases, &[], 9), (vec![1, 3], false));
        assert_eq!(next(&phrases, &[1], 9), (vec![2], true));
        assert_eq!(next(&phrases, &[1, 2], 9), (vec![], true));
        assert_eq!(next(&phrases, &[2], 9), (vec![], false));
        // the long one does not fit any more
        assert_eq!(next(&phrases, &[], 2), (vec![1], false));
    }

    #[test]
    fn further_phrases_follow_a_separator() {
        let phrases = Phrases::any_of(&[vec![1, 2], vec![1]], &[9]).unwrap();
        assert_eq!(next(&phrases, &[1], 9), (vec![2, 9], true));
        assert_eq!(next(&phrases, &[1, 9], 9), (vec![1], false));
        assert_eq!(next(&phrases, &[1, 9, 1, 2], 9), (vec![9], true));
        // a separator needs a phrase behind it
        assert_eq!(next(&phrases, &[1], 1), (vec![2], true));
        assert_eq!(next(&phrases, &[1], 0), (vec![], true));
        let joined = Phrases::any_of(&[vec![1, 2], vec![1], vec![2, 3]], &[]).unwrap();
        assert_eq!(next(&joined, &[1, 2], 9), (vec![1, 2, 3], true));
    }

    #[test]
    fn empty_lists_and_foreign_tokens_are_refused() {
        let message = |phrases: &[Vec<u32>]| Phrases::one_of(phrases).unwrap_err().to_string();
        assert_eq!(message(&[]), "expected phrases of at least one token each, got none");
        let expected = "expected phrases of at least one token each, got an empty one at place 1";
        assert_eq!(message(&[vec![1], vec![]]), expected);
        let constraint = Constraint::Phrases(Phrases::one_of(&[vec![1, 7]]).unwrap());
        let message = constraint.check(7).unwrap_err().to_string();
        assert_eq!(message, "vocabulary does not match: an allowed word is token 7, the model has 7");
        assert_eq!(constraint.check(8), Ok(()));
    }
}
