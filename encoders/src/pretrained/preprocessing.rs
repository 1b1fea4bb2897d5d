//! What a published model wants done to pictures, sounds and sentences: `preprocessor_config.json` and the pooling of
//! sentence-transformers.

use burn::prelude::*;
use serde::{Deserialize, Serialize};

use super::config::PublishedConfig;
use super::error::CheckpointError;
use super::folder::PublishedFolder;
use crate::TokenSequence;

/// How a picture becomes a model's input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PictureSettings {
    /// How it is brought to size first.
    pub resize: Resize,
    /// The interpolation of that.
    pub filter: Filter,
    /// Side of the square that is cut out of the middle behind that, if one is.
    pub crop_side: Option<usize>,
    /// Taken from each channel of values in 0 to 1.
    pub mean: [f32; 3],
    /// Each channel is divided by.
    pub deviation: [f32; 3],
}

/// To which size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resize {
    /// A square of this side, whatever the picture's own proportions.
    Square(usize),
    /// The shorter side this long, the proportions kept.
    ShorterSide(usize),
}

/// Interpolations, as Pillow does them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// Over two pixels.
    Bilinear,
    /// Over four.
    Bicubic,
}

impl PictureSettings {
    /// Reads the settings of a model for pictures of `side` pixels.
    ///
    /// # Errors
    /// When a step is asked for that is not implemented, or the pictures would have another size.
    pub fn read(settings: &PublishedConfig, side: usize) -> Result<Self, CheckpointError> {
        for step in ["do_resize", "do_rescale", "do_normalize"] {
            settings.only(step, true)?;
        }
        if let Some(factor) = settings.table().get("rescale_factor").and_then(serde_json::Value::as_f64)
            && (factor * 255.0 - 1.0).abs() > 1e-6
        {
            return Err(settings.wrong(
                "rescale_factor",
                "1/255, as only that is implemented",
                &factor.to_string(),
            ));
        }
        let crop_side = match settings.flag("do_center_crop", false)? {
            true => Some(square(settings, "crop_size", side)?),
            false => None,
        };
        let resize = resize(settings, side)?;
        let (got, key) = match (crop_side, resize) {
            (Some(crop), _) => (crop, "crop_size"),
            (None, Resize::Square(size)) => (size, "size"),
            (None, Resize::ShorterSide(_)) => {
                return Err(settings.wrong("do_center_crop", "true, for pictures of one size", "`false`"));
            }
        };
        if got != side {
            let expected = format!("{side}, the `image_size` of config.json");
            return Err(settings.wrong(key, &expected, &got.to_string()));
        }
        let filter = match settings.table().get("resample").and_then(serde_json::Value::as_u64) {
            None | Some(2) => Filter::Bilinear,
            Some(3) => Filter::Bicubic,
            Some(other) => {
                let expected = "2 (bilinear) or 3 (bicubic), as only those are implemented";
                return Err(settings.wrong("resample", expected, &other.to_string()));
            }
        };
        let (mean, deviation) = (channels(settings, "image_mean")?, channels(settings, "image_std")?);
        if deviation.iter().any(|&value| value <= 0.0) {
            return Err(settings.wrong("image_std", "numbers above 0", &format!("{deviation:?}")));
        }
        Ok(Self { resize, filter, crop_side, mean, deviation })
    }
}

/// `size` as a number, `{"height", "width"}` or `{"shortest_edge"}`.
fn resize(settings: &PublishedConfig, side: usize) -> Result<Resize, CheckpointError> {
    match settings.table().get("size") {
        Some(serde_json::Value::Object(size)) if size.contains_key("shortest_edge") => {
            Ok(Resize::ShorterSide(settings.section("size")?.size("shortest_edge", side)?))
        }
        // one number means the shorter side where the middle is cut out of it
        Some(serde_json::Value::Number(_)) if settings.flag("do_center_crop", false)? => {
            Ok(Resize::ShorterSide(settings.size("size", side)?))
        }
        _ => Ok(Resize::Square(square(settings, "size", side)?)),
    }
}

/// The side of a square, given as a number or as `{"height", "width"}`.
fn square(settings: &PublishedConfig, key: &str, default: usize) -> Result<usize, CheckpointError> {
    if !matches!(settings.table().get(key), Some(serde_json::Value::Object(_))) {
        return settings.size(key, default);
    }
    let size = settings.section(key)?;
    let (height, width) = (size.size("height", default)?, size.size("width", default)?);
    if height == width {
        Ok(height)
    } else {
        Err(size.wrong("width", &height.to_string(), &width.to_string()))
    }
}

fn channels(settings: &PublishedConfig, key: &str) -> Result<[f32; 3], CheckpointError> {
    let value = settings.table().get(key);
    let channels = value.and_then(serde_json::Value::as_array).and_then(|items| match items.as_slice() {
        [red, green, blue] => Some([red.as_f64()? as f32, green.as_f64()? as f32, blue.as_f64()? as f32]),
        _ => None,
    });
    channels.ok_or_else(|| {
        let got = value.map_or_else(|| "none".to_owned(), ToString::to_string);
        settings.wrong(key, "three numbers", &got)
    })
}

/// Checks that a model for log-mel frames gets Whisper's: `n_mels` bands at 16 kHz, windows of 400 samples every 160.
///
/// # Errors
/// When one of them is another.
pub fn check_log_mel(settings: &PublishedConfig, n_mels: usize) -> Result<(), CheckpointError> {
    for (key, expected) in
        [("feature_size", n_mels), ("sampling_rate", 16_000), ("n_fft", 400), ("hop_length", 160)]
    {
        let default = if key == "feature_size" { 80 } else { expected };
        let got = settings.size(key, default)?;
        if got != expected {
            return Err(settings.wrong(key, &expected.to_string(), &got.to_string()));
        }
    }
    Ok(())
}

/// How a model for waveforms wants them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaveformSettings {
    /// Whether each sound is brought to mean 0 and variance 1.
    pub normalises: bool,
}

impl WaveformSettings {
    /// Reads the settings.
    ///
    /// # Errors
    /// When the sounds would have another rate than 16 kHz, or several channels.
    pub fn read(settings: &PublishedConfig) -> Result<Self, CheckpointError> {
        settings.only("sampling_rate", 16_000)?;
        settings.only("feature_size", 1)?;
        Ok(Self { normalises: settings.flag("do_normalize", true)? })
    }
}

/// How the tokens of a sentence become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentenceSettings {
    /// Which tokens.
    pub pooling: Pooling,
    /// Whether the vector is brought to length 1.
    pub normalises: bool,
    /// The longest text in tokens, where it is shorter than the model's own.
    pub max_tokens: Option<usize>,
}

/// Which tokens' vectors are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The mean of all that are no padding.
    Mean,
    /// The first one's.
    First,
}

impl SentenceSettings {
    /// Reads the steps of a sentence-transformers folder; none where it is no such folder.
    ///
    /// # Errors
    /// When there is a step that is not implemented.
    pub fn read(folder: &PublishedFolder) -> Result<Option<Self>, CheckpointError> {
        let Some(modules) = folder.json("modules.json")? else { return Ok(None) };
        let path = folder.path().join("modules.json");
        let wrong =
            |place: String, expected: &str, got: &str| CheckpointError::content(&path, place, expected, got);
        let Some(modules) = modules.as_array() else {
            return Err(wrong("itself".to_owned(), "a list of modules", "something else"));
        };
        let (mut pooling, mut normalises) = (None, false);
        for (idx, module) in modules.iter().enumerate() {
            let kind = module["type"].as_str().unwrap_or_default();
            match kind.rsplit('.').next().unwrap_or_default() {
                "Transformer" if idx == 0 => {}
                "Pooling" if idx == 1 => {
                    let name = module["path"].as_str().unwrap_or_default();
                    pooling = Some(Self::pooling(folder, name)?);
                }
                "Normalize" if idx == 2 => normalises = true,
                _ => {
                    let expected = "a Transformer, its Pooling and at most a Normalize behind them";
                    return Err(wrong(format!("module {idx}"), expected, &super::error::quoted(kind)));
                }
            }
        }
        let pooling = pooling.ok_or_else(|| wrong("itself".to_owned(), "a Pooling module", "none"))?;
        let max_tokens = match folder.json("sentence_bert_config.json")? {
            None => None,
            Some(settings) => {
                let settings =
                    PublishedConfig::new(&folder.path().join("sentence_bert_config.json"), settings)?;
                settings.only("do_lower_case", false)?;
                let limit = settings.size("max_seq_length", 0)?;
                (limit > 0).then_some(limit)
            }
        };
        Ok(Some(Self { pooling, normalises, max_tokens }))
    }

    /// One vector for each text.
    ///
    /// # Shapes
    /// `[batch, n_tokens, d_model]` -> `[batch, d_model]`
    pub fn embed(&self, output: &TokenSequence) -> Tensor<2> {
        let vectors = match self.pooling {
            Pooling::Mean => output.mean(),
            Pooling::First => output.tokens.clone().narrow(1, 0, 1).squeeze_dim::<2>(1),
        };
        if !self.normalises {
            return vectors;
        }
        // as `torch.nn.functional.normalize`
        let norms = vectors.clone().square().sum_dim(1).sqrt().clamp_min(1e-12);
        vectors / norms
    }

    fn pooling(folder: &PublishedFolder, name: &str) -> Result<Pooling, CheckpointError> {
        let path = folder.path().join(name).join("config.json");
        let settings = match folder.subfolder(name)? {
            Some(pooling) => pooling.json("config.json")?,
            None => None,
        };
        let Some(settings) = settings else {
            return Err(CheckpointError::content(
                &path,
                "itself",
                "the settings of the pooling",
                "no such file",
            ));
        };
        let settings = PublishedConfig::new(&path, settings)?;
        for other in ["max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"] {
            settings.only(&format!("pooling_mode_{other}"), false)?;
        }
        let (mean, first) = (
            settings.flag("pooling_mode_mean_tokens", true)?,
            settings.flag("pooling_mode_cls_token", false)?,
        );
        match (mean, first) {
            (true, false) => Ok(Pooling::Mean),
            (false, true) => Ok(Pooling::First),
            _ => {
                let got = if mean { "both" } else { "neither" };
                Err(settings.wrong("pooling_mode_mean_tokens", "either the mean or the first token", got))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;

    fn settings(value: Value) -> PublishedConfig {
        PublishedConfig::new(Path::new("preprocessor_config.json"), value).expect("an object")
    }

    /// As `openai/clip-vit-base-patch32` has them.
    fn clip() -> Value {
        json!({
            "crop_size": 224, "do_center_crop": true, "do_normalize": true, "do_resize": true,
            "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
            "resample": 3, "size": 224, "feature_extractor_type": "CLIPFeatureExtractor",
        })
    }

    #[test]
    fn the_pictures_of_clip_and_vit_are_read() {
        let read = PictureSettings::read(&settings(clip()), 224).expect("it is implemented");
        assert_eq!(
            (read.resize, read.filter, read.crop_side),
            (Resize::ShorterSide(224), Filter::Bicubic, Some(224))
        );
        let vit = json!({
            "do_normalize": true, "do_resize": true, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
            "size": { "height": 224, "width": 224 }, "resample": 2, "rescale_factor": 0.00392156862745098,
        });
        let read = PictureSettings::read(&settings(vit), 224).expect("it is implemented");
        assert_eq!((read.resize, read.filter, read.crop_side), (Resize::Square(224), Filter::Bilinear, None));
    }

    #[test]
    fn settings_of_another_model_are_told() {
        let told = |key: &str, value: Value| {
            let mut changed = clip();
            changed[key] = value;
            PictureSettings::read(&settings(changed), 224).expect_err("it is another's").to_string()
        };
        assert!(
            told("crop_size", json!(336))
                .ends_with("key `crop_size`: expected 224, the `image_size` of config.json, got 336")
        );
        assert!(told("resample", json!(1)).contains("key `resample`: expected 2 (bilinear) or 3 (bicubic)"));
        assert!(told("do_normalize", json!(false)).contains("key `do_normalize`: expected `true`"));
        assert!(told("image_std", json!([0.5, 0.0, 0.5])).contains("expected numbers above 0"));
        assert!(told("image_mean", json!([0.5])).ends_with("expected three numbers, got [0.5]"));
        assert!(told("rescale_factor", json!(1.0)).contains("expected 1/255"));
        let log_mel = |value| check_log_mel(&settings(value), 80);
        log_mel(json!({ "feature_size": 80, "sampling_rate": 16000, "n_fft": 400, "hop_length": 160 }))
            .expect("Whisper's");
        let other = log_mel(json!({ "feature_size": 128 })).expect_err("of another size").to_string();
        assert!(other.ends_with("key `feature_size`: expected 80, got 128"), "{other}");
        assert!(WaveformSettings::read(&settings(json!({ "sampling_rate": 8000 }))).is_err());
    }

    #[test]
    fn steps_behind_a_sentence_model_are_read_or_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let write = |name: &str, value: Value| {
            std::fs::write(dir.path().join(name), value.to_string()).expect("a file")
        };
        let read = || SentenceSettings::read(&PublishedFolder::open(dir.path()).expect("a folder"));
        assert_eq!(read().expect("no such folder"), None);
        let module = |kind: &str, path: &str| json!({ "type": format!("sentence_transformers.models.{kind}"), "path": path });
        let modules =
            [module("Transformer", ""), module("Pooling", "1_Pooling"), module("Normalize", "2_Normalize")];
        write("modules.json", json!(modules));
        assert!(
            read()
                .expect_err("no pooling")
                .to_string()
                .contains("expected the settings of the pooling, got no such file")
        );
        std::fs::create_dir(dir.path().join("1_Pooling")).expect("a folder");
        write("1_Pooling/config.json", json!({ "pooling_mode_mean_tokens": true }));
        write("sentence_bert_config.json", json!({ "max_seq_length": 256, "do_lower_case": false }));
        let settings = SentenceSettings { pooling: Pooling::Mean, normalises: true, max_tokens: Some(256) };
        assert_eq!(read().expect("it is implemented"), Some(settings));
        write(
            "1_Pooling/config.json",
            json!({ "pooling_mode_mean_tokens": false, "pooling_mode_max_tokens": true }),
        );
        assert!(
            read()
                .expect_err("another")
                .to_string()
                .contains("key `pooling_mode_max_tokens`: expected `false`")
        );
        write("modules.json", json!([modules[0], module("Dense", "1_Dense")]));
        assert!(
            read()
                .expect_err("another")
                .to_string()
                .contains("module 1: expected a Transformer, its Pooling")
        );
        write("modules.json", json!([modules[0], module("Pooling", "../1_Pooling")]));
        assert!(read().is_err());
    }
}
