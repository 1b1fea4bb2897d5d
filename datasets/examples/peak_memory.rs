//! Imports, checks and prepares a manifest, and prints the most memory that each took. `benches/million.py` makes one.
//!
//!     peak_memory import|validate|prepare MANIFEST_DIR OUT_DIR
//!
//! The peak is the system's own figure (`VmHWM`), so that it only runs on Linux.

use std::cell::Cell;
use std::error::Error;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use triptych_datasets::corpora::{Request, importer};
use triptych_datasets::pipeline::{Event, Options, Recipe, prepare};
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
    let [step, source, out] = arguments.as_slice() else {
        return Err(
            "expected import, validate or prepare, a manifest's folder and one for what comes of it".into()
        );
    };
    let (source, raw, clean) = (Path::new(source), Path::new(out).join("raw"), Path::new(out).join("clean"));
    let begun = Instant::now();
    let n_samples = match step.as_str() {
        "import" => {
            let options = serde_json::Value::Null;
            importer("manifest")?.import(&Request::new(Some(source), &raw, &options))?.n_samples
        }
        "validate" => {
            let found = audit(&raw, AuditOptions::default(), &|_, _| {})?;
            if found.n_problems > 0 {
                return Err(format!("expected a whole corpus, got {:?}", found.problems).into());
            }
            found.n_samples as usize
        }
        "prepare" => {
            let recipe = format!("sources = [{raw:?}]\nout = {clean:?}\n{STAGES}");
            let recipe = Recipe::parse(&recipe, Path::new("recipe.toml"))?;
            let stage = Cell::new("");
            let watch = |event: Event| {
                let before = stage.replace(event.stage);
                if before != event.stage {
                    println!(
                        "  up to the first piece of {}: {:.0} MB",
                        event.stage,
                        peak_bytes().unwrap_or_default() / 1e6
                    );
                }
                ControlFlow::Continue(())
            };
            prepare(&recipe, &Options::default(), None, &watch)?.corpus.len()
        }
        other => return Err(format!("expected import, validate or prepare, got {other}").into()),
    };
    let (peak, seconds) = (peak_bytes()? / 1e6, begun.elapsed().as_secs_f64());
    println!("{step}: {n_samples} samples, peak {peak:.0} MB, {seconds:.1} s");
    Ok(())
}

fn peak_bytes() -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("expected VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? * 1024.0)
}
