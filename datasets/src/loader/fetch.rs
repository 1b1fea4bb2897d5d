//! One sample of a corpus to what a model reads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::{LoaderConfig, LoaderError};
use crate::audio::{AudioPipeline, AudioTransform, Frames, NoiseClips};
use crate::draw::Draw;
use crate::image::{CropBox, ImageTransform, Pixels, crop_resize, decode};
use crate::shard::Corpus;
use crate::text::Tokenizer;

/// A picture is kept at no more than so many times the side that a model reads.
const WORKING_FACTOR: usize = 2;

/// A sample that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sample {id:?} ({origin}): {problem}")]
pub struct BadSample {
    /// Its identifier.
    pub id: String,
    /// Where it came from.
    pub origin: String,
    /// What was expected and what was found.
    pub problem: String,
}

/// Decodes and transforms samples by their numbers. It may be shared between threads.
pub(super) struct Fetcher {
    pub corpus: Arc<Corpus>,
    tokenizer: Arc<Tokenizer>,
    max_tokens: Option<usize>,
    image: Option<ImageTransform>,
    audio: Option<AudioPipeline>,
    cache: PixelCache,
}

impl Fetcher {
    /// Reads the recordings of noise too, where there are any.
    ///
    /// # Errors
    /// When they cannot be read.
    ///
    /// # Panics
    /// If the configuration was not checked.
    pub(super) fn new(
        corpus: Arc<Corpus>,
        tokenizer: Arc<Tokenizer>,
        config: &LoaderConfig,
    ) -> Result<Self, LoaderError> {
        let n_samples = corpus.len();
        Ok(Self {
            corpus,
            tokenizer,
            max_tokens: config.text.as_ref().map(|text| text.max_tokens),
            image: config.image.clone(),
            audio: config.audio.as_ref().map(with_noise).transpose()?,
            cache: PixelCache::new(n_samples, config.cache_bytes),
        })
    }

    pub(super) fn image_side(&self) -> usize {
        self.image.as_ref().map_or(0, |image| image.side)
    }

    /// The tokens of a text, cut; `None` if texts are left out or it has none.
    pub(super) fn tokens(&self, text: Option<&String>) -> Option<Vec<u32>> {
        let (max_tokens, text) = (self.max_tokens?, text?);
        let mut ids = self.tokenizer.encode(text);
        ids.truncate(max_tokens);
        (!ids.is_empty()).then_some(ids)
    }

    /// A picture for training, `[side, side, 3]`; `None` if pictures are left out or the sample has none.
    pub(super) fn changed_image(&self, idx: usize, mut draw: Draw) -> Result<Option<Vec<f32>>, BadSample> {
        let Some(transform) = &self.image else { return Ok(None) };
        if let Some(pixels) = self.cache.get(idx) {
            return Ok(Some(transform.apply(pixels, Some(&mut draw))));
        }
        let Some(pixels) = self.pixels(idx)? else { return Ok(None) };
        // done whether or not there is room to keep it, or the room would change the batch
        let pixels = working_copy(pixels, transform.side);
        let values = transform.apply(&pixels, Some(&mut draw));
        self.cache.put(idx, pixels);
        Ok(Some(values))
    }

    /// A picture as it is, `[side, side, 3]`.
    pub(super) fn plain_image(&self, idx: usize) -> Result<Option<Vec<f32>>, BadSample> {
        let Some(transform) = &self.image else { return Ok(None) };
        Ok(self.pixels(idx)?.map(|pixels| transform.apply(&pixels, None)))
    }

    /// The frames of a sound; `None` if sounds are left out or the sample has none.
    pub(super) fn frames(&self, idx: usize, draw: Option<Draw>) -> Result<Option<Frames>, BadSample> {
        let Some(pipeline) = &self.audio else { return Ok(None) };
        let found = self.corpus.audio_bytes(idx).map_err(|e| self.bad(idx, e.to_string()))?;
        let Some((bytes, extension)) = found else { return Ok(None) };
        let samples = pipeline.decode(bytes, extension).map_err(|e| self.bad(idx, e.to_string()))?;
        let mut draw = draw;
        Ok(Some(pipeline.frames(samples, draw.as_mut())))
    }

    fn pixels(&self, idx: usize) -> Result<Option<Pixels>, BadSample> {
        let found = self.corpus.image_bytes(idx).map_err(|e| self.bad(idx, e.to_string()))?;
        let Some((bytes, extension)) = found else { return Ok(None) };
        decode(bytes, extension).map(Some).map_err(|e| self.bad(idx, e.to_string()))
    }

    fn bad(&self, idx: usize, problem: String) -> BadSample {
        let entry = self.corpus.entries().get(idx);
        let (id, origin) =
            entry.map_or((idx.to_string(), String::new()), |entry| (entry.id.clone(), entry.source.clone()));
        BadSample { id, origin, problem }
    }
}

fn with_noise(transform: &AudioTransform) -> Result<AudioPipeline, LoaderError> {
    let pipeline = AudioPipeline::new(transform);
    let Some(folder) = transform.noise_folder() else { return Ok(pipeline) };
    let clips = NoiseClips::load(folder)
        .map_err(|e| LoaderError::Noise { folder: folder.to_owned(), problem: e.to_string() })?;
    Ok(pipeline.with_noise_clips(clips))
}

fn working_copy(pixels: Pixels, side: usize) -> Pixels {
    let Pixels { width, height, .. } = pixels;
    let (shorter, largest) = (width.min(height), side * WORKING_FACTOR);
    if shorter <= largest {
        return pixels;
    }
    let scaled = |length: usize| (length * largest).div_ceil(shorter);
    let whole = CropBox { left: 0.0, top: 0.0, width: width as f64, height: height as f64 };
    crop_resize(&pixels, whole, scaled(width), scaled(height))
}

/// Decoded pictures by the number of their sample, until the memory given is full; nothing is ever thrown out.
struct PixelCache {
    slots: Vec<OnceLock<Pixels>>,
    bytes_left: AtomicUsize,
}

impl PixelCache {
    fn new(n_samples: usize, n_bytes: usize) -> Self {
        let n_slots = if n_bytes == 0 { 0 } else { n_samples };
        Self { slots: (0..n_slots).map(|_| OnceLock::new()).collect(), bytes_left: AtomicUsize::new(n_bytes) }
    }

    fn get(&self, idx: usize) -> Option<&Pixels> {
        self.slots.get(idx)?.get()
    }

    fn put(&self, idx: usize, pixels: Pixels) {
        let Some(slot) = self.slots.get(idx) else { return };
        let n_bytes = pixels.rgb.len();
        let take = |left: usize| left.checked_sub(n_bytes);
        if self.bytes_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
            && slot.set(pixels).is_err()
        {
            // another thread was faster
            self.bytes_left.fetch_add(n_bytes, Ordering::Relaxed);
        }
    }
}
