//! The tokenizers of published models: their `tokenizer.json`, as it is, or one built of an older form's files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use tokenizers::{Tokenizer as Inner, TruncationDirection, TruncationParams, TruncationStrategy};

use super::words::WordBoundaries;
use super::{TokenizerError, vocabulary};

/// The most that a file may take; the largest vocabulary that we know of takes 33 MB.
pub(super) const MAX_BYTES: u64 = 128 << 20;

/// The tokenizer of a published model: normalises, cuts and marks texts in its own way. It may be shared between threads.
#[derive(Clone, Debug)]
pub struct PublishedTokenizer {
    pub(super) inner: Inner,
    n_tokens: usize,
}

impl PublishedTokenizer {
    /// Reads a `tokenizer.json`, or a `vocab.txt` or `vocab.json` with the files beside it. What they say of padding and of
    /// the longest text is set aside: that depends on the model beside them.
    ///
    /// # Errors
    /// A file that cannot be read, is too large, or is no tokenizer, and settings of the older form that are not implemented.
    pub fn open(path: &Path) -> Result<Self, TokenizerError> {
        if path.file_name().is_some_and(|name| name == "vocab.txt" || name == "vocab.json") {
            return Ok(Self::of(vocabulary::tokenizer(path)?));
        }
        let malformed = |problem: String| TokenizerError::Malformed { path: path.to_owned(), problem };
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
            .map_err(|source| TokenizerError::Io { action: "read", path: path.to_owned(), source })?;
        if text.len() as u64 > MAX_BYTES {
            return Err(malformed(format!("expected at most {MAX_BYTES} bytes, got more")));
        }
        let mut inner: Inner = text
            .parse()
            .map_err(|error: tokenizers::Error| malformed(format!("expected a tokenizer, got {error}")))?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| malformed(error.to_string()))?;
        Ok(Self::of(inner))
    }

    fn of(inner: Inner) -> Self {
        let n_tokens = inner.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1);
        Self { inner, n_tokens }
    }

    /// The same, cutting texts so that with their marks they have at most `max_tokens`.
    ///
    /// # Errors
    /// When there is no room for the marks.
    pub fn cut_to(mut self, max_tokens: usize) -> Result<Self, TokenizerError> {
        let marks = self.encode("")?.len();
        let refused = |reason: String| TokenizerError::Text { reason };
        if max_tokens < marks {
            return Err(refused(format!("{marks} marks around a text do not fit into {max_tokens} tokens")));
        }
        let cut = TruncationParams {
            direction: TruncationDirection::Right,
            max_length: max_tokens,
            strategy: TruncationStrategy::LongestFirst,
            stride: 0,
        };
        self.inner.with_truncation(Some(cut)).map_err(|error| refused(error.to_string()))?;
        Ok(self)
    }

    /// One more than the largest number of a token.
    pub fn n_tokens(&self) -> usize {
        self.n_tokens
    }

    /// The number of a token or a mark, written as in the vocabulary.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// What a number stands for, as the vocabulary has it.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Where words begin and end among its tokens.
    pub fn words(&self) -> WordBoundaries {
        let marks = self.inner.get_added_tokens_decoder();
        let is_mark = |id: u32| marks.get(&id).is_some_and(|token| token.special);
        let ids = 0..u32::try_from(self.n_tokens).unwrap_or(u32::MAX);
        let tokens = ids.map(|id| (self.token(id), is_mark(id))).collect::<Vec<_>>();
        WordBoundaries::new(tokens.iter().map(|(token, is_mark)| (token.as_deref(), *is_mark)))
    }

    /// The tokens of a text with the marks that the model wants around it.
    ///
    /// # Errors
    /// When the text has what the vocabulary has no token for, not even an unknown one.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.tokens(text, true)
    }

    /// The tokens of a text alone.
    ///
    /// # Errors
    /// As [`PublishedTokenizer::encode`].
    pub fn encode_plain(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.tokens(text, false)
    }

    /// The text of tokens; marks and numbers outside the vocabulary are left out.
    pub fn decode(&self, ids: &[u32]) -> String {
        // what the decoder cannot make text of is none
        self.inner.decode(ids, true).unwrap_or_default()
    }

    fn tokens(&self, text: &str, has_marks: bool) -> Result<Vec<u32>, TokenizerError> {
        let encoding = self.inner.encode_fast(text, has_marks);
        let encoding = encoding.map_err(|error| TokenizerError::Text { reason: error.to_string() })?;
        Ok(encoding.get_ids().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    /// Words, an end mark, and a padding and a longest text of the file's own.
    fn file() -> serde_json::Value {
        json!({
            "version": "1.0",
            "truncation": { "direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0 },
            "padding": {
                "strategy": { "Fixed": 8 }, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                "pad_type_id": 0, "pad_token": "[UNK]",
            },
            "added_tokens": [{
                "id": 3, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true,
            }],
            "normalizer": { "type": "Lowercase" },
            "pre_tokenizer": { "type": "Whitespace" },
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "SpecialToken": { "id": "</s>", "type_id": 0 } }],
                "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 1 } }],
                "special_tokens": { "</s>": { "id": "</s>", "ids": [3], "tokens": ["</s>"] } },
            },
            "decoder": null,
            "model": { "type": "WordLevel", "vocab": { "[UNK]": 0, "red": 1, "heart": 2 }, "unk_token": "[UNK]" },
        })
    }

    fn opened(content: &str) -> Result<PublishedTokenizer, TokenizerError> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("tokenizer.json");
        fs::write(&path, content).expect("a file");
        PublishedTokenizer::open(&path)
    }

    #[test]
    fn texts_are_marked_and_cut_as_the_model_wants_and_not_as_the_file_says() {
        let tokenizer = opened(&file().to_string()).expect("a tokenizer");
        assert_eq!((tokenizer.n_tokens(), tokenizer.id("</s>"), tokenizer.id("<s>")), (4, Some(3), None));
        assert_eq!(tokenizer.encode("Red heart blue").expect("known words"), [1, 2, 0, 3]);
        assert_eq!(tokenizer.encode_plain("heart").expect("known words"), [2]);
        assert_eq!(tokenizer.decode(&[1, 2, 3, 77]), "red heart");
        let short = tokenizer.clone().cut_to(2).expect("room for a word");
        assert_eq!(short.encode("red heart").expect("known words"), [1, 3]);
        let none = tokenizer.cut_to(0).expect_err("no room").to_string();
        assert_eq!(none, "cannot make tokens of a text: 1 marks around a text do not fit into 0 tokens");
    }

    #[test]
    fn words_follow_the_vocabulary_of_the_file() {
        let mut file = file();
        file["pre_tokenizer"] = json!({ "type": "BertPreTokenizer" });
        file["model"] = json!({
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
            "vocab": { "[UNK]": 0, "red": 1, "app": 2, "</s>": 3, "##le": 4, "##s": 5, ".": 6 },
        });
        let tokenizer = opened(&file.to_string()).expect("a tokenizer");
        let ids = tokenizer.encode("red apples. blue").expect("an unknown token");
        assert_eq!(ids, [1, 2, 4, 5, 6, 0, 3]);
        assert_eq!(tokenizer.words().words(&ids), [0..1, 1..4, 4..5, 5..6]);
    }

    #[test]
    fn what_is_no_tokenizer_is_told() {
        for content in ["", "{", "[]", "{\"version\": \"9\"}", "\u{0}"] {
            let error = opened(content).expect_err(content).to_string();
            assert!(error.contains("tokenizer.json: expected a tokenizer, got "), "{error}");
        }
        let missing = PublishedTokenizer::open(Path::new("/no/such/tokenizer.json")).expect_err("none");
        assert!(missing.to_string().starts_with("cannot read /no/such/tokenizer.json: "), "{missing}");
    }
}
