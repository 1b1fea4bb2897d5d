//! The tokenizers of published models that have no `tokenizer.json`: a vocabulary in a file of its own, with settings
//! beside it.
//!
//! | files | model |
//! |---|---|
//! | `vocab.txt` | BERT: pieces of words, the longest first |
//! | `vocab.json`, `merges.txt` | CLIP, GPT-2, Whisper: pairs of bytes, merged in order |
//!
//! Which of the three it is stands in `tokenizer_config.json` or `config.json`; else its marks tell.
//!
//! # Reference
//! `transformers` 5.24, `tokenization_{bert,clip,gpt2,whisper}.py`.
//!
//! # Differences from the reference
//! Whisper's marks before a text are those without a language and a task, whatever a settings file says: transcription
//! sets its own. A mark of BERT that the vocabulary lacks gets no new number, of which the model would have no row.

use std::path::Path;

use serde_json::{Map, Value, json};
use tokenizers::Tokenizer as Inner;

use super::TokenizerError;
use super::vocabulary_files::{Marks, VocabularyFiles};

/// CLIP's words: its marks, English endings, letters, single digits, and runs of the rest.
const CLIP_WORDS: &str = concat!(
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|",
    r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
);

/// Ends and begins the texts of models that know nothing else.
const END_OF_TEXT: &str = "<|endoftext|>";

/// What pieces a vocabulary has, and what is done to a text before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Bert,
    Clip,
    Gpt2,
    Whisper,
}

impl Scheme {
    /// By the names that settings have for them, without a final `Fast`; none of a name that says nothing.
    fn named(name: &str) -> Result<Option<Self>, String> {
        Ok(Some(match name.strip_suffix("Fast").unwrap_or(name) {
            "BertTokenizer" | "DistilBertTokenizer" | "bert" | "distilbert" => Self::Bert,
            "CLIPTokenizer" | "clip" => Self::Clip,
            "GPT2Tokenizer" | "gpt2" => Self::Gpt2,
            "WhisperTokenizer" | "whisper" => Self::Whisper,
            "" | "PreTrainedTokenizer" | "TokenizersBackend" => return Ok(None),
            other => {
                return Err(format!(
                    "expected the tokenizer of BERT, CLIP, GPT-2 or Whisper, as only those are built of a vocabulary, \
                     got `{other}`; hint: `transformers` writes a tokenizer.json: \
                     `AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)`"
                ));
            }
        }))
    }

    /// By what a vocabulary holds, where nothing names it.
    fn of(is_lines: bool, tokens: &Map<String, Value>, added: &[(String, u64)]) -> Self {
        let is_known = |name: &str| tokens.contains_key(name) || added.iter().any(|(token, _)| token == name);
        match is_lines {
            true => Self::Bert,
            false if is_known("<|startoftranscript|>") => Self::Whisper,
            false if is_known("<|startoftext|>") => Self::Clip,
            false => Self::Gpt2,
        }
    }
}

/// The tokenizer of a vocabulary: a `vocab.txt`, or a `vocab.json` with its `merges.txt`.
///
/// # Errors
/// A file that cannot be read, is too large, leads out of the folder or holds something else, and settings that are not
/// implemented.
pub(super) fn tokenizer(path: &Path) -> Result<Inner, TokenizerError> {
    let files = VocabularyFiles::open(path)?;
    let of_settings = |problem| files.wrong("tokenizer_config.json", problem);
    let tokens = files.tokens()?;
    let added = files.added()?;
    let named = Scheme::named(files.class()).map_err(of_settings)?;
    let scheme = named.unwrap_or_else(|| Scheme::of(files.is_lines(), &tokens, &added));
    if files.is_lines() != (scheme == Scheme::Bert) {
        let expected = if files.is_lines() { "vocab.json and merges.txt" } else { "vocab.txt" };
        let got = files.name();
        return Err(of_settings(format!("expected {expected} of a {scheme:?} tokenizer, got {got}")));
    }
    let mut marks = Marks::new(&files, &tokens, &added)?;
    let built = match scheme {
        Scheme::Bert => bert(&files, tokens, &mut marks)?,
        Scheme::Clip | Scheme::Gpt2 | Scheme::Whisper => merged(scheme, &files, tokens, &mut marks)?,
    };
    let Built { mut file, model } = built;
    file["version"] = "1.0".into();
    file["added_tokens"] = Value::Array(marks.list());
    file["model"] = model;
    let malformed = |problem: String| TokenizerError::Malformed { path: path.to_owned(), problem };
    let inner: Inner = file
        .to_string()
        .parse()
        .map_err(|error: tokenizers::Error| malformed(format!("expected a vocabulary, got {error}")))?;
    for (token, id) in marks.numbers() {
        let got = inner.token_to_id(token);
        if got != Some(id) {
            let got = got.map_or_else(|| "none".to_owned(), |got| got.to_string());
            return Err(malformed(format!("token `{token}`: expected number {id}, got {got}")));
        }
    }
    Ok(inner)
}

/// A `tokenizer.json` without its marks, and its model.
struct Built {
    file: Value,
    model: Value,
}

fn bert(
    files: &VocabularyFiles,
    tokens: Map<String, Value>,
    marks: &mut Marks,
) -> Result<Built, TokenizerError> {
    files.only("do_basic_tokenize", true)?;
    let unknown = marks.needed("unk_token", "[UNK]")?;
    let (begin, end) = (marks.needed("cls_token", "[CLS]")?, marks.needed("sep_token", "[SEP]")?);
    for (key, name) in [("pad_token", "[PAD]"), ("mask_token", "[MASK]")] {
        marks.optional(key, name)?;
    }
    let special = |name: &str, type_id: usize| json!({ "SpecialToken": { "id": name, "type_id": type_id } });
    let sequence = |name: &str, type_id: usize| json!({ "Sequence": { "id": name, "type_id": type_id } });
    let single = [special(&begin.0, 0), sequence("A", 0), special(&end.0, 0)];
    let second = [sequence("B", 1), special(&end.0, 1)];
    let pair = single.iter().chain(&second).cloned().collect::<Vec<_>>();
    let file = json!({
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": files.flag("tokenize_chinese_chars")?.unwrap_or(true),
            "strip_accents": files.flag("strip_accents")?,
            "lowercase": files.flag("do_lower_case")?.unwrap_or(true),
        },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": {
            "type": "TemplateProcessing", "single": single, "pair": pair,
            "special_tokens": specials(&[&begin, &end]),
        },
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
    });
    let model = json!({
        "type": "WordPiece", "unk_token": unknown.0, "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100, "vocab": tokens,
    });
    Ok(Built { file, model })
}

fn merged(
    scheme: Scheme,
    files: &VocabularyFiles,
    tokens: Map<String, Value>,
    marks: &mut Marks,
) -> Result<Built, TokenizerError> {
    let is_clip = scheme == Scheme::Clip;
    files.only("add_bos_token", false)?;
    let end = match is_clip {
        true => marks.needed("eos_token", END_OF_TEXT)?,
        false => marks.optional("eos_token", END_OF_TEXT)?.unwrap_or_default(),
    };
    let unknown = marks.optional("unk_token", END_OF_TEXT)?;
    let byte_level = |adds_space: bool| json!({ "type": "ByteLevel", "add_prefix_space": adds_space, "trim_offsets": true, "use_regex": true });
    let file = if is_clip {
        let begin = marks.needed("bos_token", "<|startoftext|>")?;
        marks.optional("pad_token", END_OF_TEXT)?;
        let words = json!({
            "type": "Split", "pattern": { "Regex": CLIP_WORDS }, "behavior": "Removed", "invert": true,
        });
        let blanks = json!({ "type": "Replace", "pattern": { "Regex": r"\s+" }, "content": " " });
        let last = json!({ "type": "Replace", "pattern": { "Regex": r"</w>\z" }, "content": "" });
        let ends = json!({ "type": "Replace", "pattern": { "String": "</w>" }, "content": " " });
        json!({
            "normalizer": {
                "type": "Sequence", "normalizers": [{ "type": "NFC" }, blanks, { "type": "Lowercase" }],
            },
            "pre_tokenizer": { "type": "Sequence", "pretokenizers": [words, byte_level(false)] },
            "post_processor": {
                "type": "RobertaProcessing", "sep": end, "cls": begin, "trim_offsets": false,
                "add_prefix_space": false,
            },
            "decoder": {
                "type": "Sequence",
                "decoders": [byte_level(false), last, ends],
            },
        })
    } else {
        marks.optional("bos_token", END_OF_TEXT)?;
        if scheme == Scheme::Gpt2 {
            marks.given("pad_token")?;
        }
        let post_processor = match scheme {
            Scheme::Whisper => whisper_marks(marks, end)?,
            _ => Value::Null,
        };
        json!({
            "normalizer": null,
            "pre_tokenizer": byte_level(files.flag("add_prefix_space")?.unwrap_or(false)),
            "post_processor": post_processor,
            "decoder": byte_level(true),
        })
    };
    let model = json!({
        "type": "BPE", "dropout": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
        "unk_token": unknown.filter(|_| is_clip).map(|(name, _)| name),
        "continuing_subword_prefix": "",
        "end_of_word_suffix": if is_clip { "</w>" } else { "" },
        "vocab": tokens, "merges": files.merges()?,
    });
    Ok(Built { file, model })
}

/// The begin of what is written down, without times, and its end.
fn whisper_marks(marks: &mut Marks, end: (String, u64)) -> Result<Value, TokenizerError> {
    let names = ["<|startoftranscript|>", "<|notimestamps|>"];
    let before = names.iter().filter_map(|name| marks.number(name).map(|id| ((*name).to_owned(), id)));
    let before = before.collect::<Vec<_>>();
    let special = |mark: &(String, u64)| json!({ "SpecialToken": { "id": mark.0, "type_id": 0 } });
    let sequence = |name: &str, type_id: usize| json!({ "Sequence": { "id": name, "type_id": type_id } });
    let mut single = before.iter().map(special).collect::<Vec<_>>();
    single.push(sequence("A", 0));
    let mut pair = single.clone();
    pair.push(sequence("B", 1));
    let mut all = before.iter().collect::<Vec<_>>();
    if !end.0.is_empty() {
        single.push(special(&end));
        pair.push(special(&end));
        all.push(&end);
    }
    Ok(json!({
        "type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": specials(&all),
    }))
}

fn specials(marks: &[&(String, u64)]) -> Value {
    let entry =
        |(name, id): &(String, u64)| (name.clone(), json!({ "id": name, "ids": [id], "tokens": [name] }));
    Value::Object(marks.iter().map(|mark| entry(mark)).collect())
}

#[cfg(test)]
mod tests;
