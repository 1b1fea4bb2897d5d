//! The vectors that an imported sentence model gives for rows of token ids, and what loading it took.
//!
//! ```sh
//! triptych model import downloads/all-MiniLM-L6-v2 --out models/minilm
//! echo '[[101, 7592, 102], [101, 2748, 2909, 102]]' |
//!     cargo run --release -p triptych-encoders --example sentence_vectors -- models/minilm
//! ```
//!
//! One row of JSON a text goes to standard output, the time and the peak of memory to standard error.

use std::io::Read;
use std::path::Path;
use std::time::Instant;

use burn::prelude::*;
use triptych_encoders::TextInput;
use triptych_encoders::input::padding;
use triptych_encoders::pretrained::families::BertFamily;
use triptych_encoders::pretrained::{ImportedFolder, load};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::flex();
    let path = std::env::args().nth(1).ok_or("expected the folder of an imported sentence model")?;
    let start = Instant::now();
    let folder = ImportedFolder::open(Path::new(&path))?;
    let (config, model) = load::<BertFamily>(&folder, &device)?;
    eprintln!("loaded in {:.3} s, peak {}", start.elapsed().as_secs_f64(), peak());
    let settings = folder.sentence_settings()?.ok_or("expected a model for sentences, got another")?;

    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let rows: Vec<Vec<u32>> = serde_json::from_str(&text)?;
    if rows.iter().flatten().any(|&id| id as usize >= config.n_vocab) {
        return Err(format!("expected token ids below {}", config.n_vocab).into());
    }
    let lengths = rows.iter().map(Vec::len).collect::<Vec<_>>();
    let n_tokens = lengths.iter().copied().max().filter(|&n| n > 0).ok_or("expected at least one token")?;
    let padded = |row: &Vec<u32>| {
        (0..n_tokens).map(|i| i64::from(row.get(i).copied().unwrap_or(0))).collect::<Vec<_>>()
    };
    let ids = rows.iter().flat_map(padded).collect::<Vec<_>>();
    let input = TextInput {
        ids: Tensor::from_data(TensorData::new(ids, [rows.len(), n_tokens]), &device),
        is_pad: padding(&lengths, n_tokens, &device),
    };
    let vectors = settings.embed(&model.forward(&input, None));
    let [_, width] = vectors.dims();
    let values = vectors.into_data().iter::<f32>().collect::<Vec<_>>();
    for vector in values.chunks_exact(width) {
        println!("{}", serde_json::to_string(vector)?);
    }
    Ok(())
}

/// The most memory that the process has held, as the system says it.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |peak| peak.trim().to_owned())
}
