//! A small corpus that is made in a moment.

use std::path::Path;

use triptych_datasets::audio::{Waveform, encode_wav};
use triptych_datasets::image::{Pixels, encode_png};
use triptych_datasets::sample::{Media, Sample, Split};
use triptych_datasets::shard::{Corpus, Licence, ShardWriter};

pub(crate) const COLOURS: [&str; 3] = ["red", "green", "blue"];

pub(crate) fn picture(group: usize, colour: usize) -> Vec<u8> {
    let side = 24;
    let mut pixels = Pixels::filled(side, side, [255; 3]);
    for (i, pixel) in pixels.rgb.chunks_exact_mut(3).enumerate() {
        if (i % side) * (i / side) % (group + 2) == 0 {
            pixel[colour] = 0;
        }
    }
    encode_png(&pixels).expect("the pixels fit their size")
}

pub(crate) fn tone(group: usize, voice: usize) -> Vec<u8> {
    let n_samples = 1600 + 160 * group + 37 * voice;
    let hz = 200.0 + 50.0 * group as f32 + 400.0 * voice as f32;
    let sample = |i: usize| (std::f32::consts::TAU * hz * i as f32 / 16_000.0).sin() * 0.5;
    encode_wav(&Waveform { samples: (0..n_samples).map(sample).collect(), rate_hz: 16_000 })
        .expect("it is short")
}

pub(crate) fn media(bytes: Vec<u8>, extension: &str) -> Option<Media> {
    Some(Media { bytes, extension: extension.to_owned() })
}

/// Every group in three colours and two voices; group 0 has no sound, group 1 no picture.
pub(crate) fn samples(n_groups: usize) -> Vec<Sample> {
    let mut samples = Vec::new();
    for group in 0..n_groups {
        let plain = |maker: &str| Sample {
            id: format!("thing-{group}/{maker}"),
            source: "fixture".to_owned(),
            group: format!("thing {group}"),
            split: if maker == "blue" { Split::Test } else { Split::Train },
            texts: vec![format!("thing number {group}"), "a thing".to_owned()],
            ..Sample::default()
        };
        for (colour, name) in COLOURS.iter().enumerate().filter(|_| group != 1) {
            let mut sample = Sample { image: media(picture(group, colour), "png"), ..plain(name) };
            sample.tags.insert("colour".to_owned(), (*name).to_owned());
            samples.push(sample);
        }
        for voice in 0..if group == 0 { 0 } else { 2 } {
            let name = format!("voice{voice}");
            let mut sample = Sample { audio: media(tone(group, voice), "wav"), ..plain(&name) };
            sample.tags.insert("voice".to_owned(), name);
            samples.push(sample);
        }
    }
    samples
}

pub(crate) fn licences() -> Vec<Licence> {
    vec![Licence { part: "everything".to_owned(), licence: "CC0-1.0".to_owned(), ..Licence::default() }]
}

pub(crate) fn write(dir: &Path, samples: Vec<Sample>) -> Corpus {
    // small shards, so that there are several
    let mut writer =
        ShardWriter::create(dir, "things").expect("the folder is writable").with_shard_bytes(20_000);
    for sample in samples {
        writer.push(sample).expect("the sample is well formed");
    }
    writer.finish(&licences()).expect("the folder is writable")
}
