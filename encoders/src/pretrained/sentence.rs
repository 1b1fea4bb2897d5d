//! How a sentence model makes one vector of a text: the steps that sentence-transformers puts behind an encoder.

use burn::prelude::*;
use serde::{Deserialize, Serialize};

use super::config::PublishedConfig;
use super::error::{CheckpointError, quoted};
use super::folder::PublishedFolder;
use crate::TokenSequence;

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
                    return Err(wrong(format!("module {idx}"), expected, &quoted(kind)));
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
    use serde_json::{Value, json};

    use super::*;

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
