//! What a sample costs on its way from a shard to a batch. `cargo bench -p triptych-datasets`

use std::sync::{Arc, OnceLock};

use divan::{Bencher, black_box};
use triptych_datasets::audio::{AudioAugment, AudioPipeline, AudioTransform, SpecAugment};
use triptych_datasets::corpora::emoji::{self, EmojiOptions};
use triptych_datasets::draw::Draw;
use triptych_datasets::image::{ImageAugment, ImageTransform, decode};
use triptych_datasets::loader::{LoaderConfig, TextOptions, TrainLoader};
use triptych_datasets::shard::Corpus;
use triptych_datasets::text::{Tokenizer, TokenizerKind};

fn main() {
    divan::main();
}

/// 200 concepts of the bundled corpus.
fn corpus() -> Arc<Corpus> {
    static CORPUS: OnceLock<(tempfile::TempDir, Arc<Corpus>)> = OnceLock::new();
    let (_, corpus) = CORPUS.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let options = EmojiOptions { n_known: Some(200), n_unknown: Some(0), ..EmojiOptions::default() };
        let corpus = emoji::import(&options, dir.path(), &|_, _, _| {}).expect("the bundle is whole");
        (dir, Arc::new(corpus))
    });
    corpus.clone()
}

fn image_transform() -> ImageTransform {
    ImageTransform {
        augment: Some(ImageAugment {
            scale: [0.6, 1.3],
            ratio: [0.85, 1.18],
            translate: 0.08,
            flip: 0.5,
            rotate: 0.7,
            rotate_deg: 15.0,
            jitter: 0.8,
            brightness: 0.3,
            contrast: 0.3,
            saturation: 0.4,
            hue: 0.1,
            grayscale: 0.1,
            erase: 0.25,
            ..ImageAugment::default()
        }),
        ..ImageTransform::new(64)
    }
}

fn audio_transform() -> AudioTransform {
    AudioTransform {
        n_mels: 80,
        max_s: 3.0,
        normalise_bands: true,
        augment: Some(AudioAugment {
            speed: 0.8,
            speed_factor: [0.85, 1.25],
            silence_s: 0.1,
            gain: 0.5,
            noise: 0.5,
            mask: Some(SpecAugment { n_mel_masks: 2, n_time_masks: 2, ..SpecAugment::default() }),
            ..AudioAugment::default()
        }),
        ..AudioTransform::default()
    }
}

fn pictures(corpus: &Corpus) -> Vec<Vec<u8>> {
    let found = (0..corpus.len()).filter_map(|idx| corpus.image_bytes(idx).expect("the shards are whole"));
    found.map(|(bytes, _)| bytes.to_vec()).collect()
}

fn sounds(corpus: &Corpus) -> Vec<Vec<u8>> {
    let found = (0..corpus.len()).filter_map(|idx| corpus.audio_bytes(idx).expect("the shards are whole"));
    found.map(|(bytes, _)| bytes.to_vec()).collect()
}

/// Another item each time, as in training.
fn in_turn<'a, T>(items: &'a [T]) -> impl FnMut() -> (usize, &'a T) {
    let mut n_drawn = 0;
    move || {
        n_drawn += 1;
        (n_drawn, &items[n_drawn % items.len()])
    }
}

#[divan::bench]
fn decode_png_96(bencher: Bencher) {
    let pictures = pictures(&corpus());
    bencher.with_inputs(in_turn(&pictures)).bench_local_values(|(_, png)| decode(black_box(png), "png"));
}

#[divan::bench]
fn augment_picture_96_to_64(bencher: Bencher) {
    let decoded: Vec<_> =
        pictures(&corpus()).iter().map(|png| decode(png, "png").expect("it was just drawn")).collect();
    let transform = image_transform();
    bencher.with_inputs(in_turn(&decoded)).bench_local_values(|(number, pixels)| {
        transform.apply(pixels, Some(&mut Draw::new(1, number as u64, "bench", "image")))
    });
}

#[divan::bench]
fn decode_wav(bencher: Bencher) {
    let sounds = sounds(&corpus());
    let pipeline = AudioPipeline::new(&audio_transform());
    bencher
        .with_inputs(in_turn(&sounds))
        .bench_local_values(|(_, wav)| pipeline.decode(black_box(wav), "wav"));
}

#[divan::bench]
fn log_mel_plain(bencher: Bencher) {
    let pipeline = AudioPipeline::new(&audio_transform());
    let decoded: Vec<_> =
        sounds(&corpus()).iter().map(|wav| pipeline.decode(wav, "wav").expect("it was just cut")).collect();
    bencher
        .with_inputs(in_turn(&decoded))
        .bench_local_values(|(_, clip)| pipeline.frames(clip.clone(), None));
}

#[divan::bench]
fn log_mel_augmented(bencher: Bencher) {
    let pipeline = AudioPipeline::new(&audio_transform());
    let decoded: Vec<_> =
        sounds(&corpus()).iter().map(|wav| pipeline.decode(wav, "wav").expect("it was just cut")).collect();
    bencher.with_inputs(in_turn(&decoded)).bench_local_values(|(number, clip)| {
        pipeline.frames(clip.clone(), Some(&mut Draw::new(1, number as u64, "bench", "audio")))
    });
}

/// In the caller's thread, pictures cached after the first epoch.
#[divan::bench(min_time = 2)]
fn training_batch_of_64(bencher: Bencher) {
    let corpus = corpus();
    let texts: Vec<String> =
        corpus.entries().iter().filter_map(|entry| entry.texts.first().cloned()).collect();
    let tokenizer = Tokenizer::train(TokenizerKind::Bpe, &texts, 400).expect("the texts are plain");
    let config = LoaderConfig {
        text: Some(TextOptions::new(16)),
        image: Some(image_transform()),
        audio: Some(audio_transform()),
        workers: 0,
        ..LoaderConfig::new(64)
    };
    let mut loader =
        TrainLoader::start(corpus, Arc::new(tokenizer), &config, 0).expect("the config is sound");
    bencher.bench_local(|| loader.next_batch().expect("the samples are sound"));
}

/// All of the bundled corpus into a temporary folder.
#[divan::bench(sample_count = 1, sample_size = 1)]
fn import_emoji(bencher: Bencher) {
    bencher.with_inputs(|| tempfile::tempdir().expect("a temporary folder")).bench_local_values(|dir| {
        let corpus =
            emoji::import(&EmojiOptions::default(), dir.path(), &|_, _, _| {}).expect("the bundle is whole");
        (corpus.len(), dir)
    });
}
