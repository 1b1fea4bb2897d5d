//! A recipe: one TOML file that says what a corpus is made from and by which stages.
//!
//! A stage runs if its table is there, always in the order of the fields of [`Recipe`]; `decode` and `shard` run in any
//! case. Paths are those of the command line: relative to the folder that the program is started in.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue};

use super::anonymise::AnonymiseSettings;
use super::classify::ClassifySettings;
use super::decode::DecodeSettings;
use super::deduplicate::DeduplicateSettings;
use super::error::{PipelineError, RecipeProblem};
use super::filter::FilterSettings;
use super::key::Key;
use super::normalise::NormaliseSettings;
use super::shard::ShardSettings;
use super::split::SplitSettings;
use super::tokenize::TokenizeSettings;

/// What to prepare, from what, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The corpus's name: letters, digits, `-` and `_`; its shards are called after it.
    pub name: String,
    /// Folders of prepared or imported corpora, in the order in which their samples follow each other.
    #[serde(alias = "source", default, deserialize_with = "one_or_many")]
    pub sources: Vec<PathBuf>,
    /// Where the corpus goes.
    #[serde(default)]
    pub out: Option<PathBuf>,
    /// Of all draws.
    #[serde(default)]
    pub seed: u64,
    /// What decides which slice of `--shard I/N` a sample belongs to.
    #[serde(default)]
    pub slice_by: Key,
    /// Which pictures and sounds can be used at all.
    #[serde(default)]
    pub decode: DecodeSettings,
    /// One form for all.
    pub normalise: Option<NormaliseSettings>,
    /// What is kept.
    pub filter: Option<FilterSettings>,
    /// What is there twice.
    pub deduplicate: Option<DeduplicateSettings>,
    /// What says who someone is.
    pub anonymise: Option<AnonymiseSettings>,
    /// Languages and domains, as tags.
    pub classify: Option<ClassifySettings>,
    /// What is trained on, what chooses and what is reported.
    pub split: Option<SplitSettings>,
    /// A vocabulary.
    pub tokenize: Option<TokenizeSettings>,
    /// The files of the corpus.
    #[serde(default)]
    pub shard: ShardSettings,
}

/// A setting that cannot be, with the keys that lead to it.
pub(crate) type Objection = (Vec<&'static str>, String);

impl Recipe {
    /// Reads a recipe.
    ///
    /// # Errors
    /// A file that cannot be read, or one that says something that it cannot: the error names line and column.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, PipelineError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|e| PipelineError::io("read", path, e))?;
        match String::from_utf8(bytes) {
            Ok(text) => Self::parse(&text, path),
            Err(e) => {
                let start = e.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(e.as_bytes()).into_owned();
                Err(problem(path, &text, start..start, "expected UTF-8 text".to_owned(), None).into())
            }
        }
    }

    /// Reads a recipe from text; `path` is for messages.
    ///
    /// # Errors
    /// As [`Recipe::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, PipelineError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let recipe: Self = toml::from_str(text).map_err(|e| explain(path, text, &e))?;
        if let Some((keys, message)) = recipe.objections().into_iter().next() {
            let span = span_of(text, &keys);
            return Err(problem(path, text, span, format!("`{}`: {message}", keys.join(".")), None).into());
        }
        Ok(recipe)
    }

    fn objections(&self) -> Vec<Objection> {
        let mut objections = Vec::new();
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if self.name.is_empty() || !self.name.bytes().all(is_plain) {
            let message = format!("expected letters, digits, '-' and '_', got {:?}", self.name);
            objections.push((vec!["name"], message));
        }
        objections.extend(self.decode.objections());
        objections.extend(self.normalise.iter().flat_map(NormaliseSettings::objections));
        objections.extend(self.filter.iter().flat_map(FilterSettings::objections));
        objections.extend(self.deduplicate.iter().flat_map(DeduplicateSettings::objections));
        objections.extend(self.anonymise.iter().flat_map(AnonymiseSettings::objections));
        objections.extend(self.classify.iter().flat_map(ClassifySettings::objections));
        objections.extend(self.split.iter().flat_map(SplitSettings::objections));
        objections.extend(self.tokenize.iter().flat_map(TokenizeSettings::objections));
        objections.extend(self.shard.objections());
        objections
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
    struct OneOrMany;

    impl<'de> Visitor<'de> for OneOrMany {
        type Value = Vec<PathBuf>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a folder, or an array of folders")
        }

        fn visit_str<E>(self, one: &str) -> Result<Self::Value, E> {
            Ok(vec![PathBuf::from(one)])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut many: A) -> Result<Self::Value, A::Error> {
            let mut folders = Vec::new();
            while let Some(folder) = many.next_element::<PathBuf>()? {
                folders.push(folder);
            }
            Ok(folders)
        }
    }

    deserializer.deserialize_any(OneOrMany)
}

fn problem(
    path: &Path,
    text: &str,
    span: Range<usize>,
    message: String,
    hint: Option<String>,
) -> Box<RecipeProblem> {
    let before = text.get(..span.start).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Box::new(RecipeProblem {
        path: path.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        message,
        hint,
    })
}

/// The parser's words, with the nearest valid key where a key is unknown.
fn explain(path: &Path, text: &str, error: &toml::de::Error) -> PipelineError {
    let message = error.message().trim().to_owned();
    let span = error.span().unwrap_or(0..0);
    // serde has a fixed way to say it: unknown field `x`, expected one of `a`, `b`
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (Some((got, valid)), true) = (quoted.split_first(), message.starts_with("unknown ")) else {
        return problem(path, text, span, message, None).into();
    };
    let what = if message.starts_with("unknown variant") { "value" } else { "key" };
    let hint = match nearest(got, valid) {
        Some(name) => format!("did you mean `{name}`? valid here: {}", valid.join(", ")),
        None => format!("valid here: {}", valid.join(", ")),
    };
    problem(path, text, span, format!("unknown {what} `{got}`"), Some(hint)).into()
}

fn nearest<'a>(word: &str, valid: &[&'a str]) -> Option<&'a str> {
    let distance = |name: &&str| strsim::damerau_levenshtein(word, name);
    let best = valid.iter().copied().min_by_key(distance)?;
    (distance(&best) <= 2.max(word.chars().count() / 3)).then_some(best)
}

/// Where the value of a key stands, or the nearest table above it.
fn span_of(text: &str, keys: &[&str]) -> Range<usize> {
    let Ok(table) = DeTable::parse(text) else { return 0..0 };
    let mut span = 0..0;
    let mut table = table.into_inner();
    for key in keys {
        let found = table.iter().find(|(name, _)| *name.get_ref() == **key);
        let Some((name, value)) = found else { break };
        span = name.span();
        match value.get_ref() {
            DeValue::Table(inner) => table = inner.clone(),
            _ => break,
        }
    }
    span
}
