//! A published vocabulary under our numbers.
//!
//! ```text
//! published   0 [PAD]  1 [unused]  ..  100 [UNK]  101 [CLS]  102 [SEP]  103 [MASK]  ..  2417 red  ..
//! ours        0 pad    1 begin  2 end  3 mask  4 unknown  5 [unused]  ..             ..  2417 red  ..
//! ```
//! Marks that a vocabulary lacks are added, and one token that is two marks, such as CLIP's end and padding, becomes two.

use tokenizers::Tokenizer as Inner;

use super::tokenizer::{BOS, EOS, MASK, N_SPECIALS, PAD, UNK};

/// Marks that vocabularies name so.
const MASKS: [&str; 2] = ["[MASK]", "<mask>"];

/// Which published token each of our numbers is, and the other way about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    /// Of each of ours; none of a mark that the vocabulary lacks.
    published: Vec<Option<u32>>,
    /// Of each published one.
    ours: Vec<u32>,
    has_marks: [bool; 2],
}

impl Numbers {
    /// `pad` is the published number that fills texts up.
    ///
    /// # Errors
    /// What is wrong, in words: more marks around a text than one on either side, or no token for `pad`.
    pub(super) fn of(inner: &Inner, pad: u32) -> Result<Self, String> {
        let n_published = inner.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1);
        if pad as usize >= n_published {
            return Err(format!("expected a token of number {pad} for padding, got {n_published} tokens"));
        }
        let [begin, end] = marks_around(inner)?;
        let mask = MASKS.iter().find_map(|name| inner.token_to_id(name));
        let mut published = vec![None; N_SPECIALS];
        let mut ours = vec![None; n_published];
        // the last of these to claim a token that is several of them is read as the first
        for (mark, id) in [(EOS, end), (BOS, begin), (MASK, mask), (UNK, unknown(inner)), (PAD, Some(pad))] {
            let Some(id) = id.filter(|id| (*id as usize) < n_published) else { continue };
            published[mark as usize] = Some(id);
            ours[id as usize].get_or_insert(mark);
        }
        for (id, number) in ours.iter_mut().enumerate() {
            if number.is_none() {
                *number = Some(published.len() as u32);
                published.push(Some(id as u32));
            }
        }
        let ours = ours.into_iter().flatten().collect();
        Ok(Self { published, ours, has_marks: [begin.is_some(), end.is_some()] })
    }

    /// How many of ours there are.
    pub(super) fn n_tokens(&self) -> usize {
        self.published.len()
    }

    /// The published token of each of ours.
    pub(super) fn published(&self) -> &[Option<u32>] {
        &self.published
    }

    /// Whether the vocabulary has a mark before and one behind a text.
    pub(super) fn has_marks(&self) -> [bool; 2] {
        self.has_marks
    }

    /// Ours for published ones.
    pub(super) fn ours(&self, ids: &[u32]) -> Vec<u32> {
        ids.iter().map(|&id| self.ours.get(id as usize).copied().unwrap_or(UNK)).collect()
    }
}

/// The marks that a text gets before and behind it.
fn marks_around(inner: &Inner) -> Result<[Option<u32>; 2], String> {
    let ids = |text: &str| {
        let encoding = inner.encode_fast(text, true).map_err(|error| error.to_string())?;
        Ok::<_, String>(encoding.get_ids().to_vec())
    };
    let around_nothing = ids("")?;
    match around_nothing.as_slice() {
        [] => Ok([None, None]),
        [begin, end] => Ok([Some(*begin), Some(*end)]),
        [mark] => {
            let around_text = ids("a")?;
            let is_begin = around_text.first() == Some(mark) && around_text.last() != Some(mark);
            Ok(if is_begin { [Some(*mark), None] } else { [None, Some(*mark)] })
        }
        more => Err(format!("expected at most a mark before a text and one behind it, got {}", more.len())),
    }
}

/// The token of what the vocabulary has no token for.
fn unknown(inner: &Inner) -> Option<u32> {
    let model = serde_json::to_value(inner.get_model()).ok()?;
    if let Some(token) = model["unk_token"].as_str() {
        return inner.token_to_id(token);
    }
    model["unk_id"].as_u64().and_then(|id| u32::try_from(id).ok())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};

    use super::*;
    use crate::text::{PublishedTokenizer, Tokenizer, TokenizerKind};

    fn mark(id: u32, content: &str) -> Value {
        json!({
            "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        })
    }

    /// BERT's, with few words.
    fn bert() -> Value {
        let names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "heart", "##s"];
        let vocabulary: Value =
            names.iter().enumerate().map(|(id, name)| ((*name).to_owned(), json!(id))).collect();
        json!({
            "version": "1.0", "truncation": null, "padding": null,
            "added_tokens": (0..5).map(|id| mark(id, names[id as usize])).collect::<Vec<_>>(),
            "normalizer": {
                "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
                "lowercase": true,
            },
            "pre_tokenizer": { "type": "BertPreTokenizer" },
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [
                    { "SpecialToken": { "id": "[CLS]", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } },
                    { "SpecialToken": { "id": "[SEP]", "type_id": 0 } },
                ],
                "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 1 } }],
                "special_tokens": {
                    "[CLS]": { "id": "[CLS]", "ids": [2], "tokens": ["[CLS]"] },
                    "[SEP]": { "id": "[SEP]", "ids": [3], "tokens": ["[SEP]"] },
                },
            },
            "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
            "model": {
                "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100, "vocab": vocabulary,
            },
        })
    }

    /// One whose mark behind a text is its padding and its unknown token too, as in CLIP, and that has none before it.
    fn with_one_mark() -> Value {
        let mut file = bert();
        file["added_tokens"] = json!([mark(0, "</s>")]);
        file["post_processor"] = json!({
            "type": "TemplateProcessing",
            "single": [
                { "Sequence": { "id": "A", "type_id": 0 } }, { "SpecialToken": { "id": "</s>", "type_id": 0 } },
            ],
            "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 1 } }],
            "special_tokens": { "</s>": { "id": "</s>", "ids": [0], "tokens": ["</s>"] } },
        });
        file["model"] = json!({ "type": "WordLevel", "unk_token": "</s>", "vocab": { "</s>": 0, "red": 1 } });
        file["decoder"] = Value::Null;
        file
    }

    fn opened(file: &Value, pad: u32) -> Result<Tokenizer, crate::text::TokenizerError> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("tokenizer.json");
        fs::write(&path, file.to_string()).expect("a file");
        Tokenizer::published(PublishedTokenizer::open(&path).expect("a tokenizer"), pad)
    }

    #[test]
    fn marks_get_our_numbers_and_words_keep_their_order() {
        let tokenizer = opened(&bert(), 0).expect("a tokenizer");
        assert_eq!((tokenizer.kind(), tokenizer.n_tokens()), (TokenizerKind::Published, 8));
        let ids = [Some(0), Some(2), Some(3), Some(4), Some(1), Some(5), Some(6), Some(7)];
        assert_eq!(tokenizer.published_ids(), Some(ids.as_slice()));
        assert_eq!(tokenizer.has_marks(), [true, true]);
        assert_eq!(tokenizer.encode("RED hearts"), [5, 6, 7]);
        assert_eq!(tokenizer.encode("blue heart"), [UNK, 6]);
        assert_eq!(tokenizer.decode(&[BOS, 5, 6, 7, EOS, PAD, 99]), "red hearts");
        assert_eq!(tokenizer.token(MASK).as_deref(), Some("[MASK]"));
        assert!(!tokenizer.encode("a [MASK] heart").contains(&MASK), "a text spells no mark");
        assert!(tokenizer.encode("").is_empty());
    }

    #[test]
    fn a_token_that_is_several_marks_becomes_several() {
        let tokenizer = opened(&with_one_mark(), 0).expect("a tokenizer");
        assert_eq!(tokenizer.has_marks(), [false, true]);
        // nothing begins a text or hides a token; the rest are one row
        let ids = [Some(0), None, Some(0), None, Some(0), Some(1)];
        assert_eq!(tokenizer.published_ids(), Some(ids.as_slice()));
        assert_eq!(tokenizer.encode("red"), [5]);
        assert_eq!(tokenizer.token(BOS).as_deref(), Some("<bos>"));
    }

    #[test]
    fn it_is_saved_and_checked_like_one_of_ours() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("tokenizer.json");
        let tokenizer = opened(&bert(), 0).expect("a tokenizer");
        tokenizer.save(&path).expect("the folder is writable");
        let loaded = Tokenizer::load(&path).expect("it was just saved");
        assert_eq!((loaded.hash(), loaded.kind()), (tokenizer.hash(), TokenizerKind::Published));
        assert_eq!((loaded.n_tokens(), loaded.published_ids()), (8, tokenizer.published_ids()));
        assert_eq!(loaded.encode("red hearts"), [5, 6, 7]);
        let text = fs::read_to_string(&path).expect("a file");
        fs::write(&path, text.replace("\"pad\":0", "\"pad\":1")).expect("a file");
        let other = Tokenizer::load(&path).expect_err("another padding").to_string();
        assert!(other.contains("expected blake3"), "{other}");
        fs::write(&path, text.replace("\"heart\"", "\"heard\"")).expect("a file");
        assert!(Tokenizer::load(&path).is_err());
    }

    #[test]
    fn what_cannot_be_taken_is_told() {
        let none = opened(&bert(), 8).expect_err("no such padding").to_string();
        assert!(none.ends_with("expected a token of number 8 for padding, got 8 tokens"), "{none}");
        let mut file = bert();
        let twice = json!({ "SpecialToken": { "id": "[CLS]", "type_id": 0 } });
        file["post_processor"]["single"].as_array_mut().expect("a list").insert(0, twice);
        let more = opened(&file, 0).expect_err("three marks").to_string();
        assert!(more.ends_with("one behind it, got 3"), "{more}");
        assert!(Tokenizer::train(TokenizerKind::Published, &["red"], 60).is_err());
    }
}
