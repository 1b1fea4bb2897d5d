//! Times the front ends, for comparison with their peers in Python: `experiments/runs/2026-11-25-2-core-front-ends`.
//!
//!     front_ends log-mel N_MELS REPEATS SOUND.npy OUT.npy
//!     front_ends fbank N_MELS REPEATS SOUND.npy OUT.npy
//!     front_ends picture SIDE REPEATS PICTURE.jpg OUT.npy
//!
//! Prints the milliseconds of each repeat, a line each, and writes what came out last.

use std::error::Error;
use std::fs::{self, File};
use std::hint::black_box;
use std::time::Instant;

use triptych_datasets::audio::{Fbank, FbankOptions, LogMel};
use triptych_datasets::image::{CropBox, Filter, crop_resize_by, decode};
use triptych_datasets::npy::{Values, read, write_f32, write_u8};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, size, repeats, input, out] = arguments.as_slice() else {
        return Err("expected log-mel|fbank|picture, size, repeats, input and output".into());
    };
    let (size, repeats) = (size.parse::<usize>()?, repeats.parse::<usize>()?);
    let (bytes, out) = (fs::read(input)?, File::create(out)?);
    match what.as_str() {
        "picture" => {
            let made = timed(repeats, || {
                let pixels = decode(black_box(&bytes), "jpg")?;
                Ok(crop_resize_by(Filter::Bicubic, &pixels, CropBox::whole(&pixels), size, size))
            })?;
            write_u8(out, &[size, size, 3], &made.rgb)?;
        }
        _ => {
            let Values::F32(samples) = read(&bytes)?.values else { return Err("expected floats".into()) };
            let (log_mel, fbank) = (LogMel::new(size), Fbank::new(size, FbankOptions::default()));
            let frames = match what.as_str() {
                "log-mel" => timed(repeats, || Ok(log_mel.frames(black_box(&samples))))?,
                "fbank" => timed(repeats, || Ok(fbank.frames(black_box(&samples))))?,
                other => return Err(format!("expected log-mel, fbank or picture, got {other}").into()),
            };
            write_f32(out, &[frames.n_frames, frames.n_mels], &frames.values)?;
        }
    }
    Ok(())
}

/// Three times without looking at the clock, then `repeats` times with.
fn timed<T>(
    repeats: usize,
    mut work: impl FnMut() -> Result<T, Box<dyn Error>>,
) -> Result<T, Box<dyn Error>> {
    for _ in 0..3 {
        black_box(work()?);
    }
    let mut last = work()?;
    for _ in 0..repeats {
        let start = Instant::now();
        last = black_box(work()?);
        println!("{:.4}", start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(last)
}
