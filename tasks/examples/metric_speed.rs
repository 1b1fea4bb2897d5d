//! How long the metrics take on a file of captions or transcripts, without reading it: the counterpart of
//! `compare.py` in `experiments/runs/2026-11-25-2-core-metrics`.
//!
//!     metric_speed captions CAPTIONS.json        [[hypothesis, [reference, ...]], ...]
//!     metric_speed transcripts TRANSCRIPTS.json  [[reference, hypothesis], ...]
//!
//! Prints a JSON object of seconds and values.

use std::error::Error;
use std::time::Instant;

use serde_json::{Value, json};
use triptych_tasks::metrics::caption::tokenize;
use triptych_tasks::metrics::{Captions, EditCounts, Figure, Normalizer, WordAlignment, WordErrors};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [task, path] = &arguments[..] else {
        return Err("expected a task, captions or transcripts, and a file".into());
    };
    let text = std::fs::read_to_string(path)?;
    let report = match task.as_str() {
        "captions" => captions(&text)?,
        "transcripts" => transcripts(&text)?,
        other => return Err(format!("expected captions or transcripts, got {other}").into()),
    };
    println!("{report}");
    Ok(())
}

fn values(figures: &[Figure]) -> Value {
    figures.iter().map(|figure| (figure.metric().name.to_owned(), json!(figure.value()))).collect()
}

fn captions(text: &str) -> Result<Value, Box<dyn Error>> {
    let images: Vec<(String, Vec<String>)> = serde_json::from_str(text)?;
    let (hypotheses, references): (Vec<_>, Vec<_>) = images.into_iter().unzip();
    // tables that are built once a process are not measured
    let _ = tokenize("a (warm) start");
    let start = Instant::now();
    let tokenized = Captions::new(&hypotheses, &references)?;
    let tokenize_s = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let figures = tokenized.figures(None)?;
    let score_s = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let ready: Vec<(&str, &[String])> = (0..tokenized.n_images())
        .map(|image_idx| (tokenized.hypothesis(image_idx), tokenized.references(image_idx)))
        .collect();
    let (hypotheses, references): (Vec<&str>, Vec<&[String]>) = ready.into_iter().unzip();
    let again = Captions::from_tokenized(&hypotheses, &references)?.figures(None)?;
    let tokens_to_scores_s = start.elapsed().as_secs_f64();
    assert_eq!(values(&figures), values(&again));
    Ok(json!({
        "texts_to_scores_s": tokenize_s + score_s,
        "tokens_to_scores_s": tokens_to_scores_s,
        "values": values(&figures),
    }))
}

fn transcripts(text: &str) -> Result<Value, Box<dyn Error>> {
    let pairs: Vec<(String, String)> = serde_json::from_str(text)?;
    let (references, hypotheses): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let start = Instant::now();
    let alignments = WordAlignment::of_all(Normalizer::None, &references, &hypotheses);
    let total: EditCounts = alignments.iter().map(WordAlignment::counts).sum();
    let words_s = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let errors = WordErrors::new(Normalizer::None, &references, &hypotheses)?;
    let words_and_characters_s = start.elapsed().as_secs_f64();
    assert_eq!(errors.total_words(), total);
    Ok(json!({
        "words_s": words_s,
        "words_and_characters_s": words_and_characters_s,
        "values": {"WER": total.error_rate(), "CER": errors.total_characters().error_rate()},
    }))
}
