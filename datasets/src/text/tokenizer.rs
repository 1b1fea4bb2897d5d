//! Text to token numbers and back.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokenizers::decoders::fuse::Fuse;
use tokenizers::models::bpe::{BPE, BpeTrainer, Vocab};
use tokenizers::models::unigram::{Unigram, UnigramTrainer};
use tokenizers::models::wordpiece::{WordPiece, WordPieceTrainer};
use tokenizers::models::{ModelWrapper, TrainerWrapper};
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, SplitDelimiterBehavior, Tokenizer as Inner};

use super::adopted::Numbers;
use super::normalise::WORD_START;
use super::words::WordBoundaries;
use super::{PublishedTokenizer, normalise};
use crate::shard::write_atomic;

/// Fills rows of a batch; also the blank of CTC.
pub const PAD: u32 = 0;
/// Begins a text.
pub const BOS: u32 = 1;
/// Ends a text.
pub const EOS: u32 = 2;
/// Stands for a hidden token.
pub const MASK: u32 = 3;
/// Stands for a character that training never saw.
pub const UNK: u32 = 4;
/// Token numbers below this are marks, not text.
pub const N_SPECIALS: usize = 5;

const SPECIALS: [&str; N_SPECIALS] = ["<pad>", "<bos>", "<eos>", "<mask>", "<unk>"];
const FORMAT_VERSION: u32 = 1;

/// What a token is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenizerKind {
    /// A frequent sequence of characters within a word (byte-pair encoding; Sennrich et al., 2016).
    #[default]
    Bpe,
    /// The longest known beginning of what is left of a word (WordPiece; Schuster and Nakajima, 2012). A word with a
    /// character that training never saw, or of more than 100 characters, is unknown as a whole.
    WordPiece,
    /// The likeliest cut of a word into known pieces (unigram language model; Kudo, 2018). Training adds up in an order
    /// that differs between runs, and so may its vocabulary.
    Unigram,
    /// One character, the space included.
    Characters,
    /// What the published text encoder was trained with that an experiment starts from.
    Published,
}

/// A tokenizer that cannot be made, saved or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// There is no text to learn from.
    #[error("expected at least one text with a character in it, got none among {n_texts}")]
    NoText {
        /// Number of texts given.
        n_texts: usize,
    },
    /// The marks and the single characters alone need more tokens.
    #[error(
        "expected a vocabulary of at least {expected} tokens for the characters of these texts, got {got}"
    )]
    VocabularyTooSmall {
        /// Marks and characters.
        expected: usize,
        /// The size asked for.
        got: usize,
    },
    /// The system refused to read or write.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is not one of ours.
    #[error("{}: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// The file changed since it was written.
    #[error("{}: expected blake3 {expected}, got {got}", path.display())]
    Hash {
        /// The file.
        path: PathBuf,
        /// The hash that it was written with.
        expected: String,
        /// The hash of what is there.
        got: String,
    },
    /// A text that a published tokenizer does not take.
    #[error("cannot make tokens of a text: {reason}")]
    Text {
        /// What does not fit.
        reason: String,
    },
    /// The library underneath failed.
    #[error("cannot train a tokenizer: {reason}")]
    Training {
        /// Its words.
        reason: String,
    },
}

/// Cuts texts into tokens. It may be shared between threads.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    kind: TokenizerKind,
    inner: Inner,
    n_tokens: usize,
    hash: String,
    /// Of a published one.
    numbers: Option<Numbers>,
}

#[derive(Serialize, Deserialize)]
struct TokenizerFile {
    format_version: u32,
    kind: TokenizerKind,
    blake3: String,
    tokenizer: serde_json::Value,
    /// The published number that fills texts up, of a published tokenizer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pad: Option<u32>,
}

impl Tokenizer {
    /// Learns a vocabulary from texts. The same texts in the same order give the same vocabulary, but for
    /// [`TokenizerKind::Unigram`]. The size is an upper bound, and means nothing for [`TokenizerKind::Characters`].
    ///
    /// # Errors
    /// No text at all, or a vocabulary too small for the characters.
    pub fn train<S: AsRef<str>>(
        kind: TokenizerKind,
        texts: &[S],
        vocabulary_size: usize,
    ) -> Result<Self, TokenizerError> {
        let texts: Vec<String> = texts.iter().map(|text| normalise(text.as_ref())).collect();
        let alphabet: BTreeSet<char> = texts.iter().flat_map(|text| text.chars()).collect();
        if alphabet.is_empty() {
            return Err(TokenizerError::NoText { n_texts: texts.len() });
        }
        let training = |e: tokenizers::Error| TokenizerError::Training { reason: e.to_string() };
        let mut inner = match kind {
            TokenizerKind::Bpe | TokenizerKind::WordPiece | TokenizerKind::Unigram => {
                // the space is not a token of its own; the mark of a word's start is
                let expected = N_SPECIALS + alphabet.iter().filter(|c| **c != ' ').count() + 1;
                if vocabulary_size < expected {
                    return Err(TokenizerError::VocabularyTooSmall { expected, got: vocabulary_size });
                }
                train_pieces(kind, &texts, vocabulary_size).map_err(training)?
            }
            TokenizerKind::Characters => character_model(&alphabet).map_err(training)?,
            TokenizerKind::Published => {
                let reason = "a published one is taken as it is, not trained".to_owned();
                return Err(TokenizerError::Training { reason });
            }
        };
        // a text that holds "<pad>" holds five characters, not a mark
        inner.set_encode_special_tokens(true);
        let json = inner.to_string(false).map_err(training)?;
        let value: serde_json::Value =
            serde_json::from_str(&json).map_err(|e| TokenizerError::Training { reason: e.to_string() })?;
        let hash = hash_of(&value, None);
        Ok(Self { kind, n_tokens: inner.get_vocab_size(true), inner, hash, numbers: None })
    }

    /// Takes a published tokenizer, with our numbers for its marks; `pad` is the published number that fills texts up. Texts are
    /// normalised in its way, not in ours.
    ///
    /// # Errors
    /// Marks around a text that are more than one on either side, and a padding that is no token.
    ///
    /// # Differences from the reference
    /// A text that holds `[MASK]` holds characters, not a mark.
    pub fn published(tokenizer: PublishedTokenizer, pad: u32) -> Result<Self, TokenizerError> {
        let refused = |reason: String| TokenizerError::Text { reason };
        let mut inner = tokenizer.inner;
        let numbers = Numbers::of(&inner, pad).map_err(refused)?;
        inner.set_encode_special_tokens(true);
        let json = inner.to_string(false).map_err(|error| refused(error.to_string()))?;
        let value: serde_json::Value =
            serde_json::from_str(&json).map_err(|error| refused(error.to_string()))?;
        let hash = hash_of(&value, Some(pad));
        Ok(Self {
            kind: TokenizerKind::Published,
            n_tokens: numbers.n_tokens(),
            inner,
            hash,
            numbers: Some(numbers),
        })
    }

    /// The published number of each token, of a published tokenizer; none of a mark that it lacks.
    ///
    /// # Shapes
    /// `[n_tokens]`
    pub fn published_ids(&self) -> Option<&[Option<u32>]> {
        self.numbers.as_ref().map(Numbers::published)
    }

    /// Whether the published model wants a mark before and one behind a text.
    pub fn has_marks(&self) -> [bool; 2] {
        self.numbers.as_ref().map_or([false; 2], Numbers::has_marks)
    }

    /// Whether tokens are pieces of words or characters.
    pub fn kind(&self) -> TokenizerKind {
        self.kind
    }

    /// Size of the vocabulary, marks included.
    pub fn n_tokens(&self) -> usize {
        self.n_tokens
    }

    /// BLAKE3 of the vocabulary in hexadecimal.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The tokens of a text, normalised first, without begin and end marks.
    ///
    /// # Shapes
    /// Returns `[n_tokens]`, each below [`Tokenizer::n_tokens`].
    pub fn encode(&self, text: &str) -> Vec<u32> {
        if let Some(numbers) = &self.numbers {
            // without a token for the unknown, what a vocabulary has none for is left out
            let encoding = self.inner.encode_fast(text, false);
            return encoding.map_or_else(|_| Vec::new(), |encoding| numbers.ours(encoding.get_ids()));
        }
        let text = normalise(text);
        if text.is_empty() {
            return Vec::new();
        }
        let encoding =
            self.inner.encode_fast(text, false).expect("a model with an unknown token encodes every text");
        encoding.get_ids().to_vec()
    }

    /// The text of tokens; marks and numbers outside the vocabulary are left out.
    pub fn decode(&self, ids: &[u32]) -> String {
        let is_text = |id: &&u32| (N_SPECIALS..self.n_tokens).contains(&(**id as usize));
        let ids: Vec<u32> = ids.iter().filter(is_text).copied().collect();
        if ids.is_empty() {
            return String::new();
        }
        if let Some(numbers) = &self.numbers {
            let ids = ids.iter().filter_map(|id| numbers.published()[*id as usize]).collect::<Vec<_>>();
            return self.inner.decode(&ids, true).unwrap_or_default();
        }
        self.inner.decode(&ids, false).expect("tokens of the vocabulary decode")
    }

    /// What a token stands for, as the vocabulary has it.
    pub fn token(&self, id: u32) -> Option<String> {
        let Some(numbers) = &self.numbers else { return self.inner.id_to_token(id) };
        match numbers.published().get(id as usize)? {
            Some(published) => self.inner.id_to_token(*published),
            None => SPECIALS.get(id as usize).map(|name| (*name).to_owned()),
        }
    }

    /// Where words begin and end among its tokens.
    pub fn words(&self) -> WordBoundaries {
        let tokens =
            (0..self.n_tokens).map(|id| (self.token(id as u32), id < N_SPECIALS)).collect::<Vec<_>>();
        let boundaries =
            WordBoundaries::new(tokens.iter().map(|(token, is_mark)| (token.as_deref(), *is_mark)));
        match self.kind {
            // what a published vocabulary has no token for is a word in most of them
            TokenizerKind::WordPiece | TokenizerKind::Published => boundaries.with_beginning(UNK),
            _ => boundaries.with_going_on(UNK),
        }
    }

    /// Writes the vocabulary with its hash, whole or not at all.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), TokenizerError> {
        let path = path.as_ref();
        let malformed = |problem: String| TokenizerError::Malformed { path: path.to_owned(), problem };
        let json = self.inner.to_string(false).map_err(|e| malformed(e.to_string()))?;
        let tokenizer = serde_json::from_str(&json).map_err(|e| malformed(e.to_string()))?;
        let file = TokenizerFile {
            format_version: FORMAT_VERSION,
            kind: self.kind,
            blake3: self.hash.clone(),
            tokenizer,
            pad: self.numbers.as_ref().and_then(|numbers| numbers.published()[PAD as usize]),
        };
        let mut bytes = serde_json::to_vec(&file).map_err(|e| malformed(e.to_string()))?;
        bytes.push(b'\n');
        write_atomic(path, &bytes).map_err(|source| TokenizerError::Io {
            action: "write",
            path: path.to_owned(),
            source,
        })
    }

    /// Reads what [`Tokenizer::save`] wrote.
    ///
    /// # Errors
    /// A file that cannot be read, is of another format, or changed since.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, TokenizerError> {
        let path = path.as_ref();
        let malformed = |problem: String| TokenizerError::Malformed { path: path.to_owned(), problem };
        let bytes = std::fs::read(path).map_err(|source| TokenizerError::Io {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        let file: TokenizerFile =
            serde_json::from_slice(&bytes).map_err(|e| malformed(format!("expected a tokenizer: {e}")))?;
        if file.format_version != FORMAT_VERSION {
            let got = file.format_version;
            return Err(malformed(format!(
                "expected a tokenizer of format {FORMAT_VERSION}, got format {got}"
            )));
        }
        let got = hash_of(&file.tokenizer, file.pad);
        if got != file.blake3 {
            return Err(TokenizerError::Hash { path: path.to_owned(), expected: file.blake3, got });
        }
        // by way of `FromStr`, which the library compiles once: the generic way would be compiled again here
        let mut inner: Inner =
            file.tokenizer.to_string().parse().map_err(|e: tokenizers::Error| malformed(e.to_string()))?;
        inner.set_encode_special_tokens(true);
        if file.kind == TokenizerKind::Published {
            let pad = file.pad.ok_or_else(|| {
                malformed("expected the `pad` of a published tokenizer, got none".to_owned())
            })?;
            let numbers = Numbers::of(&inner, pad).map_err(malformed)?;
            let n_tokens = numbers.n_tokens();
            return Ok(Self { kind: file.kind, n_tokens, inner, hash: got, numbers: Some(numbers) });
        }
        for (id, special) in SPECIALS.iter().enumerate() {
            let got = inner.token_to_id(special);
            if got != Some(id as u32) {
                return Err(malformed(format!("expected {special} as token {id}, got {got:?}")));
            }
        }
        Ok(Self { kind: file.kind, n_tokens: inner.get_vocab_size(true), inner, hash: got, numbers: None })
    }
}

fn hash_of(tokenizer: &serde_json::Value, pad: Option<u32>) -> String {
    let pad = pad.map_or_else(String::new, |pad| format!("\npad {pad}"));
    blake3::hash(format!("{tokenizer}{pad}").as_bytes()).to_hex().to_string()
}

fn special_tokens() -> Vec<AddedToken> {
    SPECIALS.iter().map(|special| AddedToken::from(*special, true)).collect()
}

fn train_pieces(kind: TokenizerKind, texts: &[String], vocabulary_size: usize) -> tokenizers::Result<Inner> {
    let unknown = SPECIALS[UNK as usize].to_owned();
    let (model, mut trainer): (ModelWrapper, TrainerWrapper) = match kind {
        TokenizerKind::WordPiece => {
            // the mark of a word's start tells pieces apart, so that those within a word need none
            let trainer = WordPieceTrainer::builder()
                .vocab_size(vocabulary_size)
                .min_frequency(2)
                .show_progress(false)
                .continuing_subword_prefix(String::new())
                .special_tokens(special_tokens())
                .build();
            let model =
                WordPiece::builder().unk_token(unknown).continuing_subword_prefix(String::new()).build()?;
            (model.into(), trainer.into())
        }
        TokenizerKind::Unigram => {
            let trainer = UnigramTrainer::builder()
                .vocab_size(u32::try_from(vocabulary_size)?)
                .show_progress(false)
                .unk_token(Some(unknown))
                .special_tokens(special_tokens())
                .build()?;
            (Unigram::default().into(), trainer.into())
        }
        TokenizerKind::Bpe | TokenizerKind::Characters | TokenizerKind::Published => {
            let trainer = BpeTrainer::builder()
                .vocab_size(vocabulary_size)
                .min_frequency(2)
                .show_progress(false)
                .special_tokens(special_tokens())
                .build();
            (BPE::builder().unk_token(unknown).build()?.into(), trainer.into())
        }
    };
    let mut inner = Inner::new(model);
    if kind == TokenizerKind::Bpe {
        inner.with_pre_tokenizer(Some(word_starts()));
    } else {
        // their marks are pieces like others, which a text must not spell: no piece goes on behind this character
        let apart =
            Split::new(SplitPattern::String("<".to_owned()), SplitDelimiterBehavior::Isolated, false)?;
        inner.with_pre_tokenizer(Some(Sequence::new(vec![word_starts().into(), apart.into()])));
    }
    inner.with_decoder(Some(word_starts()));
    inner.train(&mut trainer, texts.iter().map(String::as_str))?;
    Ok(inner)
}

fn word_starts() -> Metaspace {
    Metaspace::new(WORD_START, PrependScheme::Always, true)
}

/// Byte-pair encoding without a single pair.
fn character_model(alphabet: &BTreeSet<char>) -> tokenizers::Result<Inner> {
    let tokens =
        SPECIALS.iter().map(|special| (*special).to_owned()).chain(alphabet.iter().map(char::to_string));
    let vocabulary: Vocab = tokens.zip(0u32..).collect();
    let model = BPE::builder()
        .vocab_and_merges(vocabulary, Vec::new())
        .unk_token(SPECIALS[UNK as usize].to_owned())
        .build()?;
    let mut inner = Inner::new(ModelWrapper::from(model));
    inner.with_decoder(Some(Fuse::new()));
    inner.add_special_tokens(special_tokens())?;
    Ok(inner)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const TEXTS: [&str; 6] = [
        "red apple",
        "green apple",
        "apple tree",
        "Tree frog",
        "man’s shoe (left)",
        "1st place medal & café",
    ];

    fn trained(kind: TokenizerKind) -> Tokenizer {
        Tokenizer::train(kind, &TEXTS, 60).expect("the texts are plain")
    }

    #[rstest]
    fn marks_have_their_numbers(
        #[values(
            TokenizerKind::Bpe,
            TokenizerKind::WordPiece,
            TokenizerKind::Unigram,
            TokenizerKind::Characters
        )]
        kind: TokenizerKind,
    ) {
        let tokenizer = trained(kind);
        for (id, special) in SPECIALS.iter().enumerate() {
            assert_eq!(tokenizer.token(id as u32).as_deref(), Some(*special));
        }
        assert!(tokenizer.n_tokens() > 20 && tokenizer.n_tokens() <= 60, "{}", tokenizer.n_tokens());
    }

    #[rstest]
    fn training_and_saving_repeat_themselves(
        #[values(TokenizerKind::Bpe, TokenizerKind::WordPiece, TokenizerKind::Characters)]
        kind: TokenizerKind,
    ) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("tokenizer.json");
        let tokenizer = trained(kind);
        assert_eq!(tokenizer.hash(), trained(kind).hash());
        tokenizer.save(&path).expect("the folder is writable");
        let loaded = Tokenizer::load(&path).expect("it was just saved");
        assert_eq!(
            (loaded.hash(), loaded.kind(), loaded.n_tokens()),
            (tokenizer.hash(), kind, tokenizer.n_tokens())
        );
        for text in TEXTS {
            assert_eq!(loaded.encode(text), tokenizer.encode(text));
            assert_eq!(loaded.decode(&loaded.encode(text)), normalise(text));
        }
    }

    #[rstest]
    fn unseen_characters_become_unknown_and_marks_are_not_read_from_text(
        #[values(
            TokenizerKind::Bpe,
            TokenizerKind::WordPiece,
            TokenizerKind::Unigram,
            TokenizerKind::Characters
        )]
        kind: TokenizerKind,
    ) {
        let tokenizer = trained(kind);
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("tokenizer.json");
        tokenizer.save(&path).expect("the folder is writable");
        let tokenizer = Tokenizer::load(&path).expect("it was just saved");
        assert!(tokenizer.encode("€").contains(&UNK));
        assert!(!tokenizer.encode("<pad>").contains(&PAD));
        assert_eq!(tokenizer.decode(&[PAD, BOS, EOS, MASK, UNK, 9999]), "");
        assert_eq!(tokenizer.encode("  "), Vec::<u32>::new());
    }

    #[test]
    fn frequent_words_become_one_token() {
        assert_eq!(trained(TokenizerKind::Bpe).encode("apple").len(), 1);
        assert_eq!(trained(TokenizerKind::Characters).encode("an apple").len(), 8);
    }

    #[rstest]
    fn words_are_what_stands_between_spaces(
        #[values(
            TokenizerKind::Bpe,
            TokenizerKind::WordPiece,
            TokenizerKind::Unigram,
            TokenizerKind::Characters
        )]
        kind: TokenizerKind,
    ) {
        let texts = [&TEXTS[..], &["a<b tree"]].concat();
        let tokenizer = Tokenizer::train(kind, &texts, 60).expect("the texts are plain");
        let boundaries = tokenizer.words();
        for text in ["red apple", "man’s shoe (left)", "frog", "a<b tree", "tree € apple", "coffee"] {
            let ids = tokenizer.encode(text);
            let words = boundaries.words(&ids);
            assert_eq!(words.len(), text.split(' ').count(), "{text}: {words:?}");
            let told =
                words.into_iter().zip(text.split(' ')).filter(|(word, _)| !ids[word.clone()].contains(&UNK));
            for (word, expected) in told {
                assert_eq!(tokenizer.decode(&ids[word]).trim(), expected, "{text}");
            }
        }
    }

    #[test]
    fn changed_and_foreign_files_are_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("tokenizer.json");
        trained(TokenizerKind::Bpe).save(&path).expect("the folder is writable");
        let text = std::fs::read_to_string(&path).expect("it was just saved");
        std::fs::write(&path, text.replacen("\"g\"", "\"q\"", 1)).expect("the folder is writable");
        assert!(matches!(Tokenizer::load(&path), Err(TokenizerError::Hash { .. })));
        std::fs::write(&path, "{}").expect("the folder is writable");
        assert!(matches!(Tokenizer::load(&path), Err(TokenizerError::Malformed { .. })));
        assert!(matches!(Tokenizer::load(dir.path().join("none")), Err(TokenizerError::Io { .. })));
    }

    #[test]
    fn too_small_vocabulary_says_how_many_it_needs() {
        let error =
            Tokenizer::train(TokenizerKind::Bpe, &TEXTS, 10).expect_err("10 tokens do not hold the alphabet");
        let TokenizerError::VocabularyTooSmall { expected, got: 10 } = error else { panic!("{error}") };
        assert!(Tokenizer::train(TokenizerKind::Bpe, &TEXTS, expected).is_ok());
        assert!(Tokenizer::train(TokenizerKind::Bpe, &[" "], 10).is_err());
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(text in "[aelprtdgnfomshc1 &()’é]{0,30}") {
            for kind in [TokenizerKind::Bpe, TokenizerKind::WordPiece, TokenizerKind::Unigram, TokenizerKind::Characters] {
                let tokenizer = trained(kind);
                prop_assert_eq!(tokenizer.decode(&tokenizer.encode(&text)), normalise(&text));
            }
        }
    }
}
