//! Several corpora in one experiment, mixed by weight.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use triptych_datasets::loader::{Fill, LengthOf, Selection, Stream};
use triptych_datasets::shard::PART_TAG;

use super::{ConfigError, CorpusConfig, ExperimentConfig, Resolved};

/// One of several prepared folders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightedFolder {
    /// The folder, with an `index.json`.
    pub folder: PathBuf,
    /// Its share of the training rows, relative to the others'.
    #[serde(default = "equal_weight")]
    pub weight: f64,
    /// What it is called; the folder's own name where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

fn equal_weight() -> f64 {
    1.0
}

impl WeightedFolder {
    /// What it is called.
    pub fn name(&self) -> String {
        let own = || self.folder.file_name().map(|name| name.to_string_lossy().into_owned());
        self.name.clone().or_else(own).unwrap_or_default()
    }
}

impl CorpusConfig {
    /// What the loader of training batches mixes.
    pub(super) fn streams(&self) -> Vec<Stream> {
        let Self::Folders(folders) = self else { return Vec::new() };
        let stream = |folder: &WeightedFolder| Stream {
            select: Selection::default().with_tag(PART_TAG, [folder.name()]),
            weight: folder.weight,
        };
        folders.iter().map(stream).collect()
    }
}

/// Checks what is mixed, and when a batch is full.
pub(super) fn check_mixture(resolved: &Resolved<ExperimentConfig>) -> Result<(), ConfigError> {
    let data = &resolved.value.data;
    if let CorpusConfig::Folders(folders) = &data.corpus {
        let names: Vec<String> = folders.iter().map(WeightedFolder::name).collect();
        let is_distinct =
            (0..names.len()).all(|idx| !names[idx].is_empty() && !names[..idx].contains(&names[idx]));
        // a corpus from a store is kept under its name in the run's folder
        let is_plain = |name: &String| !name.contains(['/', '\\']) && name != "..";
        if folders.is_empty() || !is_distinct || !names.iter().all(is_plain) {
            return Err(resolved.reject(
                "data.corpus.folders",
                "at least one folder, each with a `name` of its own where the folders' own names are the same",
            ));
        }
        if folders.iter().any(|folder| !(folder.weight.is_finite() && folder.weight > 0.0)) {
            return Err(resolved.reject("data.corpus.folders", "with weights above 0"));
        }
    }
    let implied = match data.fill {
        Fill::Rows => data.bucket,
        Fill::Seconds(seconds) if !(seconds.is_finite() && seconds > 0.0) => {
            return Err(resolved.reject("data.fill", "seconds above 0"));
        }
        Fill::Tokens(0) => return Err(resolved.reject("data.fill", "at least 1 token")),
        Fill::Seconds(_) => Some(LengthOf::Audio),
        Fill::Tokens(_) => Some(LengthOf::Text),
    };
    if data.bucket.is_some() && data.bucket != implied {
        return Err(resolved.reject("data.bucket", "what `data.fill` counts, or left out"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use triptych_datasets::sample::Split;

    use super::super::experiment;
    use super::*;

    fn read(overrides: &[&str]) -> Result<Resolved<ExperimentConfig>, String> {
        let overrides = overrides.iter().map(ToString::to_string).collect::<Vec<_>>();
        experiment("quickstart", &overrides).map_err(|error| error.to_string())
    }

    const TWO: &str =
        "data.corpus.folders=[{ folder = \"a/pets\", weight = 3 }, { folder = \"s3://b/photos\" }]";

    #[test]
    fn configs_without_a_mixture_resolve_as_before() {
        let resolved = read(&[]).expect("it is built in");
        let new = ["data.texts", "data.fill", "data.bucket"];
        assert!(resolved.origins.iter().all(|setting| !new.contains(&setting.key.as_str())));
        let loader = resolved.value.training_loader();
        assert_eq!((loader.streams, loader.fill, loader.bucket), (Vec::new(), Fill::Rows, None));
    }

    #[test]
    fn mixtures_become_streams_and_resolve_to_themselves() {
        let resolved =
            read(&[TWO, "data.fill={ seconds = 60 }", "data.texts=\"any\""]).expect("they are sound");
        let loader = resolved.value.training_loader();
        let weights: Vec<f64> = loader.streams.iter().map(|stream| stream.weight).collect();
        assert_eq!((weights, loader.fill), (vec![3.0, 1.0], Fill::Seconds(60.0)));
        assert_eq!(loader.select, [Selection::of_split(Split::Train)]);
        let photos = &loader.streams[1].select.tags[PART_TAG];
        assert_eq!(photos, &["photos"]);
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("config.toml");
        std::fs::write(&path, &resolved.toml).expect("the folder is writable");
        let again = experiment(&path.display().to_string(), &[]).expect("it is complete");
        assert_eq!(again.value, resolved.value);
    }

    #[test]
    fn impossible_mixtures_are_refused() {
        let same = "data.corpus.folders=[{ folder = \"a/pets\" }, { folder = \"b/pets\" }]";
        for (overrides, expected) in [
            (vec![same], "data.corpus.folders"),
            (vec!["data.corpus.folders=[]"], "data.corpus.folders"),
            (vec!["data.corpus.folders=[{ folder = \"a\", name = \"../b\" }]"], "data.corpus.folders"),
            (vec!["data.corpus.folders=[{ folder = \"a\", weight = 0 }]"], "data.corpus.folders"),
            (vec!["data.fill={ tokens = 0 }"], "data.fill"),
            (vec!["data.fill={ seconds = -1.0 }"], "data.fill"),
            (vec!["data.fill={ tokens = 900 }", "data.bucket=\"audio\""], "data.bucket"),
            (vec!["data.fill=\"litres\""], "data.fill"),
        ] {
            let message = read(&overrides).map(|_| ()).expect_err("it is impossible");
            assert!(message.contains(expected), "{overrides:?}: {message}");
        }
        let named = "data.corpus.folders=[{ folder = \"a/pets\" }, { folder = \"b/pets\", name = \"b\" }]";
        assert!(read(&[named]).is_ok());
    }
}
