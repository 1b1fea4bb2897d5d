//! What the steps of an experiment cost, by its config.

use triptych_encoders::Modality;
use triptych_encoders::layers::cost::{Cost, CostTree};
use triptych_tasks::model::{DataShape, SampleLengths};

use super::frozen::{Frozen, parameters};
use crate::configuration::ExperimentConfig;
use crate::run::TrainError;

/// Log-mel frames a second.
const FRAMES_PER_S: f64 = 100.0;

/// What the data of an experiment decides, for its largest samples.
pub(crate) fn largest_sample(config: &ExperimentConfig, n_vocab: usize) -> (DataShape, SampleLengths) {
    let n_frames = (config.data.audio.max_s * FRAMES_PER_S) as usize;
    (config.data_shape(n_vocab), SampleLengths { n_text_tokens: config.data.max_text_tokens, n_frames })
}

/// Means over the steps of a training, a row of the batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StepCost {
    /// Values of all parameters.
    pub(crate) parameters: u64,
    /// Those that are learned.
    pub(crate) trained: u64,
    /// Operations of forward and backward pass.
    pub(crate) flops_per_row: f64,
    /// Values that wait for the backward pass when every objective has its turn.
    pub(crate) kept_per_row: f64,
}

impl StepCost {
    /// Every row has a text, a picture and its sounds, all as long as they may be. A row's encoders run once, the backbone
    /// once for each objective that reads it, with the row's first sound; objectives that mask an input encode that once
    /// more. An encoder that is frozen as a whole keeps nothing and has no backward pass.
    ///
    /// # Errors
    /// Patterns of frozen parameters that are of none, and sizes that do not fit together.
    pub(crate) fn of(config: &ExperimentConfig, n_vocab: usize) -> Result<Self, TrainError> {
        let (shape, lengths) = largest_sample(config, n_vocab);
        let frozen = match config.train.freeze.is_empty() {
            true => Frozen::default(),
            false => Frozen::new(&parameters(config, shape)?),
        };
        let n_frozen = frozen.of("").map_or(0, |(n_frozen, _)| n_frozen);
        let tree = config.model.cost(shape, lengths);
        let part = |name: &str| tree.parts.iter().find(|part| part.name == name);
        let cost = |name: &str| part(name).map_or(Cost::default(), |part| part.cost);
        let n_tokens =
            |modality: Modality| part(encoder(modality)).map_or(0, |part: &CostTree| part.shape[0]);
        let n_sounds = config.data.sounds_per_row as u64;
        let (mut flops, mut kept) = (0.0, 0.0);
        for (name, times) in [("text", 1), ("vision", 1), ("audio", n_sounds)] {
            let encoder = cost(name) * times;
            if frozen.is_whole(name) {
                flops += encoder.flops as f64;
            } else {
                flops += encoder.training_flops() as f64;
                kept += encoder.kept as f64;
            }
        }
        for (name, schedule) in &config.objectives {
            let Some(objective) = schedule.objective(name).filter(|_| schedule.weight > 0.0) else {
                continue;
            };
            let share = (schedule.until - schedule.from).max(0.0) / schedule.every as f64;
            let needs = objective.needs();
            // CTC and attention read what one pass of the transcripts has fused
            let others: &[&str] = match name.as_str() {
                "ctc" => &["transcript", "transcript_hybrid"],
                "transcript_hybrid" => &["transcript"],
                _ => &[],
            };
            let is_shared = others.iter().any(|other| config.objectives.contains_key(*other));
            if name.starts_with("contrast") || is_shared {
                continue;
            }
            let writes =
                matches!(name.as_str(), "caption" | "transcript" | "transcript_hybrid" | "text_generation");
            let n_inputs = Modality::ALL.map(|modality| {
                let is_input = needs.contains(&modality) && !(writes && modality == Modality::Text);
                if is_input { n_tokens(modality) } else { 0 }
            });
            let n_causal = if writes { lengths.n_text_tokens + 1 } else { 0 };
            let widths = Modality::ALL.map(|modality| {
                part(encoder(modality)).map_or(config.model.fusion.transformer.d_model, |p| p.shape[1])
            });
            // a masked autoencoder has a decoder of its own; its encoder is counted as if it saw the whole picture
            let is_fused = name != "masked_autoencoder";
            let fused = config.model.fusion.cost(widths, n_vocab, n_inputs, n_causal).cost;
            let fused = if is_fused { fused } else { cost("patch_decoder") };
            let again = match name.as_str() {
                "masked_image" | "masked_autoencoder" => cost("vision"),
                "masked_audio" | "masked_audio_codes" => cost("audio"),
                name if name.starts_with("joint_masking") => {
                    needs.iter().fold(Cost::default(), |sum, &modality| sum + cost(encoder(modality)))
                }
                name if name.starts_with("masked_text") => cost("text"),
                _ => Cost::default(),
            };
            flops += share * (fused + again).training_flops() as f64;
            kept += (fused.kept + again.kept) as f64;
        }
        let parameters = tree.cost.parameters;
        let trained = parameters.saturating_sub(n_frozen);
        Ok(Self { parameters, trained, flops_per_row: flops, kept_per_row: kept })
    }
}

fn encoder(modality: Modality) -> &'static str {
    match modality {
        Modality::Text => "text",
        Modality::Image => "vision",
        Modality::Audio => "audio",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::experiment;

    fn step(overrides: &[&str]) -> StepCost {
        let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
        let config = experiment("quickstart", &overrides).expect("it is built in").value;
        StepCost::of(&config, config.data.n_vocab).expect("its sizes fit")
    }

    #[test]
    fn checkpointed_blocks_take_operations_in_the_place_of_memory() {
        let kept = step(&[]);
        let again = step(&[
            "model.text.transformer.transformer.checkpoint_blocks=true",
            "model.vision.vit.transformer.checkpoint_blocks=true",
            "model.audio.transformer.transformer.checkpoint_blocks=true",
            "model.fusion.transformer.checkpoint_blocks=true",
        ]);
        assert_eq!(again.parameters, kept.parameters);
        assert!(again.kept_per_row < kept.kept_per_row, "{again:?}, {kept:?}");
        let more = again.flops_per_row / kept.flops_per_row;
        // a third more, but for what is no block
        assert!(more > 1.1 && more < 4.0 / 3.0, "{more}");
    }

    #[test]
    fn a_resampled_input_makes_the_backbone_cheaper() {
        let off = ["masked_audio", "ctc"].map(|name| format!("objectives.{name}.weight=0"));
        let resampler = "{ n_latents = 2, transformer = { d_model = 32, depth = 1, n_heads = 2 } }";
        let resampled = format!("model.fusion.resample.audio={resampler}");
        let whole = step(&[&off[0], &off[1]]);
        let resampled = step(&[&off[0], &off[1], &resampled]);
        assert!(resampled.flops_per_row < whole.flops_per_row, "{resampled:?}, {whole:?}");
    }
}
