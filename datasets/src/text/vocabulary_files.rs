//! The files around a vocabulary, none of them from elsewhere.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::TokenizerError;
use super::published::MAX_BYTES;

/// Numbers of tokens lie below; the largest vocabularies that we know of have 300,000.
const MAX_TOKENS: u64 = 1 << 22;

/// A vocabulary's file and the settings beside it.
#[derive(Debug)]
pub(super) struct VocabularyFiles {
    path: PathBuf,
    /// Where the file's neighbours may lie: its folder, and where the file itself does if it is a link.
    roots: Vec<PathBuf>,
    /// `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json`; what is absent is empty.
    settings: [Map<String, Value>; 3],
    class: String,
}

impl VocabularyFiles {
    /// Reads the settings around `vocab.txt` or `vocab.json`.
    pub(super) fn open(path: &Path) -> Result<Self, TokenizerError> {
        let io = |path: &Path, source| TokenizerError::Io { action: "read", path: path.to_owned(), source };
        let target = path.canonicalize().map_err(|error| io(path, error))?;
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut roots = vec![folder.canonicalize().map_err(|error| io(folder, error))?];
        roots.extend(target.parent().map(Path::to_owned));
        let mut files =
            Self { path: path.to_owned(), roots, settings: Default::default(), class: String::new() };
        let names = ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"];
        for (idx, name) in names.into_iter().enumerate() {
            files.settings[idx] = files.table(name)?;
        }
        let class = files.settings[0].get("tokenizer_class").and_then(Value::as_str).map(ToOwned::to_owned);
        files.class = match class {
            Some(class) if !matches!(class.as_str(), "PreTrainedTokenizer" | "TokenizersBackend") => class,
            _ => match files.table("config.json")?.get("model_type").and_then(Value::as_str) {
                // of other models the vocabulary itself may tell
                Some(kind @ ("bert" | "distilbert" | "clip" | "gpt2" | "whisper")) => kind.to_owned(),
                _ => String::new(),
            },
        };
        Ok(files)
    }

    /// Whether it has a token a line, and not a table.
    pub(super) fn is_lines(&self) -> bool {
        self.path.extension().is_some_and(|extension| extension == "txt")
    }

    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// What the settings call the tokenizer, or the model; empty where they do not.
    pub(super) fn class(&self) -> &str {
        &self.class
    }

    /// The number of every token.
    pub(super) fn tokens(&self) -> Result<Map<String, Value>, TokenizerError> {
        let name = self.name();
        let text = self.text(&name)?.unwrap_or_default();
        let tokens: Map<String, Value> = if self.is_lines() {
            let lines = text.strip_suffix('\n').unwrap_or(&text).split('\n');
            // of two of one name the last counts
            lines.map(|line| line.strip_suffix('\r').unwrap_or(line)).zip(0_u64..).map(entry).collect()
        } else {
            self.numbers(&name, &text)?.into_iter().map(|(token, id)| entry((&token, id))).collect()
        };
        if text.is_empty() || tokens.is_empty() {
            return Err(self.wrong(&name, "expected at least one token, got none".to_owned()));
        }
        if tokens.len() as u64 > MAX_TOKENS {
            let problem = format!("expected at most {MAX_TOKENS} tokens, got {}", tokens.len());
            return Err(self.wrong(&name, problem));
        }
        Ok(tokens)
    }

    /// What `added_tokens.json`, or else `tokenizer_config.json`, adds to them, by number.
    pub(super) fn added(&self) -> Result<Vec<(String, u64)>, TokenizerError> {
        let mut added: BTreeMap<u64, String> = BTreeMap::new();
        let table = Value::Object(self.settings[2].clone()).to_string();
        for (token, id) in self.numbers("added_tokens.json", &table)? {
            added.insert(id, token);
        }
        if let Some(table) = self.settings[0].get("added_tokens_decoder").and_then(Value::as_object) {
            for (id, token) in table {
                let number = id.parse::<u64>().ok().filter(|id| *id < MAX_TOKENS);
                let (Some(id), Some(content)) = (number, token["content"].as_str()) else {
                    let problem =
                        format!("key `added_tokens_decoder`: expected tokens by number, got `{id}`");
                    return Err(self.wrong("tokenizer_config.json", problem));
                };
                added.insert(id, content.to_owned());
            }
        }
        Ok(added.into_iter().map(|(id, token)| (token, id)).collect())
    }

    /// The pairs of `merges.txt`, in order.
    pub(super) fn merges(&self) -> Result<Vec<[String; 2]>, TokenizerError> {
        const NAME: &str = "merges.txt";
        let Some(text) = self.text(NAME)? else {
            return Err(self.wrong(&self.name(), format!("expected {NAME} beside it, got none")));
        };
        let mut merges = Vec::new();
        for (line_idx, line) in text.split('\n').enumerate() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.is_empty() || (line_idx == 0 && line.starts_with("#version")) {
                continue;
            }
            let Some((first, second)) = line.split_once(' ').filter(|(_, second)| !second.contains(' '))
            else {
                let shown = line.chars().take(40).collect::<String>().escape_debug().to_string();
                let problem =
                    format!("line {}: expected two tokens and a space between, got `{shown}`", line_idx + 1);
                return Err(self.wrong(NAME, problem));
            };
            merges.push([first.to_owned(), second.to_owned()]);
        }
        Ok(merges)
    }

    /// A switch of `tokenizer_config.json`, if it is there.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, TokenizerError> {
        match self.settings[0].get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => {
                let problem = format!("key `{key}`: expected true or false, got {}", short(other));
                Err(self.wrong("tokenizer_config.json", problem))
            }
        }
    }

    /// Refuses a switch that stands otherwise than is implemented.
    pub(super) fn only(&self, key: &str, implemented: bool) -> Result<(), TokenizerError> {
        match self.flag(key)? {
            Some(flag) if flag != implemented => {
                let problem =
                    format!("key `{key}`: expected {implemented}, as only that is implemented, got {flag}");
                Err(self.wrong("tokenizer_config.json", problem))
            }
            _ => Ok(()),
        }
    }

    /// What the settings say of a mark, if they name it: nothing where they say that there is none.
    fn mark(&self, key: &str) -> Option<&Value> {
        self.settings[..2].iter().find_map(|table| table.get(key))
    }

    /// An error in a file beside the vocabulary.
    pub(super) fn wrong(&self, name: &str, problem: String) -> TokenizerError {
        TokenizerError::Malformed { path: self.path.with_file_name(name), problem }
    }

    fn numbers(&self, name: &str, text: &str) -> Result<Vec<(String, u64)>, TokenizerError> {
        let table: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
            self.wrong(name, format!("expected a table of numbers by token, got {error}"))
        })?;
        let number = |(token, id): (String, Value)| match id.as_u64().filter(|id| *id < MAX_TOKENS) {
            Some(id) => Ok((token, id)),
            None => {
                let token = token.chars().take(40).collect::<String>();
                let problem =
                    format!("token `{token}`: expected a number below {MAX_TOKENS}, got {}", short(&id));
                Err(self.wrong(name, problem))
            }
        };
        table.into_iter().map(number).collect()
    }

    fn table(&self, name: &str) -> Result<Map<String, Value>, TokenizerError> {
        let Some(text) = self.text(name)? else { return Ok(Map::new()) };
        serde_json::from_str(&text)
            .map_err(|error| self.wrong(name, format!("expected a table of settings, got {error}")))
    }

    /// The text of a file in the vocabulary's folder, if there is one.
    fn text(&self, name: &str) -> Result<Option<String>, TokenizerError> {
        let path = self.path.with_file_name(name);
        let io = |source| TokenizerError::Io { action: "read", path: path.clone(), source };
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
            Ok(_) => {}
        }
        let target = path.canonicalize().map_err(io)?;
        let is_inside = self.roots.iter().any(|root| target.parent() == Some(root));
        if !is_inside || !target.is_file() {
            let problem = format!("expected a file in this folder, got a link to {}", target.display());
            return Err(TokenizerError::Malformed { path, problem });
        }
        let mut text = String::new();
        let file = File::open(&path).map_err(io)?;
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(io)?;
        if text.len() as u64 > MAX_BYTES {
            return Err(self.wrong(name, format!("expected at most {MAX_BYTES} bytes, got more")));
        }
        Ok(Some(text))
    }
}

fn entry((token, id): (&str, u64)) -> (String, Value) {
    (token.to_owned(), id.into())
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.len() > 40 { format!("{}...", text.chars().take(40).collect::<String>()) } else { text }
}

/// The marks of a tokenizer, which texts are not cut across.
#[derive(Debug)]
pub(super) struct Marks<'a> {
    files: &'a VocabularyFiles,
    /// Every number by token.
    numbers: BTreeMap<String, u64>,
    /// What is a mark, by its number: how it is spelt and found.
    entries: BTreeMap<u64, Value>,
}

impl<'a> Marks<'a> {
    /// What was added to `tokens`; of the rest those are marks that are asked for.
    pub(super) fn new(
        files: &'a VocabularyFiles,
        tokens: &Map<String, Value>,
        added: &[(String, u64)],
    ) -> Result<Self, TokenizerError> {
        let mut numbers: BTreeMap<String, u64> =
            tokens.iter().filter_map(|(token, id)| Some((token.clone(), id.as_u64()?))).collect();
        for (token, id) in added {
            if let Some(first) = numbers.insert(token.clone(), *id)
                && first != *id
            {
                let problem =
                    format!("token `{token}`: expected number {first}, as in {}, got {id}", files.name());
                return Err(files.wrong("added_tokens.json", problem));
            }
        }
        let mut marks = Self { files, numbers, entries: BTreeMap::new() };
        let more = marks.files.mark("additional_special_tokens").and_then(Value::as_array);
        let more = more.into_iter().flatten().map(content).collect::<Vec<_>>();
        for (token, id) in added {
            let described = files.settings[0].get("added_tokens_decoder").map(|table| &table[id.to_string()]);
            let described = described.filter(|token| token.is_object()).cloned().unwrap_or(Value::Null);
            let is_special = described["special"].as_bool().unwrap_or(more.contains(&Some(token.as_str())));
            marks.insert(token, *id, &described, is_special);
        }
        for token in more.into_iter().flatten() {
            if let Some(&id) = marks.numbers.get(token) {
                marks.insert(token, id, &Value::Null, true);
            }
        }
        Ok(marks)
    }

    /// A mark that there must be, and its number.
    pub(super) fn needed(&mut self, key: &str, default: &str) -> Result<(String, u64), TokenizerError> {
        if let Some(mark) = self.optional(key, default)? {
            return Ok(mark);
        }
        let name = self.files.mark(key).and_then(content).unwrap_or(default).to_owned();
        let problem = format!("expected a token `{name}`, the `{key}`, got none");
        Err(self.files.wrong(&self.files.name(), problem))
    }

    /// A mark that there may be, and its number.
    pub(super) fn optional(
        &mut self,
        key: &str,
        default: &str,
    ) -> Result<Option<(String, u64)>, TokenizerError> {
        let told = self.files.mark(key).cloned().unwrap_or_else(|| default.into());
        if told.is_null() {
            return Ok(None);
        }
        let Some(name) = content(&told) else {
            let problem = format!("key `{key}`: expected the name of a token, got {}", short(&told));
            return Err(self.files.wrong("tokenizer_config.json", problem));
        };
        let Some(&id) = self.numbers.get(name) else { return Ok(None) };
        self.insert(name, id, &told, true);
        Ok(Some((name.to_owned(), id)))
    }

    /// A mark that has no usual name.
    pub(super) fn given(&mut self, key: &str) -> Result<(), TokenizerError> {
        if self.files.mark(key).is_some() {
            self.optional(key, "")?;
        }
        Ok(())
    }

    /// The number of a token.
    pub(super) fn number(&self, token: &str) -> Option<u64> {
        self.numbers.get(token).copied()
    }

    /// As a `tokenizer.json` lists them.
    pub(super) fn list(&self) -> Vec<Value> {
        self.entries.values().cloned().collect()
    }

    /// Each with its number.
    pub(super) fn numbers(&self) -> impl Iterator<Item = (&str, u32)> {
        self.entries.iter().filter_map(|(id, mark)| Some((content(mark)?, u32::try_from(*id).ok()?)))
    }

    fn insert(&mut self, token: &str, id: u64, told: &Value, is_special: bool) {
        let flag = |key: &str| told[key].as_bool().unwrap_or(false);
        let entry = json!({
            "id": id, "content": token, "single_word": flag("single_word"), "lstrip": flag("lstrip"),
            "rstrip": flag("rstrip"), "normalized": flag("normalized"), "special": is_special,
        });
        // the first to tell how it is found is believed
        self.entries
            .entry(id)
            .and_modify(|mark| mark["special"] = (is_special || mark["special"] == true).into())
            .or_insert(entry);
    }
}

/// How a mark is spelt, told as a text or as a table.
fn content(mark: &Value) -> Option<&str> {
    mark.as_str().or_else(|| mark["content"].as_str())
}
