//! What a published model wants done to pictures and sounds: its `preprocessor_config.json`.

use serde::{Deserialize, Serialize};

use super::config::PublishedConfig;
use super::error::CheckpointError;

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
}
