//! Phrases that are to be heard more readily, matched while they are being spelled.

use std::collections::VecDeque;

use super::{CtcError, Vocabulary};

/// Phrases of one or more words, as an automaton over characters (Aho and Corasick 1975). A phrase matches between spaces or the
/// ends of the text, and adds its boost every time that it is spelled.
///
/// A phrase that has been begun adds the share of its boost that is spelled, so that it survives the search until it ends;
/// what turns out to be another word loses it again. At the end of a text only whole phrases count.
#[derive(Clone, Debug)]
pub struct HotWords {
    nodes: Vec<Node>,
}

/// Where the spelled text ends in the phrases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u32);

const ROOT: u32 = 0;

#[derive(Clone, Debug)]
struct Node {
    /// Sorted by character.
    children: Vec<(char, u32)>,
    /// The longest ending that begins a phrase too.
    fail: u32,
    /// Boosts of the phrases that end here, those of its endings included.
    boost: f64,
    /// What the nearest phrase to come is worth so far.
    partial: f64,
}

impl Node {
    fn new() -> Self {
        Self { children: Vec::new(), fail: ROOT, boost: 0.0, partial: 0.0 }
    }

    fn child(&self, character: char) -> Option<u32> {
        let place = self.children.binary_search_by_key(&character, |child| child.0).ok()?;
        Some(self.children[place].1)
    }
}

impl HotWords {
    /// Phrases with what each adds to a text's score, in nats. White space parts words; a phrase given twice counts once, with the
    /// last boost.
    ///
    /// # Errors
    /// An empty phrase, a boost that is not finite, or a phrase with a character that no label has.
    pub fn new<'a>(
        phrases: impl IntoIterator<Item = (&'a str, f64)>,
        vocabulary: &Vocabulary,
    ) -> Result<Self, CtcError> {
        let mut nodes = vec![Node::new()];
        for (phrase, boost) in phrases {
            let setting = |expected, got: String| CtcError::Setting { setting: "hot word", expected, got };
            if !boost.is_finite() {
                return Err(setting("a finite boost", boost.to_string()));
            }
            if let Some(character) = vocabulary.missing(phrase) {
                return Err(CtcError::HotWord { phrase: phrase.to_owned(), character });
            }
            let words = phrase.split_whitespace().collect::<Vec<_>>().join(" ");
            if words.is_empty() {
                return Err(setting("a phrase", format!("{phrase:?}")));
            }
            // a word starts behind a space, the first of a text as well
            let characters = [' '].into_iter().chain(words.chars()).collect::<Vec<_>>();
            let mut at = ROOT;
            for (place, &character) in characters.iter().enumerate() {
                at = child_of(&mut nodes, at, character);
                let spelled = place as f64 / (characters.len() - 1) as f64;
                let node = &mut nodes[at as usize];
                if spelled * boost.abs() > node.partial.abs() {
                    node.partial = spelled * boost;
                }
            }
            nodes[at as usize].boost = boost;
        }
        link(&mut nodes);
        Ok(Self { nodes })
    }

    /// The most that is added where words end, and the furthest that what is added while they are spelled can rise.
    pub(super) fn largest(&self) -> (f64, f64) {
        let boosts = self.nodes.iter().map(|node| node.boost);
        let partials = self.nodes.iter().map(|node| node.partial);
        let rise = partials.clone().fold(0.0, f64::max) - partials.fold(0.0, f64::min);
        (boosts.fold(0.0, f64::max), rise)
    }

    /// At the start of a text.
    pub(super) fn begin(&self) -> Place {
        self.step(Place(ROOT), ' ')
    }

    /// Behind one more character, of which spaces are single.
    pub(super) fn step(&self, place: Place, character: char) -> Place {
        let mut at = place.0;
        loop {
            match self.nodes[at as usize].child(character) {
                Some(child) => return Place(child),
                None if at == ROOT => return Place(ROOT),
                None => at = self.nodes[at as usize].fail,
            }
        }
    }

    /// What the phrases add that end here, if the word does.
    pub(super) fn completed(&self, place: Place) -> f64 {
        self.nodes[place.0 as usize].boost
    }

    /// What the phrase adds that is being spelled.
    pub(super) fn partial(&self, place: Place) -> f64 {
        self.nodes[place.0 as usize].partial
    }
}

fn child_of(nodes: &mut Vec<Node>, at: u32, character: char) -> u32 {
    let behind = nodes.len() as u32;
    match nodes[at as usize].children.binary_search_by_key(&character, |child| child.0) {
        Ok(place) => nodes[at as usize].children[place].1,
        Err(place) => {
            nodes[at as usize].children.insert(place, (character, behind));
            nodes.push(Node::new());
            behind
        }
    }
}

/// Sets the links to endings, nodes nearer to the root first.
fn link(nodes: &mut [Node]) {
    let mut queue = VecDeque::from([ROOT]);
    while let Some(at) = queue.pop_front() {
        for (character, child) in nodes[at as usize].children.clone() {
            queue.push_back(child);
            if at == ROOT {
                continue;
            }
            let mut ending = nodes[at as usize].fail;
            let fail = loop {
                match nodes[ending as usize].child(character) {
                    Some(node) => break node,
                    None if ending == ROOT => break ROOT,
                    None => ending = nodes[ending as usize].fail,
                }
            };
            let boost = nodes[fail as usize].boost;
            nodes[child as usize].fail = fail;
            nodes[child as usize].boost += boost;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> Vocabulary {
        let texts = ["", " ", "n", "e", "w", "y", "o", "r", "k", "c", "i", "t"];
        Vocabulary::new(texts.iter().map(|text| Some((*text).to_owned())).collect(), 0).unwrap()
    }

    /// What a text gets for its phrases, and for what is being spelled at its end.
    fn boosts(phrases: &[(&str, f64)], text: &str) -> (f64, f64) {
        let hot = HotWords::new(phrases.iter().copied(), &vocabulary()).unwrap();
        let (mut place, mut total) = (hot.begin(), 0.0);
        for character in text.chars() {
            if character == ' ' {
                total += hot.completed(place);
            }
            place = hot.step(place, character);
        }
        (total + hot.completed(place), hot.partial(place))
    }

    #[test]
    fn whole_phrases_count_wherever_they_overlap() {
        let phrases = [("york", 1.0), ("new york", 10.0), ("york city", 100.0)];
        assert_eq!(boosts(&phrases, "new york city").0, 111.0);
        assert_eq!(boosts(&phrases, "york york").0, 2.0);
        assert_eq!(boosts(&phrases, "newyork yorker ork new yor").0, 0.0);
        assert_eq!(boosts(&[("new", 1.0), ("new", 2.0)], "new").0, 2.0);
    }

    #[test]
    fn a_phrase_that_is_begun_counts_by_what_is_spelled() {
        let phrases = [("york", 8.0)];
        assert_eq!(boosts(&phrases, "yo"), (0.0, 4.0));
        assert_eq!(boosts(&phrases, "yoo"), (0.0, 0.0));
        assert_eq!(boosts(&phrases, "new yor"), (0.0, 6.0));
    }

    #[test]
    fn phrases_that_cannot_be_written_are_refused() {
        let message =
            |phrase, boost| HotWords::new([(phrase, boost)], &vocabulary()).unwrap_err().to_string();
        let expected = "hot word \"New\" cannot be written with the vocabulary: it has no 'N'";
        assert_eq!(message("New", 1.0), expected);
        assert_eq!(message(" ", 1.0), "hot word: expected a phrase, got \" \"");
        assert_eq!(message("new", f64::NAN), "hot word: expected a finite boost, got NaN");
    }
}
