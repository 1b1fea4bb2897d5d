//! A trained model as the stages of a preparation use one: how like are a sample and some words?

use std::collections::HashMap;
use std::path::Path;

use triptych_datasets::audio::AudioPipeline;
use triptych_datasets::batch::HostBatch;
use triptych_datasets::pipeline::{Comparison, Similarity};
use triptych_encoders::Modality;

use crate::device::DeviceChoice;
use crate::evaluate::{Inference, batch_of_pictures, batch_of_recordings, picture, recording};
use crate::run::trained::TrainedRun;

/// Samples or texts that the model sees at once.
const BATCH: usize = 32;

/// The model of a run.
pub(super) struct TrainedSimilarity {
    run: TrainedRun,
    pipeline: AudioPipeline,
    identity: String,
}

impl TrainedSimilarity {
    /// # Errors
    /// When the folder holds no trained run, or one that knows no texts.
    pub(super) fn open(folder: &Path) -> miette::Result<Self> {
        let run = TrainedRun::open(folder, DeviceChoice::default())?;
        run.require(Modality::Text)?;
        let pipeline = AudioPipeline::new(&run.config.data.audio);
        // what the model says of some words changes whenever its weights do
        let probe = run.inference().embed_texts(&["a", "red apple", "someone speaks"], BATCH);
        let mut hasher = blake3::Hasher::new();
        hasher.update(run.tokenizer.hash().as_bytes());
        probe.iter().flatten().for_each(|value| {
            hasher.update(&value.to_le_bytes());
        });
        Ok(Self { run, pipeline, identity: hasher.finalize().to_hex().to_string() })
    }

    fn texts(&self, inference: &Inference<'_>, comparisons: &[Comparison<'_>]) -> HashMap<String, Vec<f32>> {
        let mut texts: Vec<&str> =
            comparisons.iter().flat_map(|comparison| comparison.texts).map(String::as_str).collect();
        texts.sort_unstable();
        texts.dedup();
        let embeddings = inference.embed_texts(&texts, BATCH);
        texts.into_iter().map(str::to_owned).zip(embeddings).collect()
    }

    /// The embeddings of some samples: of their pictures where they have one, else of their sounds.
    fn media(&self, inference: &Inference<'_>, some: &[Comparison<'_>]) -> Result<Vec<Vec<f32>>, String> {
        let (mut pictures, mut recordings) = (Vec::new(), Vec::new());
        let needs = |modality| self.run.require(modality).map_err(|error| error.message);
        for comparison in some {
            if let Some((bytes, extension)) = comparison.image {
                needs(Modality::Image)?;
                let pixels = picture(bytes, extension, &self.run.config.data.image);
                pictures.push(pixels.map_err(|e| e.to_string())?);
            } else if let Some((bytes, extension)) = comparison.audio {
                needs(Modality::Audio)?;
                let heard = recording(bytes, extension, &self.pipeline).map_err(|e| e.to_string())?;
                recordings.push(heard);
            } else {
                return Err("expected a picture or a sound, got neither".to_owned());
            }
        }
        let embed = |batch: Option<HostBatch>, how: &dyn Fn(&HostBatch) -> Vec<Vec<f32>>| {
            batch.map(|batch| how(&batch)).unwrap_or_default().into_iter()
        };
        let side = self.run.config.data.image.side;
        let mut pictures = embed(batch_of_pictures(pictures, side), &|batch| inference.embed_images(batch));
        let mut recordings = embed(batch_of_recordings(recordings), &|batch| inference.embed_sounds(batch));
        let next = |comparison: &Comparison<'_>| {
            let list = if comparison.image.is_some() { &mut pictures } else { &mut recordings };
            list.next().ok_or_else(|| "the model gave too few embeddings".to_owned())
        };
        some.iter().map(next).collect()
    }
}

impl Similarity for TrainedSimilarity {
    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn compare(&self, comparisons: &[Comparison<'_>]) -> Result<Vec<Vec<f32>>, String> {
        let inference = self.run.inference();
        let texts = self.texts(&inference, comparisons);
        let mut scores = Vec::with_capacity(comparisons.len());
        for some in comparisons.chunks(BATCH) {
            for (comparison, embedding) in some.iter().zip(self.media(&inference, some)?) {
                let score = |text: &String| {
                    let text = texts.get(text).map_or(&[][..], Vec::as_slice);
                    embedding.iter().zip(text).map(|(a, b)| a * b).sum::<f32>()
                };
                scores.push(comparison.texts.iter().map(score).collect());
            }
        }
        Ok(scores)
    }
}
