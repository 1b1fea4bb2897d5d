//! Imports, checks and prepares a manifest, and prints the most memory that each took. `benches/million.py` makes one.
//!
//!     peak_memory MANIFEST_DIR OUT_DIR
//!
//! The peak is the system's own figure (`VmHWM`), set back before each step, so that it only runs on Linux.

use std::error::Error;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use triptych_datasets::corpora::{Request, importer};
use triptych_datasets::pipeline::{Options, Recipe, prepare};
use triptych_datasets::survey::{AuditOptions, audit};

const STAGES: &str = "
name = \"clean\"
[normalise]
[filter]
text_characters = { min = 3 }
[deduplicate]
[anonymise]
[split]
[shard]
";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, out] = arguments.as_slice() else {
        return Err("expected a manifest's folder and another".into());
    };
    let (source, raw, clean) = (Path::new(source), Path::new(out).join("raw"), Path::new(out).join("clean"));

    let n_samples = measured("import", || {
        let options = serde_json::Value::Null;
        Ok(importer("manifest")?.import(&Request::new(Some(source), &raw, &options))?.n_samples)
    })?;
    measured("validate", || {
        let found = audit(&raw, AuditOptions::default(), &|_, _| {})?;
        if found.n_problems > 0 || found.n_samples != n_samples as u64 {
            return Err(format!("expected a whole corpus, got {:?}", found.problems).into());
        }
        Ok(n_samples)
    })?;
    let sources = format!("sources = [{:?}]\nout = {:?}\n{STAGES}", raw, clean);
    let recipe = Recipe::parse(&sources, Path::new("recipe.toml"))?;
    measured("prepare", || {
        let stage = std::cell::Cell::new("");
        let made = prepare(&recipe, &Options::default(), None, &|event| {
            if stage.replace(event.stage) != event.stage {
                println!("  before {}: {:.0} MB", event.stage, peak_bytes().unwrap_or_default() / 1e6);
            }
            ControlFlow::Continue(())
        })?;
        Ok(made.corpus.len())
    })?;
    Ok(())
}

/// Does a step, and prints what it took.
fn measured(
    name: &str,
    step: impl FnOnce() -> Result<usize, Box<dyn Error>>,
) -> Result<usize, Box<dyn Error>> {
    // 5 sets the peak back to what is held now
    fs::write("/proc/self/clear_refs", "5")?;
    let begun = Instant::now();
    let n_samples = step()?;
    let seconds = begun.elapsed().as_secs_f64();
    println!("{name}: {n_samples} samples, peak {:.0} MB, {seconds:.1} s", peak_bytes()? / 1e6);
    Ok(n_samples)
}

fn peak_bytes() -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("expected VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? * 1024.0)
}
