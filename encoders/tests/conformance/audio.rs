//! The audio encoders.

use burn::module::Module;
use burn::prelude::*;
use burn::tensor::Tolerance;
use triptych_datasets::audio::SAMPLES_PER_FRAME;
use triptych_datasets::batch::AudioBatch;
use triptych_encoders::audio::{
    AudioChunks, AudioEncoder, AudioEncoderConfig, ConformerConfig, Wav2vec2Config, WaveformNorm,
};
use triptych_encoders::layers::cost::CostTree;
use triptych_encoders::layers::initializer::Initializer;
use triptych_encoders::{AudioInput, Modality, TokenSequence};

use crate::{Kind, Row, conformance, noise};

const N_MELS: usize = 6;

/// Bands, or samples in a frame.
fn width(config: &AudioEncoderConfig) -> usize {
    if config.reads_waveform() { SAMPLES_PER_FRAME } else { N_MELS }
}

struct AudioKind;

/// An encoder, and the width of its frames.
#[derive(Module, Debug)]
struct Audio {
    encoder: AudioEncoder,
    n_mels: usize,
}

impl Kind for AudioKind {
    type Config = AudioEncoderConfig;
    type Encoder = Audio;
    const MODALITY: Modality = Modality::Audio;

    /// With every way of normalising a waveform's convolutions.
    fn registry() -> Vec<(&'static str, AudioEncoderConfig)> {
        let mut registry = AudioEncoderConfig::registry();
        let mut large = Wav2vec2Config::tiny();
        large.convolutions.norm = WaveformNorm::EachOverChannels;
        large.convolutions.has_bias = true;
        large.transformer.block.norm_first = true;
        registry.push(("wav2vec2 of the large kind", AudioEncoderConfig::Wav2vec2(large)));
        registry
    }

    fn d_model(config: &AudioEncoderConfig) -> usize {
        config.d_model()
    }

    fn init(config: &AudioEncoderConfig, init: &mut Initializer) -> Audio {
        let n_mels = width(config);
        Audio { encoder: config.init(n_mels, init).expect("registered sizes fit together"), n_mels }
    }

    fn forward(audio: &Audio, rows: &[Row], width: usize, filler: u64, device: &Device) -> TokenSequence {
        audio.encoder.forward(&input(rows, [width, audio.n_mels], filler, device))
    }

    fn cost(config: &AudioEncoderConfig, length: usize) -> CostTree {
        config.cost(width(config), length)
    }

    fn n_tokens(config: &AudioEncoderConfig, length: usize) -> usize {
        length.div_ceil(config.frames_per_token())
    }

    /// Every remainder of a length by the frames behind a token, and no sound at all.
    fn lengths() -> (Vec<usize>, usize) {
        (vec![1, 30, 2, 3, 4, 0, 13, 17], 30)
    }
}

fn input(rows: &[Row], [width, n_mels]: [usize; 2], filler: u64, device: &Device) -> AudioInput {
    let frames = rows.iter().flat_map(|row| {
        let end = row.length * n_mels;
        (0..width * n_mels).map(move |place| noise(if place < end { row.seed } else { filler }, place))
    });
    let batch = AudioBatch {
        rows: (0..rows.len()).collect(),
        frames: frames.collect(),
        lengths: rows.iter().map(|row| row.length).collect(),
        n_frames: width,
        n_mels,
    };
    AudioInput::new(&batch, device)
}

conformance!(AudioKind);

#[test]
fn token_lengths_are_those_of_the_padding_mask() {
    let device = Device::flex();
    for (name, config) in AudioKind::registry() {
        let audio = AudioKind::init(&config, &mut Initializer::new(1, &device));
        for width in [31, 32, 33] {
            let rows = (0..=width).map(|length| Row { seed: 1, length }).collect::<Vec<_>>();
            let input = input(&rows, [width, audio.n_mels], 7, &device);
            let present = audio.encoder.forward(&input).is_pad.bool_not().int().sum_dim(1).into_data();
            let lengths = audio.encoder.token_lengths(&input).into_iter().map(|length| length as i64);
            assert_eq!(lengths.collect::<Vec<_>>(), present.iter::<i64>().collect::<Vec<_>>(), "{name}");
        }
    }
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let init = &mut Initializer::new(1, &Device::flex());
    let mut refused = |config: AudioEncoderConfig, n_mels: usize, said: &str| {
        let error = config.init(n_mels, init).expect_err(said).to_string();
        assert!(error.contains(said), "{error}");
    };
    for (_, config) in AudioKind::registry() {
        refused(config, 0, "got");
    }
    let conformer = ConformerConfig { kernel: 4, ..ConformerConfig::tiny() };
    refused(
        AudioEncoderConfig::Conformer(conformer),
        N_MELS,
        "an odd kernel and an even d_model, got kernel 4",
    );
    let waveform = AudioEncoderConfig::Wav2vec2(Wav2vec2Config::tiny());
    refused(
        waveform,
        N_MELS,
        "expected frames of 160 samples (features `waveform`, n_mels 160), got n_mels 6",
    );
    let mut strides = Wav2vec2Config::tiny();
    strides.convolutions.layers[0] = [4, 10, 7];
    refused(AudioEncoderConfig::Wav2vec2(strides), SAMPLES_PER_FRAME, "a multiple of 160 samples");
    let mut gaps = Wav2vec2Config::tiny();
    gaps.convolutions.layers[0] = [4, 7, 8];
    refused(AudioEncoderConfig::Wav2vec2(gaps), SAMPLES_PER_FRAME, "at least the stride 8, got 7");
}

#[test]
fn a_long_sound_in_pieces_is_the_whole_where_the_overlap_covers_what_a_token_hears() {
    let device = Device::flex();
    // a stem alone hears a token to each side
    let conformer = ConformerConfig { depth: 0, ..ConformerConfig::tiny() };
    let config = AudioEncoderConfig::Conformer(conformer);
    let audio = AudioKind::init(&config, &mut Initializer::new(1, &device));
    let rows = [Row { seed: 1, length: 61 }, Row { seed: 2, length: 13 }];
    let input = input(&rows, [61, N_MELS], 7, &device);
    let whole = audio.encoder.forward(&input);
    let chunks = AudioChunks { n_tokens: 6, n_overlap: 1 };
    let pieces = chunks.forward(&audio.encoder, &input, config.frames_per_token()).expect("a length");
    let is_pad = |sequence: &TokenSequence| sequence.is_pad.to_data().iter::<bool>().collect::<Vec<_>>();
    assert_eq!(is_pad(&pieces), is_pad(&whole));
    let (pieces, whole) = (pieces.tokens.into_data(), whole.tokens.into_data());
    pieces.assert_approx_eq::<f32>(&whole, Tolerance::absolute(crate::TOLERANCE));
}
