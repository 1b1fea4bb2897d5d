//! Published models as parts of experiments: their tokenizers and pictures in this program's terms.

use std::path::PathBuf;

use miette::Diagnostic;
use triptych_datasets::image::{Filter, Fit, ImageTransform};
use triptych_datasets::text::{PublishedTokenizer, Tokenizer, TokenizerError};
use triptych_encoders::pretrained::preprocessing::{self, PictureSettings};
use triptych_encoders::pretrained::{CheckpointError, ModelFolder, PretrainedError, PublishedVisionEncoder};

/// Why a published model cannot be part of an experiment.
#[derive(Debug, thiserror::Error)]
pub enum PublishedError {
    /// Its files.
    #[error(transparent)]
    Model(#[from] PretrainedError),
    /// Its tokenizer.
    #[error("{}: {source}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TokenizerError,
    },
    /// The settings of its pictures.
    #[error("{}, file `preprocessor_config.json`: {problem}", folder.display())]
    Pictures {
        /// The model's folder.
        folder: PathBuf,
        /// What was expected and what is there.
        problem: String,
    },
}

impl PublishedError {
    pub(crate) fn files(error: CheckpointError) -> Self {
        Self::Model(error.into())
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Model(error) => error.hint(),
            Self::Tokenizer { .. } | Self::Pictures { .. } => None,
        }
    }
}

impl From<CheckpointError> for PublishedError {
    fn from(error: CheckpointError) -> Self {
        Self::files(error)
    }
}

impl Diagnostic for PublishedError {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.hint().map(|hint| Box::new(hint) as Box<dyn std::fmt::Display>)
    }
}

/// The tokenizer of a model that reads texts, under our numbers.
///
/// # Errors
/// When there is none, it has more tokens than the model knows, or marks that experiments have no place for.
pub(crate) fn tokenizer(model: &ModelFolder) -> Result<Tokenizer, PublishedError> {
    let path = model.tokenizer_file()?;
    let of_file = |source| PublishedError::Tokenizer { path: path.clone(), source };
    let tokenizer = PublishedTokenizer::open(&path).map_err(of_file)?;
    // whether there are marks does not matter for what is read of it here
    let text = model.text_encoder([false; 2])?;
    if tokenizer.n_tokens() > text.n_vocab {
        let problem = format!(
            "expected at most {} tokens, as many as the model knows, got {}",
            text.n_vocab,
            tokenizer.n_tokens()
        );
        return Err(of_file(TokenizerError::Malformed { path: path.clone(), problem }));
    }
    Tokenizer::published(tokenizer, text.pad).map_err(of_file)
}

/// How an experiment's pictures become a vision encoder's input.
///
/// # Errors
/// When the middle is cut out of a larger picture, which experiments do not.
pub(crate) fn pictures(
    model: &ModelFolder,
    vision: &PublishedVisionEncoder,
) -> Result<ImageTransform, PublishedError> {
    let transform = transform(&vision.pictures);
    let problem = match transform.side == vision.side {
        true => transform.check().err(),
        false => Some(format!(
            "expected pictures of {} pixels, all of which are read, got {} of which the middle is cut out",
            vision.side, transform.side
        )),
    };
    match problem {
        None => Ok(transform),
        Some(problem) => Err(PublishedError::Pictures { folder: model.path().to_owned(), problem }),
    }
}

/// The settings in this program's terms; the side is that before the middle is cut out.
pub(crate) fn transform(settings: &PictureSettings) -> ImageTransform {
    let (fit, resized) = match settings.resize {
        preprocessing::Resize::Square(resized) => (Fit::Squash, resized),
        preprocessing::Resize::ShorterSide(resized) => (Fit::ShorterSide, resized),
    };
    let filter = match settings.filter {
        preprocessing::Filter::Bilinear => Filter::Bilinear,
        preprocessing::Filter::Bicubic => Filter::Bicubic,
    };
    let (mean, std) = (settings.mean, settings.deviation);
    ImageTransform { filter, fit, mean, std, ..ImageTransform::new(resized) }
}
