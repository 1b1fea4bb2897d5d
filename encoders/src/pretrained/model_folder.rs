//! A model to use, from either kind of folder: as it was published, or after its import.

use std::path::{Path, PathBuf};

use burn::prelude::*;

use super::checkpoint::Checkpoint;
use super::config::PublishedConfig;
use super::error::CheckpointError;
use super::families::{Family, FamilyEntry};
use super::folder::PublishedFolder;
use super::imported::ImportedFolder;
use super::sentence::SentenceSettings;
use super::transfer::{self, PretrainedError};

/// The folder of a model.
#[derive(Clone, Debug)]
pub enum ModelFolder {
    /// In the layout in which models are published.
    Published(PublishedFolder),
    /// After `triptych model import`.
    Imported(Box<ImportedFolder>),
}

impl ModelFolder {
    /// Looks at a folder.
    ///
    /// # Errors
    /// When there is none, it is no model, or a file of an imported one is not what it was.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        if ImportedFolder::is_one(path) {
            return Ok(Self::Imported(Box::new(ImportedFolder::open(path)?)));
        }
        let folder = PublishedFolder::open(path)?;
        if folder.find("config.json")?.is_some() {
            return Ok(Self::Published(folder));
        }
        const EXPECTED: &str =
            "a published model with its config.json, or an imported one with its triptych.json";
        if folder.find("config.toml")?.is_some() {
            return Err(CheckpointError::content(path, "itself", EXPECTED, "the folder of a run")
                .with_hint("a run goes first on the command line, without `--model`"));
        }
        Err(CheckpointError::content(path, "itself", EXPECTED, "neither").with_hint(
            "`--model` takes a folder as the Hugging Face hub has it, or one of `triptych model import`",
        ))
    }

    /// As it was given.
    pub fn path(&self) -> &Path {
        self.folder().path()
    }

    /// What kind of model it holds.
    ///
    /// # Errors
    /// When it is none of ours.
    pub fn family(&self) -> Result<&'static FamilyEntry, CheckpointError> {
        match self {
            Self::Published(folder) => FamilyEntry::of_published(folder),
            Self::Imported(folder) => FamilyEntry::of_imported(folder),
        }
    }

    /// The model on a device.
    ///
    /// # Errors
    /// When it is of another family, asks for what is not implemented, does not fit, or a file cannot be read.
    pub fn load<F: Family>(&self, device: &Device) -> Result<(F::Config, F::Model), PretrainedError> {
        match self {
            Self::Published(folder) => transfer::load_published::<F>(folder, device),
            Self::Imported(folder) => transfer::load::<F>(folder, device),
        }
    }

    /// The model's sizes; of its weights the names and shapes alone are read.
    ///
    /// # Errors
    /// When it is of another family, or asks for what is not implemented.
    pub fn family_config<F: Family>(&self) -> Result<F::Config, PretrainedError> {
        match self {
            Self::Published(folder) => {
                Ok(F::config(&PublishedConfig::open(folder)?, &Checkpoint::open(folder)?)?)
            }
            Self::Imported(folder) => transfer::imported_config::<F>(folder),
        }
    }

    /// A file that came with the weights, if it did.
    ///
    /// # Errors
    /// When the name or a link leads out of the folder.
    pub fn file(&self, name: &str) -> Result<Option<PathBuf>, CheckpointError> {
        match self {
            Self::Published(folder) => folder.find(name),
            Self::Imported(folder) => Ok(folder.file(name)),
        }
    }

    /// The `tokenizer.json`, or else the vocabulary of an older form: `vocab.txt`, or `vocab.json` beside its `merges.txt`.
    ///
    /// # Errors
    /// When there is none.
    pub fn tokenizer_file(&self) -> Result<PathBuf, CheckpointError> {
        for name in ["tokenizer.json", "vocab.txt"] {
            if let Some(path) = self.file(name)? {
                return Ok(path);
            }
        }
        if let Some(path) = self.file("vocab.json")?
            && self.file("merges.txt")?.is_some()
        {
            return Ok(path);
        }
        Err(CheckpointError::content(self.path(), "file `tokenizer.json`", "the model's tokenizer", "none")
            .with_hint(
                "it is published beside the weights, in an older form as vocab.txt or as vocab.json and merges.txt; of \
                 another form `transformers` writes it: `AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)`",
            ))
    }

    /// The settings in a JSON file that came with the weights, if it did: `preprocessor_config.json`,
    /// `generation_config.json`.
    ///
    /// # Errors
    /// When it cannot be read or is no table.
    pub fn settings(&self, name: &str) -> Result<Option<PublishedConfig>, CheckpointError> {
        if self.file(name)?.is_none() {
            return Ok(None);
        }
        let value = self.folder().json(name)?;
        value.map(|value| PublishedConfig::new(&self.path().join(name), value)).transpose()
    }

    /// The published `config.json`.
    ///
    /// # Errors
    /// When it cannot be read or is no table.
    pub fn config(&self) -> Result<PublishedConfig, CheckpointError> {
        match self {
            Self::Published(folder) => PublishedConfig::open(folder),
            Self::Imported(folder) => folder.config(),
        }
    }

    /// How the tokens of a sentence become one vector, where it is a model for sentences.
    ///
    /// # Errors
    /// When there is a step that is not implemented.
    pub fn sentence_settings(&self) -> Result<Option<SentenceSettings>, CheckpointError> {
        SentenceSettings::read(self.folder())
    }

    fn folder(&self) -> &PublishedFolder {
        match self {
            Self::Published(folder) => folder,
            Self::Imported(folder) => folder.folder(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn folders_of_other_things_are_told_apart() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let told = || ModelFolder::open(dir.path()).expect_err("no model");
        assert!(told().to_string().ends_with("or an imported one with its triptych.json, got neither"));
        fs::write(dir.path().join("config.toml"), "").expect("a file");
        let run = told();
        assert!(run.to_string().ends_with("got the folder of a run"), "{run}");
        assert!(run.hint().is_some_and(|hint| hint.contains("without `--model`")));
        fs::write(dir.path().join("config.json"), "{\"model_type\": \"bert\"}").expect("a file");
        let model = ModelFolder::open(dir.path()).expect("a published model");
        assert_eq!(model.family().expect("a known family").name, "bert");
        let tokenizer = model.tokenizer_file().expect_err("there is none");
        assert!(
            tokenizer
                .to_string()
                .ends_with("file `tokenizer.json`: expected the model's tokenizer, got none")
        );
        for (name, found) in
            [("vocab.json", None), ("merges.txt", Some("vocab.json")), ("vocab.txt", Some("vocab.txt"))]
        {
            fs::write(dir.path().join(name), "").expect("a file");
            let file = model.tokenizer_file().ok();
            assert_eq!(file.as_ref().and_then(|path| path.file_name()?.to_str()), found, "beside {name}");
        }
        assert!(ModelFolder::open(&dir.path().join("absent")).is_err());
    }
}
