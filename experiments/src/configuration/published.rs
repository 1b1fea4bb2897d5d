//! What published weights bring into a config: a layer right under the one that names them, so that the same file may set
//! another value, and what it extends may not.

use std::path::Path;

use serde::Serialize;
use toml::Table;
use triptych_datasets::audio::{Features, SAMPLES_PER_FRAME};
use triptych_encoders::pretrained::ModelFolder;

use super::error::{ConfigError, Problem};
use super::layer::Layer;
use super::tree::{Node, Value};
use crate::published::{self, PublishedError};

/// What a published model brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text,
    Vision,
    Audio,
}

impl Part {
    pub(super) const ALL: [Self; 3] = [Self::Text, Self::Vision, Self::Audio];

    /// Its key in `start` and in `model`.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Vision => "vision",
            Self::Audio => "audio",
        }
    }
}

/// Keys that the weights fix: they were trained so.
const HELD: [&[&str]; 5] = [
    &["data", "tokenizer"],
    &["data", "image", "mean"],
    &["data", "image", "std"],
    &["data", "audio", "features"],
    &["data", "audio", "n_mels"],
];

/// The layer that the model in `folder` brings.
pub(super) fn brought(part: Part, folder: &Path) -> Result<String, PublishedError> {
    let model = ModelFolder::open(folder).map_err(PublishedError::files)?;
    let (mut data, mut sizes) = (Table::new(), Table::new());
    match part {
        Part::Text => {
            let tokenizer = published::tokenizer(&model)?;
            let text = model.text_encoder(tokenizer.has_marks())?;
            set(&mut data, "tokenizer", &tokenizer.kind());
            set(&mut data, "n_vocab", &tokenizer.n_tokens());
            set(&mut sizes, "text", &text.config);
            if let Some(width) = model.projection_width()? {
                set(&mut sizes, "d_embedding", &width);
            }
        }
        Part::Vision => {
            let vision = model.vision_encoder()?;
            set(&mut data, "image", &published::pictures(&model, &vision)?);
            set(&mut sizes, "vision", &vision.config);
        }
        Part::Audio => {
            let audio = model.audio_encoder()?;
            let mut sounds = Table::new();
            let features = if audio.n_mels.is_some() { Features::LogMel } else { Features::Waveform };
            set(&mut sounds, "features", &features);
            set(&mut sounds, "n_mels", &audio.n_mels.unwrap_or(SAMPLES_PER_FRAME));
            if let Some(max_s) = audio.max_s {
                set(&mut sounds, "max_s", &max_s);
            }
            set(&mut data, "audio", &sounds);
            set(&mut sizes, "audio", &audio.config);
        }
    }
    let mut layer = Table::new();
    set(&mut layer, "data", &data);
    set(&mut layer, "model", &sizes);
    Ok(layer.to_string())
}

fn set(table: &mut Table, key: &str, value: &impl Serialize) {
    let mut value = toml::Value::try_from(value).expect("configs are tables of plain values");
    shorten(&mut value);
    table.insert(key.to_owned(), value);
}

/// Writes numbers of 32 bits as short as they are: 0.48, not 0.47999998927116394.
fn shorten(value: &mut toml::Value) {
    match value {
        toml::Value::Float(number) if f64::from(*number as f32) == *number => {
            if let Ok(short) = (*number as f32).to_string().parse() {
                *number = short;
            }
        }
        toml::Value::Array(items) => items.iter_mut().for_each(shorten),
        toml::Value::Table(table) => table.iter_mut().for_each(|(_, value)| shorten(value)),
        _ => {}
    }
}

/// Checks that nothing above a brought layer changes what the weights fix.
///
/// # Errors
/// The first such value, at its place.
pub(super) fn check_held(
    brought: &[(String, Node)],
    merged: &Node,
    layers: &[Layer],
) -> Result<(), ConfigError> {
    for (folder, tree) in brought {
        for path in HELD {
            let (Some(expected), Some(got)) = (tree.get(path), merged.get(path)) else { continue };
            if is_same(expected, got) {
                continue;
            }
            let Some(layer) = layers.get(got.place.layer) else { continue };
            let (key, expected, got_text) = (path.join("."), shown(expected), shown(got));
            return Err(Problem::new(&layer.name, &layer.text, got.place.span.clone())
                .with_message(format!(
                    "`{key}` must be {expected}, which the weights of {folder} were trained with, got {got_text}"
                ))
                .with_label(format!("expected {expected}"))
                .with_hint("leave it out: it comes with the weights")
                .into());
        }
    }
    Ok(())
}

fn is_same(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Float(a), Value::Float(b)) => *a as f32 == *b as f32,
        (Value::Float(a), Value::Integer(b)) | (Value::Integer(b), Value::Float(a)) => *a == *b as f64,
        (a, b) => a == b,
    }
}

fn shown(node: &Node) -> String {
    match &node.value {
        Value::String(text) => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(flag) => flag.to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Table(_) => "a table".to_owned(),
    }
}
