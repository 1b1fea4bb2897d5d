//! What a published Whisper model's tokenizer and generation settings say of its marks, languages and tasks.

use std::collections::BTreeMap;

use serde_json::Value;
use triptych_datasets::text::{PublishedTokenizer, TokenizerError};
use triptych_encoders::pretrained::{CheckpointError, PublishedConfig};

use super::WhisperTokens;

/// Vocabularies from this size on are of models for many languages.
///
/// # Reference
/// openai-whisper 20250625, `Whisper.is_multilingual`.
const MULTILINGUAL_SIZE: usize = 51_865;

/// Steps of 0.02 s in a window of 30 s, both ends included.
const N_TIMES: usize = 1501;

/// What to do with speech.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhisperTask {
    /// Write it down.
    #[default]
    Transcribe,
    /// Write it down in English.
    Translate,
}

impl WhisperTask {
    fn mark(self) -> &'static str {
        match self {
            Self::Transcribe => "<|transcribe|>",
            Self::Translate => "<|translate|>",
        }
    }
}

/// Why a model's marks cannot be used, or not in the way that was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WhisperVocabularyError {
    /// A file of the model.
    #[error(transparent)]
    Settings(#[from] CheckpointError),
    /// Its tokenizer.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The tokenizer has no such mark.
    #[error("the tokenizer has no {mark}, which Whisper's have: expected the tokenizer of a Whisper model")]
    NoMark {
        /// The mark.
        mark: String,
    },
    /// The times lie behind the model's vocabulary.
    #[error("the vocabulary has {got} tokens: expected {expected}, up to the last of {N_TIMES} times")]
    Size {
        /// Up to the last time.
        expected: usize,
        /// The model's.
        got: usize,
    },
    /// It is not one of the model's.
    #[error("there is no language `{got}` in this model, expected one of {expected}")]
    Language {
        /// All codes.
        expected: String,
        /// What was asked for.
        got: String,
    },
    /// There is nothing to choose.
    #[error(
        "the model was trained on English alone: expected neither a language nor a translation, got {got}"
    )]
    EnglishOnly {
        /// What was asked for.
        got: String,
    },
}

/// A Whisper model's marks, languages and tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct WhisperVocabulary {
    /// With the start mark alone in front.
    tokens: WhisperTokens,
    /// Marks by codes such as `en`; none of a model for English alone.
    languages: BTreeMap<String, u32>,
    transcribe: Option<u32>,
    translate: Option<u32>,
    /// The latest first timestamp in steps of 0.02 s.
    pub max_initial_timestamp: Option<u32>,
}

impl WhisperVocabulary {
    /// Reads the marks by their names in the tokenizer, and what is never written from `settings`: the model's
    /// `generation_config.json`, or of older models its `config.json`.
    ///
    /// # Errors
    /// When it is the tokenizer of another model, or a setting is of another kind than it should be.
    pub fn read(
        tokenizer: &PublishedTokenizer,
        settings: &PublishedConfig,
        n_vocab: usize,
    ) -> Result<Self, WhisperVocabularyError> {
        let optional = |name: &str| tokenizer.id(name);
        let mark = |name: &str| {
            optional(name).ok_or_else(|| WhisperVocabularyError::NoMark { mark: name.to_owned() })
        };
        let (end, start) = (mark("<|endoftext|>")?, mark("<|startoftranscript|>")?);
        let (previous, no_timestamps) = (mark("<|startofprev|>")?, mark("<|notimestamps|>")?);
        // called so by the first release
        let no_speech = optional("<|nospeech|>").or_else(|| optional("<|nocaptions|>"));
        let timestamp_begin = no_timestamps + 1;
        let expected = timestamp_begin as usize + N_TIMES;
        if n_vocab < expected {
            return Err(WhisperVocabularyError::Size { expected, got: n_vocab });
        }
        let [transcribe, translate] =
            [WhisperTask::Transcribe, WhisperTask::Translate].map(|task| optional(task.mark()));
        let specials =
            [Some(start), Some(previous), no_speech, transcribe, translate, optional("<|startoflm|>")];
        let mut suppressed = ids(settings, "suppress_tokens", n_vocab)?.unwrap_or_default();
        suppressed.extend(specials.into_iter().flatten());
        suppressed.sort_unstable();
        suppressed.dedup();
        let blank = match ids(settings, "begin_suppress_tokens", n_vocab)? {
            Some(blank) => blank.into_iter().filter(|&id| id != end).collect(),
            None => tokenizer.encode_plain(" ")?,
        };
        let max_initial_timestamp = match settings.table().get("max_initial_timestamp_index") {
            None | Some(Value::Null) => Some(50),
            Some(_) => Some(settings.size("max_initial_timestamp_index", 50)?.min(N_TIMES) as u32),
        };
        let is_multilingual = settings.flag("is_multilingual", n_vocab >= MULTILINGUAL_SIZE)?;
        let languages = match is_multilingual {
            true => languages(tokenizer, start, translate.or(transcribe)),
            false => BTreeMap::new(),
        };
        let tokens = WhisperTokens {
            end,
            start,
            start_sequence: vec![start],
            previous,
            no_speech,
            no_timestamps,
            timestamp_begin,
            blank,
            suppressed,
        };
        Ok(Self { tokens, languages, transcribe, translate, max_initial_timestamp })
    }

    /// The codes of the languages that the model tells apart, with their marks; none of a model for English alone.
    pub fn languages(&self) -> &BTreeMap<String, u32> {
        &self.languages
    }

    /// The mark that begins every text.
    pub fn start(&self) -> u32 {
        self.tokens.start
    }

    /// Numbers from here on are marks and times.
    pub fn end(&self) -> u32 {
        self.tokens.end
    }

    /// The tokens for speech of a language, by its code; for a model of English alone there is neither a language nor a
    /// translation to ask for.
    ///
    /// # Errors
    /// When the model does not know the language, or cannot choose.
    pub fn tokens(
        &self,
        language: Option<&str>,
        task: WhisperTask,
    ) -> Result<WhisperTokens, WhisperVocabularyError> {
        let mut tokens = self.tokens.clone();
        if self.languages.is_empty() {
            let got = match (language, task) {
                (None | Some("en"), WhisperTask::Transcribe) => return Ok(tokens),
                (Some(language), WhisperTask::Transcribe) => format!("the language `{language}`"),
                (_, WhisperTask::Translate) => "a translation".to_owned(),
            };
            return Err(WhisperVocabularyError::EnglishOnly { got });
        }
        if let Some(language) = language {
            tokens.start_sequence.push(self.language(language)?);
        }
        let mark = match task {
            WhisperTask::Transcribe => self.transcribe,
            WhisperTask::Translate => self.translate,
        };
        let mark = mark.ok_or_else(|| WhisperVocabularyError::NoMark { mark: task.mark().to_owned() })?;
        tokens.start_sequence.push(mark);
        Ok(tokens)
    }

    fn language(&self, code: &str) -> Result<u32, WhisperVocabularyError> {
        self.languages.get(&code.to_lowercase()).copied().ok_or_else(|| {
            let expected = self.languages.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            WhisperVocabularyError::Language { expected, got: code.to_owned() }
        })
    }
}

/// Marks of the form `<|xx|>` between the start mark and the first task's.
fn languages(tokenizer: &PublishedTokenizer, start: u32, task: Option<u32>) -> BTreeMap<String, u32> {
    let between = start + 1..task.unwrap_or(start);
    let code = |id: u32| {
        let mark = tokenizer.token(id)?;
        Some((mark.strip_prefix("<|")?.strip_suffix("|>")?.to_owned(), id))
    };
    between.filter_map(code).collect()
}

/// The token ids under a key, if there are any.
fn ids(settings: &PublishedConfig, key: &str, n_vocab: usize) -> Result<Option<Vec<u32>>, CheckpointError> {
    let Some(value) = settings.table().get(key).filter(|value| !value.is_null()) else { return Ok(None) };
    let id = |value: &Value| {
        // some write -1 for "none"
        value.as_i64().filter(|id| (-1..n_vocab as i64).contains(id))
    };
    let ids = value.as_array().and_then(|ids| ids.iter().map(id).collect::<Option<Vec<_>>>());
    match ids {
        Some(ids) => Ok(Some(ids.into_iter().filter_map(|id| u32::try_from(id).ok()).collect())),
        None => Err(settings.wrong(key, &format!("a list of tokens below {n_vocab}"), "something else")),
    }
}
