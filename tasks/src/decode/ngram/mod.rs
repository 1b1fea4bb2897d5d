//! Back-off n-gram language models of words, and the ARPA files that they come in.

mod arpa;
mod words;

pub use arpa::{ArpaError, ArpaProblem};
pub use words::{Range, Words};

/// Begins a sentence.
pub const BEGIN: &str = "<s>";
/// Ends a sentence.
pub const END: &str = "</s>";
/// Any word that the model does not know.
pub const UNKNOWN: &str = "<unk>";

/// A back-off n-gram model (Katz 1987), as a tree of words with links from every n-gram to its longest shorter ending.
///
/// An n-gram is a number: single words first, in the order of [`Words`], then pairs, and so on, each level sorted by the
/// n-gram without its last word, so that those that follow one n-gram are neighbours. It costs 20 bytes, 12 on the last level.
#[derive(Clone, Debug, PartialEq)]
pub struct NGram {
    order: usize,
    words: Words,
    begin: u32,
    end: u32,
    unknown: u32,
    /// Last word of each n-gram.
    last: Vec<u32>,
    /// Probability of that word behind the others.
    log10: Vec<f32>,
    /// What an n-gram costs that is not there, for all below the last level.
    backoff: Vec<f32>,
    /// The first n-gram that adds a word, and one more entry behind the last, for all below the last level.
    first_child: Vec<u32>,
    /// The longest shorter ending that is there.
    suffix: Vec<Context>,
}

/// What has been read so far, as far as the model remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Context(u32);

impl Context {
    /// Nothing.
    pub const NONE: Self = Self(u32::MAX);
}

impl NGram {
    /// The longest n-gram in words.
    pub fn order(&self) -> usize {
        self.order
    }

    /// N-grams of any length.
    pub fn n_ngrams(&self) -> usize {
        self.last.len()
    }

    /// The words that it knows, `<s>`, `</s>` and `<unk>` among them.
    pub fn words(&self) -> &Words {
        &self.words
    }

    /// The number of a word, that of `<unk>` where the model does not know it. The marks are no words.
    pub fn word(&self, word: &str) -> u32 {
        self.known(self.words.narrow(self.words.all(), 0, word), word.len()).unwrap_or(self.unknown)
    }

    /// The word of `n_bytes` bytes among those that begin alike.
    pub fn known(&self, range: Range, n_bytes: usize) -> Option<u32> {
        let word = self.words.exact(range, n_bytes)?;
        (![self.begin, self.end, self.unknown].contains(&word)).then_some(word)
    }

    /// Stands for every word that the model does not know.
    pub fn unknown(&self) -> u32 {
        self.unknown
    }

    /// At the start of a sentence.
    pub fn begin(&self) -> Context {
        self.context(self.begin)
    }

    /// Base-10 logarithm of the probability of `word`, and what is remembered behind it.
    pub fn score(&self, context: Context, word: u32) -> (f32, Context) {
        let (mut at, mut backoff) = (context, 0.0);
        loop {
            if let Some(ngram) = self.find(at, word) {
                return (backoff + self.log10[ngram as usize], self.context(ngram));
            }
            backoff += self.backoff[at.0 as usize];
            at = self.suffix[at.0 as usize];
        }
    }

    /// Base-10 logarithm of the probability that the sentence ends.
    pub fn score_end(&self, context: Context) -> f32 {
        self.score(context, self.end).0
    }

    /// Base-10 logarithm of the probability of a sentence, its end included; its words are parted by white space.
    pub fn score_sentence(&self, sentence: &str) -> f64 {
        let (mut context, mut total) = (self.begin(), 0.0);
        for word in sentence.split_whitespace() {
            let (log10, next) = self.score(context, self.word(word));
            total += f64::from(log10);
            context = next;
        }
        total + f64::from(self.score_end(context))
    }

    /// What is remembered behind an n-gram.
    fn context(&self, ngram: u32) -> Context {
        if (ngram as usize) < self.backoff.len() { Context(ngram) } else { self.suffix[ngram as usize] }
    }

    /// The n-gram of a context and a word; every word is there behind nothing.
    fn find(&self, context: Context, word: u32) -> Option<u32> {
        if context == Context::NONE {
            return Some(word);
        }
        let first = self.first_child[context.0 as usize];
        let children = first as usize..self.first_child[context.0 as usize + 1] as usize;
        self.last[children].binary_search(&word).ok().map(|place| first + place as u32)
    }
}

#[cfg(test)]
mod tests;
