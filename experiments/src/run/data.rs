//! An experiment's corpus and tokenizer, prepared where they are not yet.

use std::path::Path;
use std::sync::Arc;

use burn::prelude::*;
use triptych_datasets::corpora::{ImportError, emoji};
use triptych_datasets::loader::{EvalLoader, LoaderConfig, LoaderError, TextOptions, TrainLoader};
use triptych_datasets::sample::{Question, Split};
use triptych_datasets::shard::{Corpus, CorpusError};
use triptych_datasets::text::{self, Tokenizer};
use triptych_tasks::model::Model;
use triptych_tasks::objectives::TokenIds;

use super::error::TrainError;
use super::start;
use crate::configuration::{CorpusConfig, ExperimentConfig, WeightedFolder};

/// The tokenizer's file in a run's folder.
const TOKENIZER: &str = "tokenizer.json";
/// The bundled corpus, prepared, in a run's folder.
const CORPUS: &str = "corpus";

/// What an experiment learns from and is measured on.
pub(crate) struct Data {
    pub(crate) corpus: Arc<Corpus>,
    pub(crate) tokenizer: Arc<Tokenizer>,
}

impl Data {
    /// Opens the corpus and the tokenizer of the run in `folder`, making them where they are not there yet.
    ///
    /// # Errors
    /// When they cannot be read or written.
    pub(crate) fn open(
        config: &ExperimentConfig,
        folder: &Path,
        progress: &dyn Fn(usize, usize, &str),
    ) -> Result<Self, TrainError> {
        let corpus = match &config.data.corpus {
            CorpusConfig::Emoji(options) => {
                let dir = folder.join(CORPUS);
                warn_of_damage(&dir);
                emoji::import(options, &dir, progress)?
            }
            CorpusConfig::Folder(place) => brought(place, &folder.join(CORPUS), progress)?,
            CorpusConfig::Folders(folders) => {
                joined(folders, |place, name| brought(place, &folder.join(CORPUS).join(name), progress))?
            }
        };
        let path = folder.join(TOKENIZER);
        let tokenizer = if path.exists() {
            Tokenizer::load(&path)?
        } else {
            let tokenizer = match start::tokenizer(config)? {
                Some(tokenizer) => tokenizer,
                None => train_tokenizer(config, &corpus)?,
            };
            tokenizer.save(&path)?;
            tokenizer
        };
        Ok(Self { corpus: Arc::new(corpus), tokenizer: Arc::new(tokenizer) })
    }

    /// Opens what lies ready in the run in `folder`, and writes nothing.
    ///
    /// # Errors
    /// When something is absent or damaged.
    pub(crate) fn open_prepared(config: &ExperimentConfig, folder: &Path) -> Result<Self, TrainError> {
        let corpus = match &config.data.corpus {
            CorpusConfig::Emoji(_) => Corpus::open(folder.join(CORPUS))
                .map_err(|source| TrainError::RunCorpus { source, run: folder.to_owned() })?,
            CorpusConfig::Folder(place) => lying_ready(place, &folder.join(CORPUS), folder)?,
            CorpusConfig::Folders(folders) => {
                joined(folders, |place, name| lying_ready(place, &folder.join(CORPUS).join(name), folder))?
            }
        };
        Ok(Self { corpus: Arc::new(corpus), tokenizer: Arc::new(saved_tokenizer(folder)?) })
    }

    /// Training batches from number `from_batch` on.
    ///
    /// # Errors
    /// When the corpus is too small for a batch.
    pub(crate) fn training(
        &self,
        config: &ExperimentConfig,
        from_batch: u64,
    ) -> Result<TrainLoader, LoaderError> {
        let loader = config.training_loader();
        TrainLoader::start(self.corpus.clone(), self.tokenizer.clone(), &loader, from_batch)
    }

    /// The samples `indices`, unchanged, in their order.
    ///
    /// # Errors
    /// When one cannot be read.
    pub(crate) fn evaluation(
        &self,
        config: &ExperimentConfig,
        indices: Vec<usize>,
    ) -> Result<EvalLoader, LoaderError> {
        let loader = LoaderConfig {
            batch_size: config.evaluate.batch_size,
            text: Some(TextOptions::new(config.data.max_text_tokens)),
            ..config.training_loader()
        };
        EvalLoader::start(self.corpus.clone(), self.tokenizer.clone(), &loader, indices)
    }

    /// Special token ids for the objectives.
    pub(crate) fn token_ids(&self) -> TokenIds {
        TokenIds {
            begin: text::BOS,
            end: text::EOS,
            mask: text::MASK,
            n_vocab: self.tokenizer.n_tokens(),
            first_ordinary: text::N_SPECIALS as u32,
        }
    }

    /// A new model for the data.
    ///
    /// # Errors
    /// When its sizes do not fit together.
    pub(crate) fn model(&self, config: &ExperimentConfig, device: &Device) -> Result<Model, TrainError> {
        new_model(config, &self.tokenizer, device)
    }
}

/// A tokenizer of the training texts.
fn train_tokenizer(config: &ExperimentConfig, corpus: &Corpus) -> Result<Tokenizer, TrainError> {
    let training = corpus.entries().iter().filter(|entry| entry.split == Split::Train);
    let texts =
        training.flat_map(|entry| entry.texts.iter().chain(entry.questions.iter().flat_map(Question::texts)));
    let mut texts = texts.map(String::as_str).collect::<Vec<_>>();
    texts.sort_unstable();
    texts.dedup();
    Ok(Tokenizer::train(config.data.tokenizer, &texts, config.data.n_vocab)?)
}

/// Whether a corpus lies in an object store.
fn is_address(place: &Path) -> bool {
    place.to_str().is_some_and(|place| place.contains("://"))
}

/// A prepared corpus. One in an object store is brought into `dir`, as far as it does not lie there yet.
fn brought(place: &Path, dir: &Path, progress: &dyn Fn(usize, usize, &str)) -> Result<Corpus, TrainError> {
    let corpus = if is_address(place) {
        from_store(&place.to_string_lossy(), dir, progress)
    } else {
        Corpus::open(place)
    };
    Ok(corpus.map_err(ImportError::from)?)
}

/// The same of a run that is only read: nothing is brought.
fn lying_ready(place: &Path, dir: &Path, run: &Path) -> Result<Corpus, TrainError> {
    if is_address(place) {
        return Corpus::open(dir).map_err(|source| TrainError::RunCorpus { source, run: run.to_owned() });
    }
    Ok(Corpus::open(place).map_err(ImportError::from)?)
}

#[cfg(feature = "remote")]
fn from_store(
    address: &str,
    dir: &Path,
    progress: &dyn Fn(usize, usize, &str),
) -> Result<Corpus, CorpusError> {
    use triptych_datasets::remote::{RemoteCorpus, StoreOptions};
    RemoteCorpus::open(address, dir)?.into_corpus(StoreOptions::default(), progress)
}

#[cfg(not(feature = "remote"))]
fn from_store(address: &str, _: &Path, _: &dyn Fn(usize, usize, &str)) -> Result<Corpus, CorpusError> {
    let problem = "object stores are not enabled in this program".to_owned();
    Err(CorpusError::Remote { address: address.to_owned(), problem })
}

/// Several prepared corpora as one; `open` is given where each lies and its name.
fn joined(
    folders: &[WeightedFolder],
    open: impl Fn(&Path, &str) -> Result<Corpus, TrainError>,
) -> Result<Corpus, TrainError> {
    let part = |folder: &WeightedFolder| {
        let name = folder.name();
        let corpus = open(&folder.folder, &name)?;
        Ok((name, corpus))
    };
    let parts = folders.iter().map(part).collect::<Result<Vec<_>, TrainError>>()?;
    Ok(Corpus::join(parts).map_err(ImportError::from)?)
}

/// The tokenizer of the run in `folder`.
///
/// # Errors
/// When it is absent or damaged.
pub(crate) fn saved_tokenizer(folder: &Path) -> Result<Tokenizer, TrainError> {
    Ok(Tokenizer::load(folder.join(TOKENIZER))?)
}

/// A new model for pictures and sounds as `config` has them, and the texts of a tokenizer.
///
/// # Errors
/// When its sizes do not fit together.
fn new_model(config: &ExperimentConfig, tokenizer: &Tokenizer, device: &Device) -> Result<Model, TrainError> {
    Ok(config.model.init(config.data_shape(tokenizer.n_tokens()), config.seed, device)?)
}

/// The same with blank weights, to be replaced by those of a checkpoint.
///
/// # Errors
/// When its sizes do not fit together.
pub(crate) fn blank_model(
    config: &ExperimentConfig,
    tokenizer: &Tokenizer,
    device: &Device,
) -> Result<Model, TrainError> {
    Ok(config.model.blank(config.data_shape(tokenizer.n_tokens()), device)?)
}

/// Says why a corpus that was once complete is about to be prepared again.
fn warn_of_damage(dir: &Path) {
    match Corpus::open(dir) {
        Ok(_) | Err(CorpusError::NotACorpus { .. }) => {}
        Err(error) => eprintln!("warning: {error}: preparing the corpus again"),
    }
}
