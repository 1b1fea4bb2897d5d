//! A small model and synthetic samples that it can tell apart and learn by heart.

use burn::prelude::*;
use triptych_datasets::batch::{AudioBatch, HostBatch, ImageBatch, QuestionBatch, TextBatch};
use triptych_encoders::Modality;
use triptych_tasks::heads::pair::Pair;
use triptych_tasks::model::{DataShape, Model, ModelConfig};
use triptych_tasks::objectives::{Companions, Entries, Momentum, Objective, PAD_ID, StepContext, TokenIds};

pub(crate) const SHAPE: DataShape = DataShape { n_vocab: 24, image_side: 16, n_mels: 6 };
pub(crate) const TOKEN_IDS: TokenIds =
    TokenIds { begin: 1, end: 2, mask: 3, n_vocab: SHAPE.n_vocab, first_ordinary: 5 };

pub(crate) fn tiny_model(device: &Device) -> Model {
    ModelConfig::tiny().init(SHAPE, 1, device).expect("the smallest sizes fit together")
}

/// A teacher that is sure of what it finds alike, and an average with something in its queues.
pub(crate) fn companions() -> Companions<'static> {
    thread_local! {
        // never freed: as cheap as building them once, and for all tests
        static COMPANIONS: Companions<'static> = {
            let device = Device::flex();
            let config = ModelConfig { temperature: 0.01, ..ModelConfig::tiny() };
            let model = |seed| config.init(SHAPE, seed, &device).expect("the smallest sizes fit together");
            let mut momentum = Momentum::new(model(8), [8, 8, 0]);
            momentum.push([Pair::ImageText, Pair::AudioText].map(|pair| (pair, queued(pair))).to_vec());
            Companions {
                teacher: Some(Box::leak(Box::new(model(7)))),
                momentum: Some(Box::leak(Box::new(momentum))),
            }
        };
    }
    COMPANIONS.with(|companions| *companions)
}

/// Embeddings of groups that no batch has.
fn queued(pair: Pair) -> Entries {
    let d = ModelConfig::tiny().d_embedding;
    let side = |salt: usize| {
        let values = (0..5 * d).map(|place| uniform(1000 + 10 * pair.idx() + salt, place) - 0.5).collect();
        let rows = Tensor::<2>::from_data(TensorData::new::<f32, _>(values, [5, d]), &Device::flex());
        rows.clone() / rows.powi_scalar(2).sum_dim(1).sqrt()
    };
    Entries { sides: [side(0), side(1)], groups: (0..5).collect() }
}

/// Whether it tells pairs of a batch from one another.
pub(crate) fn compares(objective: &dyn Objective) -> bool {
    objective.embeds().is_some() || objective.name().starts_with("matching")
}

/// An objective's loss on a batch.
pub(crate) fn loss(
    model: &Model,
    batch: &HostBatch,
    objective: &dyn Objective,
    (seed, step): (u64, u64),
    device: &Device,
) -> Option<Tensor<1>> {
    let context = StepContext::new(model, batch, TOKEN_IDS, device, seed, step);
    objective.loss(&context.with_companions(companions()))
}

/// The same as a number.
pub(crate) fn loss_value(model: &Model, batch: &HostBatch, objective: &dyn Objective) -> Option<f32> {
    loss(model, batch, objective, (1, 1), &Device::flex()).map(Tensor::into_scalar)
}

/// Uniform in [0, 1), decided by sample and place.
fn uniform(sample: usize, place: usize) -> f32 {
    let mut z = (sample as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ (place as u64).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    z = (z ^ (z >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    z = (z ^ (z >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    (z >> 40) as f32 / (1u64 << 24) as f32
}

fn text(sample: usize) -> Vec<u32> {
    let ordinary = TOKEN_IDS.n_vocab as u32 - TOKEN_IDS.first_ordinary;
    let n_tokens = 2 + (uniform(sample, 0) * 4.0) as usize;
    (1..=n_tokens)
        .map(|place| TOKEN_IDS.first_ordinary + (uniform(sample, place) * ordinary as f32) as u32)
        .collect()
}

/// A wave across the picture whose phase and colour are the sample's.
fn pixels(sample: usize) -> Vec<f32> {
    let side = SHAPE.image_side;
    let phase = uniform(sample, 100) * std::f32::consts::TAU;
    (0..side * side * 3)
        .map(|idx| {
            let (column, channel) = (idx / 3 % side, idx % 3);
            (0.8 * column as f32 + phase).sin() * (0.3 + uniform(sample, 101 + channel))
        })
        .collect()
}

/// A wave in time whose phase and loudness in each band are the sample's.
fn frames(sample: usize) -> Vec<f32> {
    let n_frames = 17 + (uniform(sample, 200) * 16.0) as usize;
    let phase = uniform(sample, 201) * std::f32::consts::TAU;
    (0..n_frames * SHAPE.n_mels)
        .map(|idx| {
            let (frame, band) = (idx / SHAPE.n_mels, idx % SHAPE.n_mels);
            (0.7 * frame as f32 + phase).sin() * (2.0 * uniform(sample, 202 + band) - 1.0) * 2.0
        })
        .collect()
}

/// A text of each of the samples.
fn text_batch(samples: &[usize], text: impl Fn(usize) -> Vec<u32>) -> TextBatch {
    let rows = samples.iter().map(|&sample| text(sample)).collect::<Vec<_>>();
    let n_tokens = rows.iter().map(Vec::len).max().unwrap_or(0);
    let lengths = rows.iter().map(Vec::len).collect();
    let padded = rows.into_iter().flat_map(|mut row| {
        row.resize(n_tokens, PAD_ID);
        row
    });
    TextBatch { rows: samples.to_vec(), ids: padded.collect(), lengths, n_tokens }
}

/// The samples `0..n`, each with all three modalities.
pub(crate) fn batch(n: usize) -> HostBatch {
    let all = (0..n).collect::<Vec<_>>();
    batch_of(n, [&all, &all, &all])
}

/// The samples `0..n`, of which those listed have text, picture and sound, in the order of [`Modality::ALL`].
pub(crate) fn batch_of(n: usize, [texts, images, sounds]: [&[usize]; 3]) -> HostBatch {
    // what is asked, and answered, is as much of a text
    let questions = |media: &[usize]| {
        let rows = texts.iter().copied().filter(|sample| media.contains(sample)).collect::<Vec<_>>();
        (!rows.is_empty()).then(|| QuestionBatch {
            questions: text_batch(&rows, |sample| text(sample)[..1 + sample % 2].to_vec()),
            answers: text_batch(&rows, text),
        })
    };
    let image = || ImageBatch {
        rows: images.to_vec(),
        pixels: images.iter().flat_map(|&sample| pixels(sample)).collect(),
        height: SHAPE.image_side,
        width: SHAPE.image_side,
    };
    let audio = || {
        let rows = sounds.iter().map(|&sample| frames(sample)).collect::<Vec<_>>();
        let lengths = rows.iter().map(|row| row.len() / SHAPE.n_mels).collect::<Vec<_>>();
        let n_frames = lengths.iter().max().copied().unwrap_or(0).next_multiple_of(4);
        let padded = rows.into_iter().flat_map(|mut row| {
            row.resize(n_frames * SHAPE.n_mels, 0.0);
            row
        });
        AudioBatch {
            rows: sounds.to_vec(),
            frames: padded.collect(),
            lengths,
            n_frames,
            n_mels: SHAPE.n_mels,
        }
    };
    HostBatch {
        ids: (0..n).map(|sample| sample.to_string()).collect(),
        text: (!texts.is_empty()).then(|| text_batch(texts, text)),
        image: (!images.is_empty()).then(image),
        audio: (!sounds.is_empty()).then(audio),
        image_questions: questions(images),
        audio_questions: questions(sounds),
        mixup: None,
    }
}

/// The batch without a modality.
pub(crate) fn without(batch: &HostBatch, modality: Modality) -> HostBatch {
    let mut batch = batch.clone();
    match modality {
        Modality::Text => {
            (batch.text, batch.image_questions, batch.audio_questions) = (None, None, None);
        }
        Modality::Image => batch.image = None,
        Modality::Audio => batch.audio = None,
    }
    batch
}

/// The batch with other content in the padding of its texts and sounds.
pub(crate) fn with_garbage_in_padding(batch: &HostBatch) -> HostBatch {
    let mut batch = batch.clone();
    let asked = [&mut batch.image_questions, &mut batch.audio_questions].into_iter().flatten();
    let asked = asked.flat_map(|asked| [&mut asked.questions, &mut asked.answers]);
    for text in batch.text.iter_mut().chain(asked) {
        for (row, &length) in text.lengths.iter().enumerate() {
            for idx in length..text.n_tokens {
                text.ids[row * text.n_tokens + idx] = TOKEN_IDS.first_ordinary + idx as u32;
            }
        }
    }
    if let Some(audio) = &mut batch.audio {
        for (row, &length) in audio.lengths.iter().enumerate() {
            let start = row * audio.n_frames * audio.n_mels;
            let row = &mut audio.frames[start..start + audio.n_frames * audio.n_mels];
            row[length * audio.n_mels..].fill(17.0);
        }
    }
    batch
}
