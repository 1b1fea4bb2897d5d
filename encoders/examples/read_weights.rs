//! How long reading all of a file of weights takes, and how much memory it leaves the process with.
//!
//! ```sh
//! cargo run --release -p triptych-encoders --example read_weights -- model.safetensors
//! ```
//!
//! Every tensor is converted to 32-bit floats and kept, as a model keeps its parameters; run it twice for a warm
//! figure. The peak is the system's (`VmHWM`), which counts mapped pages of the file too.

use std::path::Path;
use std::time::Instant;

use triptych_encoders::pretrained::{Checkpoint, CheckpointError};

fn main() -> Result<(), CheckpointError> {
    for file in std::env::args().skip(1) {
        let start = Instant::now();
        let checkpoint = Checkpoint::open_file(Path::new(&file))?;
        let open_s = start.elapsed().as_secs_f64();
        let names = checkpoint.tensors().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
        let tensors = names.iter().map(|name| checkpoint.read(name)).collect::<Result<Vec<_>, _>>()?;
        let n_bytes = 4 * tensors.iter().map(Vec::len).sum::<usize>();
        let read_s = start.elapsed().as_secs_f64();
        println!(
            "{file}: {} tensors, {:.3} GB in memory, opened in {open_s:.4} s, read in {read_s:.3} s, peak {}",
            tensors.len(),
            n_bytes as f64 / 1e9,
            peak()
        );
    }
    Ok(())
}

/// The most memory that the process has held, as the system says it.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |peak| peak.trim().to_owned())
}
