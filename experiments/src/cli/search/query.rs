//! What is searched by: words, a picture or a recording.

use std::path::Path;

use triptych_datasets::audio::AudioPipeline;
use triptych_encoders::{Modality, TokenSequence};

use crate::diagnostic::UsageError;
use crate::evaluate::{
    Inference, Item, Media, MediaError, batch_of_pictures, batch_of_recordings, embed_recording, read_media,
};
use crate::run::trained::TrainedRun;

/// Endings of files, which nobody means as words.
const FILE_ENDINGS: &[&str] = &[
    "png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "svg", "wav", "flac", "mp3", "ogg", "m4a",
    "aac",
];

/// A query as the model sees it.
pub(super) struct Query {
    /// Its name among things of its kind.
    pub(super) item: Item,
    /// `[1, n_tokens, d_model]`
    pub(super) encoded: TokenSequence,
    /// Of a recording that is longer than the model hears at once: the embedding of all of it.
    long: Option<Vec<f32>>,
}

impl Query {
    /// A file where there is one of that path, else words.
    ///
    /// # Errors
    /// A file that cannot be used, no words, and what the model does not know.
    pub(super) fn read(run: &TrainedRun, inference: &Inference<'_>, query: &str) -> miette::Result<Self> {
        let path = Path::new(query);
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let mut long = None;
        let found = if path.is_file() || FILE_ENDINGS.contains(&ending.as_str()) {
            let transform = &run.config.data.image;
            let pipeline = AudioPipeline::new(&run.config.data.audio);
            let unusable = |error: MediaError| miette::miette!("{}: {error}", path.display());
            let media = read_media(path, transform, &pipeline).map_err(unusable)?;
            match media {
                Media::Picture(pixels) => {
                    run.require(Modality::Image)?;
                    let batch = batch_of_pictures(vec![pixels], transform.side);
                    batch.map(|batch| (Item::Image(String::new()), inference.see(&batch)))
                }
                Media::Recording(recording) => {
                    run.require(Modality::Audio)?;
                    let max_s = run.config.data.audio.max_s;
                    if recording.duration_s > max_s {
                        long = Some(embed_recording(inference, path, &pipeline, max_s).map_err(unusable)?);
                    }
                    let batch = batch_of_recordings(vec![recording]);
                    batch.map(|batch| (Item::Speech(String::new()), inference.hear(&batch).encoded))
                }
            }
        } else {
            run.require(Modality::Text)?;
            let is_empty = run.tokenizer.encode(query).is_empty();
            (!is_empty).then(|| (Item::Text(query.to_owned()), inference.read(&[query])))
        };
        let (item, encoded) = found.ok_or_else(|| UsageError {
            message: format!("expected words or a file to search by, got {query:?}"),
            hint: Some("for example `triptych search RUN 'red heart'`".to_owned()),
        })?;
        Ok(Self { item, encoded, long })
    }

    /// What it is compared by.
    pub(super) fn embedding(&self, inference: &Inference<'_>) -> Vec<f32> {
        let of_tokens = || inference.embed(&self.encoded).into_iter().flatten().collect();
        self.long.clone().unwrap_or_else(of_tokens)
    }
}

/// The embedding of a query.
///
/// # Errors
/// As [`Query::read`].
pub(in crate::cli) fn embed_query(
    run: &TrainedRun,
    inference: &Inference<'_>,
    query: &str,
) -> miette::Result<Vec<f32>> {
    Ok(Query::read(run, inference, query)?.embedding(inference))
}
