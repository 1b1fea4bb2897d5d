//! How fast published models run here: the same cases as `speed.py` beside it, which runs `transformers`.
//!
//! ```sh
//! RAYON_NUM_THREADS=2 cargo run --release -p triptych-encoders --example speed -- vit bert whisper decode > ours.jsonl
//! OMP_NUM_THREADS=2 python3 encoders/examples/speed.py vit bert whisper decode > theirs.jsonl
//! python3 encoders/examples/speed.py --table ours.jsonl theirs.jsonl
//! python3 encoders/examples/speed.py --make model-folder     # 1.1 GB of safetensors
//! cargo run --release -p triptych-encoders --example speed -- load model-folder
//! ```
//!
//! A line of JSON a case: median and spread over runs in seconds, and the process's memory at its highest so far.

use std::path::Path;
use std::time::Instant;

use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::*;
use burn::tensor::Distribution;
use half::f16;
use triptych_encoders::input::padding;
use triptych_encoders::layers::initializer::Initializer;
use triptych_encoders::layers::transformer::{BlockConfig, TransformerConfig};
use triptych_encoders::pretrained::ModelFolder;
use triptych_encoders::pretrained::families::{
    BertFamily, PatchConfig, PublishedBertConfig, PublishedVitConfig, Whisper, WhisperConfig,
};
use triptych_encoders::{AudioInput, ImageInput, TextInput};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const RUNS: usize = 5;
const N_TOKENS: usize = 128;
const N_WRITTEN: usize = 200;

fn main() -> Result<(), Failure> {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    // on a thread of the pool, as the program runs
    rayon::scope(|_| match arguments.as_slice() {
        [case, folder] if case == "load" => load(folder),
        cases => cases.iter().try_for_each(|case| match case.as_str() {
            "vit" => vit(),
            "bert" => bert(),
            "whisper" => whisper(),
            "decode" => decode(),
            other => Err(format!("expected vit, bert, whisper, decode or load, got {other}").into()),
        }),
    })
}

/// Blocks of a base size.
fn base() -> TransformerConfig {
    TransformerConfig::new(768, 12, 12)
}

fn vit() -> Result<(), Failure> {
    let patches = PatchConfig { side: 224, patch_side: 16 };
    let config = PublishedVitConfig { patches, has_pooler: false, transformer: base() };
    let pixels = |batch: usize| {
        let pixels = Tensor::random([batch, 224, 224, 3], Distribution::Normal(0.0, 1.0), &Device::flex());
        ImageInput { pixels }
    };
    let plain = config.init(&mut Initializer::new(1, &Device::flex()))?;
    let trained = config.init(&mut Initializer::new(1, &Device::flex().autodiff()))?;
    for batch in [1, 8] {
        let input = pixels(batch);
        time("vit-b/16", "forward", batch, || drop(plain.forward(&input).tokens.into_data()));
        time("vit-b/16", "forward-backward", batch, || {
            drop(trained.forward(&input).tokens.mean().backward())
        });
    }
    Ok(())
}

fn bert() -> Result<(), Failure> {
    let config = PublishedBertConfig {
        n_vocab: 30_522,
        max_tokens: 512,
        n_segments: 2,
        has_pooler: false,
        transformer: base().with_block(BlockConfig { norm_first: false, ..BlockConfig::default() }),
    };
    let plain = config.init(&mut Initializer::new(1, &Device::flex()))?;
    let trained = config.init(&mut Initializer::new(1, &Device::flex().autodiff()))?;
    for batch in [1, 8] {
        let ids = (0..batch * N_TOKENS).map(|i| (i * 37 % 30_000) as i64).collect::<Vec<_>>();
        let input = TextInput {
            ids: Tensor::from_data(TensorData::new(ids, [batch, N_TOKENS]), &Device::flex()),
            is_pad: padding(&vec![N_TOKENS; batch], N_TOKENS, &Device::flex()),
        };
        time("bert-base", "forward", batch, || drop(plain.forward(&input, None).tokens.into_data()));
        time("bert-base", "forward-backward", batch, || {
            drop(trained.forward(&input, None).tokens.mean().backward());
        });
    }
    Ok(())
}

/// A Whisper of a width, with blocks on either side.
fn speech(
    d_model: usize,
    n_heads: usize,
    encoder: usize,
    decoder: usize,
    device: &Device,
) -> Result<Whisper, Failure> {
    let config = WhisperConfig {
        n_vocab: 51_865,
        n_mels: 80,
        max_audio_tokens: 1500,
        max_text_tokens: 448,
        start_token: 50_258,
        end_token: 50_257,
        encoder: TransformerConfig::new(d_model, encoder, n_heads),
        decoder: TransformerConfig::new(d_model, decoder, n_heads),
    };
    Ok(config.init(&mut Initializer::new(1, device))?)
}

fn frames(batch: usize) -> AudioInput {
    let frames = Tensor::random([batch, 3000, 80], Distribution::Normal(0.0, 1.0), &Device::flex());
    AudioInput { frames, lengths: vec![3000; batch] }
}

fn whisper() -> Result<(), Failure> {
    let plain = speech(512, 8, 6, 1, &Device::flex())?;
    let trained = speech(512, 8, 6, 1, &Device::flex().autodiff())?;
    let input = frames(1);
    time("whisper-base encoder", "forward", 1, || drop(plain.encode(&input).tokens.into_data()));
    time("whisper-base encoder", "forward-backward", 1, || {
        drop(trained.encode(&input).tokens.mean().backward())
    });
    let input = frames(8);
    time("whisper-base encoder", "forward", 8, || drop(plain.encode(&input).tokens.into_data()));
    Ok(())
}

/// Greedy, one row, with cached keys and values, of the size of Whisper tiny.
fn decode() -> Result<(), Failure> {
    let model = speech(384, 6, 4, 4, &Device::flex())?.map(&mut InHalves).for_decoding();
    let encoded = model.encode(&frames(1));
    let best = |logits: Tensor<3>| logits.argmax(2).reshape([1, 1]);
    time("whisper-tiny decoder, 200 tokens", "greedy", 1, || {
        let start = Tensor::<2, Int>::full([1, 1], 50_258, &Device::flex());
        let (logits, mut cache) = model.prefill(&encoded, start);
        let mut last = best(logits);
        for position in 1..N_WRITTEN {
            last = best(model.next(last, position, &mut cache));
        }
        drop(last.into_data());
    });
    Ok(())
}

/// Numbers of 16 bits in tensors of 32, as OpenAI's weights are published.
struct InHalves;

impl ModuleMapper for InHalves {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| {
            let (shape, device) = (tensor.dims(), tensor.device());
            let values = tensor.into_data();
            let rounded = values.iter::<f32>().map(|value| f16::from_f32(value).to_f32());
            Tensor::from_data(TensorData::new(rounded.collect::<Vec<_>>(), shape), &device)
        })
    }
}

fn load(folder: &str) -> Result<(), Failure> {
    time("1.1 GB of safetensors", "load", 1, || {
        let loaded = ModelFolder::open(Path::new(folder)).map_err(|error| error.to_string());
        let loaded = loaded
            .and_then(|folder| folder.load::<BertFamily>(&Device::flex()).map_err(|error| error.to_string()));
        if let Err(error) = loaded {
            eprintln!("{error}");
        }
    });
    Ok(())
}

/// Runs a case once to warm up, then some times.
fn time(case: &str, pass: &str, batch: usize, mut run: impl FnMut()) {
    run();
    let mut times = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect::<Vec<_>>();
    times.sort_by(f64::total_cmp);
    let line = serde_json::json!({
        "case": case,
        "pass": pass,
        "batch": batch,
        "threads": rayon::current_num_threads(),
        "median_s": times[RUNS / 2],
        "least_s": times[0],
        "most_s": times[RUNS - 1],
        "peak_mb": peak_mb(),
    });
    println!("{line}");
}

/// The most memory that the process has held, as the system says it.
fn peak_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().split(' ').next()?.parse::<u64>().ok()? / 1024)
}
