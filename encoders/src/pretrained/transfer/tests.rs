//! In, loaded and out again, with a family made up for it.

use std::fs;

use serde_json::json;

use super::*;
use crate::TextInput;
use crate::layers::cost::CostTree;
use crate::layers::transformer::TransformerConfig;
use crate::pretrained::families::LargestSample;
use crate::pretrained::mapping::Layout;
use crate::text::{TextTransformer, TextTransformerConfig};

struct MadeUp;

impl Family for MadeUp {
    type Config = TextTransformerConfig;
    type Model = TextTransformer;
    const NAME: &'static str = "made-up";
    const ABOUT: &'static str = "no blocks at all";
    const MODEL_TYPES: &'static [&'static str] = &["made_up"];

    fn config(published: &PublishedConfig, _: &Checkpoint) -> Result<Self::Config, CheckpointError> {
        published.only("hidden_act", "gelu")?;
        let mut config = TextTransformerConfig::tiny();
        config.transformer = TransformerConfig { depth: 0, ..config.transformer };
        config.transformer.d_model = published.size("hidden_size", 16)?;
        Ok(config)
    }

    fn init(config: &Self::Config, init: &mut Initializer) -> Result<Self::Model, ConfigError> {
        config.init(11, init)
    }

    fn mapping(_: &Self::Config) -> Mapping {
        let mut mapping = Mapping::new();
        mapping.tensor("embedding.weight", "words", Layout::Transposed);
        mapping.same("positions", "positions");
        mapping.norm("transformer.norm", "norm");
        mapping
    }

    fn n_vocab(_: &Self::Config) -> Option<usize> {
        Some(11)
    }

    fn largest_sample(_: &Self::Config) -> LargestSample {
        LargestSample::default()
    }

    fn cost(_: &Self::Config) -> CostTree {
        CostTree::of(Self::NAME, &[], Vec::new())
    }

    fn check_preprocessing(_: &Self::Config, settings: &PublishedConfig) -> Result<(), CheckpointError> {
        settings.only("lowercase", true)
    }
}

fn fresh(seed: u64) -> TextTransformer {
    let mut config = TextTransformerConfig::tiny();
    config.transformer = TransformerConfig { depth: 0, ..config.transformer };
    config.init(11, &mut Initializer::new(seed, &Device::flex())).expect("the sizes fit")
}

/// A published model, its folder gone when dropped.
fn published() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("published");
    fs::create_dir(&path).expect("a folder");
    MadeUp::mapping(&TextTransformerConfig::tiny())
        .export(&fresh(1), &path.join("model.safetensors"))
        .expect("it is exported");
    fs::write(path.join("config.json"), json!({ "model_type": "made_up" }).to_string()).expect("a file");
    fs::write(path.join("merges.txt"), "a b").expect("a file");
    dir
}

fn take_in(dir: &Path, completeness: Completeness) -> Result<(ImportedFolder, Imported), PretrainedError> {
    let source = PublishedFolder::open(&dir.join("published"))?;
    import::<MadeUp>(&source, &dir.join("imported"), &Import { completeness, seed: 7 })
}

fn outputs(model: &TextTransformer) -> TensorData {
    let ids = Tensor::<2, Int>::from_ints([[1, 4, 9]], &Device::flex());
    let is_pad = Tensor::<2, Bool>::full([1, 3], false, &Device::flex());
    model.forward(&TextInput { ids, is_pad }).tokens.into_data()
}

#[test]
fn a_model_is_taken_in_loaded_and_given_out_without_a_change() {
    let dir = published();
    let (folder, imported) = take_in(dir.path(), Completeness::Whole).expect("it fits");
    assert_eq!((imported.n_parameters, imported.left.len()), (4, 0));
    let (config, model) = load::<MadeUp>(&folder, &Device::flex()).expect("it is whole");
    assert_eq!(config.transformer.depth, 0);
    assert_eq!(outputs(&model), outputs(&fresh(1)));

    let back = dir.path().join("back");
    export::<MadeUp>(&folder, &back).expect("it is exported");
    for name in ["model.safetensors", "merges.txt"] {
        let read = |folder: &str| fs::read(dir.path().join(folder).join(name)).expect("a file");
        assert_eq!(read("back"), read("published"), "{name}");
    }
}

#[test]
fn what_stays_at_random_is_drawn_from_the_seed() {
    let dir = published();
    let config = json!({ "model_type": "made_up", "hidden_size": 8 }).to_string();
    fs::write(dir.path().join("published/config.json"), config).expect("a file");
    let error = take_in(dir.path(), Completeness::Partial).expect_err("nothing has this size");
    assert!(error.to_string().contains("0 of 4 tensors fit, 4 of another shape"), "{error}");
    assert!(!dir.path().join("imported").exists());

    let mut wide = TextTransformerConfig::tiny();
    wide.transformer = TransformerConfig { depth: 0, ..wide.transformer };
    wide.max_tokens = 5;
    let wide = wide.init(11, &mut Initializer::new(1, &Device::flex())).expect("the sizes fit");
    let published = dir.path().join("published");
    MadeUp::mapping(&TextTransformerConfig::tiny())
        .export(&wide, &published.join("model.safetensors"))
        .expect("a file");
    fs::write(published.join("config.json"), json!({ "model_type": "made_up" }).to_string()).expect("a file");
    assert!(take_in(dir.path(), Completeness::Whole).is_err());
    let (folder, imported) = take_in(dir.path(), Completeness::Partial).expect("most fits");
    assert_eq!(imported.left, ["positions"]);
    let (_, model) = load::<MadeUp>(&folder, &Device::flex()).expect("it is whole");
    let parameters = crate::pretrained::mapping::named_values::<TextTransformer>;
    assert_eq!(parameters(&model)["positions"], parameters(&fresh(7))["positions"]);
    assert_eq!(parameters(&model)["embedding.weight"], parameters(&wide)["embedding.weight"]);
}

#[test]
fn settings_that_are_not_implemented_end_an_import() {
    let dir = published();
    let write = |name: &str, value: serde_json::Value| {
        fs::write(dir.path().join("published").join(name), value.to_string()).expect("a file");
    };
    let told = || take_in(dir.path(), Completeness::Whole).expect_err("it is not implemented").to_string();
    write("preprocessor_config.json", json!({ "lowercase": false }));
    assert!(told().ends_with(
        "preprocessor_config.json, key `lowercase`: expected `true`, as only that is implemented, got `false`"
    ));
    write("preprocessor_config.json", json!({}));
    write("config.json", json!({ "hidden_act": "mish" }));
    assert!(told().contains("config.json, key `hidden_act`: expected `gelu`"));
    write("config.json", json!({ "hidden_size": 15 }));
    assert!(told().contains("published: a transformer needs d_model divisible by n_heads"), "{}", told());
}

#[test]
fn a_folder_of_another_family_is_told() {
    let dir = published();
    let (folder, _) = take_in(dir.path(), Completeness::Whole).expect("it fits");
    let manifest = folder.path().join("triptych.json");
    let text = fs::read_to_string(&manifest).expect("a manifest").replace("made-up", "other");
    fs::write(&manifest, text).expect("a file");
    let folder = ImportedFolder::open(folder.path()).expect("it is whole");
    let error = load::<MadeUp>(&folder, &Device::flex()).expect_err("it is another family").to_string();
    assert!(error.ends_with("expected a model of the family made-up, got other"), "{error}");
    let error = crate::pretrained::families::FamilyEntry::of_imported(&folder)
        .expect_err("it is unknown")
        .to_string();
    assert!(error.ends_with("got `other`"), "{error}");
}
