//! The audio encoders.

use burn::prelude::*;
use triptych_datasets::batch::AudioBatch;
use triptych_encoders::audio::{AudioEncoder, AudioEncoderConfig};
use triptych_encoders::layers::cost::CostTree;
use triptych_encoders::layers::initializer::Initializer;
use triptych_encoders::{AudioInput, Modality, TokenSequence};

use crate::{Kind, Row, conformance, noise};

const N_MELS: usize = 6;

struct Audio;

impl Kind for Audio {
    type Config = AudioEncoderConfig;
    type Encoder = AudioEncoder;
    const MODALITY: Modality = Modality::Audio;

    fn registry() -> Vec<(&'static str, AudioEncoderConfig)> {
        AudioEncoderConfig::registry()
    }

    fn d_model(config: &AudioEncoderConfig) -> usize {
        config.d_model()
    }

    fn init(config: &AudioEncoderConfig, init: &mut Initializer) -> AudioEncoder {
        config.init(N_MELS, init).expect("registered sizes fit together")
    }

    fn forward(
        encoder: &AudioEncoder,
        rows: &[Row],
        width: usize,
        filler: u64,
        device: &Device,
    ) -> TokenSequence {
        encoder.forward(&input(rows, width, filler, device))
    }

    fn cost(config: &AudioEncoderConfig, length: usize) -> CostTree {
        config.cost(N_MELS, length)
    }

    fn n_tokens(config: &AudioEncoderConfig, length: usize) -> usize {
        length.div_ceil(config.frames_per_token())
    }

    /// Every remainder of a length by the frames behind a token, and no sound at all.
    fn lengths() -> (Vec<usize>, usize) {
        (vec![1, 30, 2, 3, 4, 0, 13, 17], 30)
    }
}

fn input(rows: &[Row], width: usize, filler: u64, device: &Device) -> AudioInput {
    let frames = rows.iter().flat_map(|row| {
        let end = row.length * N_MELS;
        (0..width * N_MELS).map(move |place| noise(if place < end { row.seed } else { filler }, place))
    });
    let batch = AudioBatch {
        rows: (0..rows.len()).collect(),
        frames: frames.collect(),
        lengths: rows.iter().map(|row| row.length).collect(),
        n_frames: width,
        n_mels: N_MELS,
    };
    AudioInput::new(&batch, device)
}

conformance!(Audio);

#[test]
fn token_lengths_are_those_of_the_padding_mask() {
    let device = Device::flex();
    for (name, config) in Audio::registry() {
        let encoder = Audio::init(&config, &mut Initializer::new(1, &device));
        for width in [31, 32, 33] {
            let rows = (0..=width).map(|length| Row { seed: 1, length }).collect::<Vec<_>>();
            let input = input(&rows, width, 7, &device);
            let present = encoder.forward(&input).is_pad.bool_not().int().sum_dim(1).into_data();
            let lengths = encoder.token_lengths(&input).into_iter().map(|length| length as i64);
            assert_eq!(lengths.collect::<Vec<_>>(), present.iter::<i64>().collect::<Vec<_>>(), "{name}");
        }
    }
}
