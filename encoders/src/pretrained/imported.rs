//! A published model after its import: a folder that says what it is and whose files belong together.
//!
//! ```text
//! triptych.json          family, our config and the published one, size and hash of every other file; written last
//! weights.safetensors    32-bit floats under the names of our parameters, mapped into memory on load
//! tokenizer.json ..      what came with the weights, as it was
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Checkpoint;
use super::companions::{self, FileRecord};
use super::config::PublishedConfig;
use super::error::{CheckpointError, quoted};
use super::folder::PublishedFolder;
use super::sentence::SentenceSettings;

#[cfg(test)]
mod tests;

/// What makes a folder an imported model.
const MANIFEST: &str = "triptych.json";

/// Where the weights lie in it.
const WEIGHTS: &str = "weights.safetensors";

/// Counts up when the meaning of the folder's content changes.
const FORMAT: &str = "triptych-model-2";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: String,
    family: String,
    /// Our config.
    model: Value,
    /// The published one.
    config: Value,
    files: BTreeMap<String, FileRecord>,
}

/// What a model is.
#[derive(Clone, Debug)]
pub struct ModelDescription {
    /// Its family's name.
    pub family: &'static str,
    /// Our config.
    pub model: Value,
    /// The published one.
    pub config: PublishedConfig,
    /// Token ids that it knows, where it reads or writes text.
    pub n_vocab: Option<usize>,
}

/// An imported model's folder.
#[derive(Clone, Debug)]
pub struct ImportedFolder {
    folder: PublishedFolder,
    manifest: Manifest,
}

impl ImportedFolder {
    /// Whether the folder is an imported model, whole or not.
    pub fn is_one(path: &Path) -> bool {
        path.join(MANIFEST).is_file()
    }

    /// Makes the folder `out`: copies what belongs to the checkpoint in `source`, checks that its tokenizer is no
    /// larger than the model's vocabulary, and
    /// has `write_weights` write the file of weights. A crash at any instant leaves either the whole folder or none of that name.
    ///
    /// # Errors
    /// When there is something at `out` already, or a file cannot be read or written.
    pub fn create<E: From<CheckpointError>>(
        out: &Path,
        source: &PublishedFolder,
        description: ModelDescription,
        write_weights: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<Self, E> {
        publish_folder(out, |part| -> Result<(), E> {
            if let Some(n_vocab) = description.n_vocab {
                companions::check_tokenizer(source, n_vocab)?;
            }
            let mut files = companions::copy(source, part)?;
            let weights = part.join(WEIGHTS);
            write_weights(&weights)?;
            let bytes = fs::metadata(&weights).map_err(|e| CheckpointError::io("read", &weights, e))?.len();
            files.insert(WEIGHTS.to_owned(), FileRecord { bytes, blake3: None });
            let manifest = Manifest {
                format: FORMAT.to_owned(),
                family: description.family.to_owned(),
                model: description.model.clone(),
                config: Value::Object(description.config.table().clone()),
                files,
            };
            let path = part.join(MANIFEST);
            let text = serde_json::to_vec_pretty(&manifest)
                .map_err(|e| CheckpointError::io("write", &path, e.into()))?;
            fs::write(&path, text).map_err(|e| CheckpointError::io("write", &path, e))?;
            Ok(())
        })?;
        Ok(Self::open(out)?)
    }

    /// Opens an imported model and checks the files that came with its weights.
    ///
    /// # Errors
    /// When it is none, or one of them is not what it was at import.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        let folder = PublishedFolder::open(path)?;
        let file = path.join(MANIFEST);
        let Some(value) = folder.json(MANIFEST)? else {
            return Err(CheckpointError::content(
                path,
                "itself",
                "an imported model with its triptych.json",
                "none",
            )
            .with_hint("`triptych model import SOURCE --out DIR` makes one of a published checkpoint"));
        };
        let format = value["format"].as_str().unwrap_or_default().to_owned();
        if format != FORMAT {
            return Err(CheckpointError::content(&file, "key `format`", quoted(FORMAT), quoted(&format))
                .with_hint(
                    "import the published checkpoint again: `triptych model import SOURCE --out DIR`",
                ));
        }
        let manifest: Manifest = serde_json::from_value(value).map_err(|error| {
            CheckpointError::content(&file, "itself", "the description of a model", error.to_string())
        })?;
        let imported = Self { folder, manifest };
        for (name, record) in &imported.manifest.files {
            if record.blake3.is_some() {
                companions::check(&imported.folder, name, record)?;
            }
        }
        imported.check_weights()?;
        Ok(imported)
    }

    fn check_weights(&self) -> Result<(), CheckpointError> {
        let path = self.folder.file(WEIGHTS)?;
        let got = fs::metadata(&path).map_err(|e| CheckpointError::io("read", &path, e))?.len();
        match self.manifest.files.get(WEIGHTS) {
            Some(record) if record.bytes == got => Ok(()),
            record => {
                let expected = record
                    .map_or_else(|| "no weights".to_owned(), |record| format!("{} bytes", record.bytes));
                Err(CheckpointError::content(&path, "itself", expected, format!("{got} bytes")))
            }
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The family's name.
    pub fn family(&self) -> &str {
        &self.manifest.family
    }

    /// The folder, from which only what was recorded is to be read.
    pub(super) fn folder(&self) -> &PublishedFolder {
        &self.folder
    }

    /// Our config.
    pub fn model(&self) -> &Value {
        &self.manifest.model
    }

    /// The published `config.json`.
    ///
    /// # Errors
    /// When it is no table.
    pub fn config(&self) -> Result<PublishedConfig, CheckpointError> {
        PublishedConfig::new(&self.path().join(MANIFEST), self.manifest.config.clone())
    }

    /// How the tokens of a sentence become one vector, where it is a model for sentences.
    ///
    /// # Errors
    /// When there is a step that is not implemented.
    pub fn sentence_settings(&self) -> Result<Option<SentenceSettings>, CheckpointError> {
        SentenceSettings::read(&self.folder)
    }

    /// A file that came with the weights, if it did: `tokenizer.json`, `preprocessor_config.json`.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        self.manifest.files.contains_key(name).then(|| self.path().join(name))
    }

    /// Every file, with what was recorded of it at import.
    pub fn files(&self) -> &BTreeMap<String, FileRecord> {
        &self.manifest.files
    }

    /// The weights under the names of our parameters.
    ///
    /// # Errors
    /// When they are damaged.
    pub fn weights(&self) -> Result<Checkpoint, CheckpointError> {
        Checkpoint::open_file(&self.folder.file(WEIGHTS)?)
    }

    /// Makes the folder `out` in the published layout: `config.json` and the files that came with the weights as they were,
    /// and the file of weights that `write_weights` writes.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn publish<E: From<CheckpointError>>(
        &self,
        out: &Path,
        write_weights: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), E> {
        publish_folder(out, |part| -> Result<(), E> {
            companions::copy_recorded(&self.folder, &self.manifest.files, part)?;
            let path = part.join("config.json");
            let mut config = self.manifest.config.clone();
            if let Some(table) = config.as_object_mut() {
                // of what is written, whatever the published file held
                for key in ["torch_dtype", "dtype"] {
                    if table.contains_key(key) {
                        table.insert(key.to_owned(), Value::from("float32"));
                    }
                }
            }
            let text = serde_json::to_vec_pretty(&config)
                .map_err(|e| CheckpointError::io("write", &path, e.into()))?;
            fs::write(&path, text).map_err(|e| CheckpointError::io("write", &path, e))?;
            write_weights(&part.join("model.safetensors"))
        })
    }
}

/// Makes the folder `out` at once: `fill` fills one beside it, which then gets the name.
fn publish_folder<E: From<CheckpointError>>(
    out: &Path,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let failed = |source| CheckpointError::io("write", out, source);
    // an empty folder may stand there
    if out.exists() && fs::remove_dir(out).is_err() {
        return Err(CheckpointError::content(
            out,
            "itself",
            "no such folder yet, or an empty one",
            "one with files in it",
        )
        .with_hint("name another one with `--out`")
        .into());
    }
    let around = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(around).map_err(failed)?;
    let part = tempfile::Builder::new().prefix(".part-").tempdir_in(around).map_err(failed)?;
    fill(part.path())?;
    #[cfg(unix)]
    {
        // a temporary folder is private at first
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(part.path(), fs::Permissions::from_mode(0o755)).map_err(failed)?;
    }
    fs::rename(part.path(), out).map_err(failed)?;
    // it has another name now
    let _ = part.keep();
    Ok(())
}
