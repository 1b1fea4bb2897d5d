//! What a user sees of configs: layers, places, suggestions.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use triptych::configuration::{ConfigError, ExperimentConfig, Resolved, experiment, resolve};
use triptych::diagnostic::render;
use triptych_fusion::backbone::FusionKind;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Experiment {
    name: String,
    #[serde(default)]
    seed: u64,
    train: Train,
    #[serde(default)]
    optimizer: Optimizer,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Train {
    n_steps: u32,
    #[serde(default = "default_lr")]
    lr: f32,
    #[serde(default)]
    ema: Option<f64>,
    #[serde(default)]
    styles: Vec<String>,
    #[serde(default)]
    is_shuffled: bool,
}

fn default_lr() -> f32 {
    1e-3
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Optimizer {
    #[default]
    Sgd,
    Adamw {
        beta: f64,
    },
    Lion {
        decay: f64,
    },
}

const GOOD: &str = "\
# a small one
name = \"small\"

[train]
n_steps = 1_000
styles = [\"noto\", \"openmoji\"]
";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn read(folder: &Path, name: &str, overrides: &[&str]) -> Result<Resolved<Experiment>, ConfigError> {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    resolve(folder.join(name).to_str().unwrap(), &overrides)
}

/// The message about one file, the folder's name taken out.
fn complaint(text: &str, overrides: &[&str]) -> String {
    complaint_about(&[("a.toml", text)], "a.toml", overrides)
}

fn complaint_about(files: &[(&str, &str)], name: &str, overrides: &[&str]) -> String {
    let folder = folder(files);
    let error = read(folder.path(), name, overrides).expect_err("should not resolve");
    shown(&error, folder.path())
}

fn shown(error: &ConfigError, folder: &Path) -> String {
    render(error, false).replace(&format!("{}/", folder.display()), "")
}

fn explained(resolved: &Resolved<Experiment>, folder: &Path) -> String {
    let lines: Vec<String> =
        resolved.origins.iter().map(|s| format!("{} = {}  # {}", s.key, s.value, s.origin)).collect();
    lines.join("\n").replace(&format!("{}/", folder.display()), "")
}

#[test]
fn a_misspelt_key_is_shown_with_its_place_and_the_nearest_key() {
    assert_snapshot!(complaint(&GOOD.replace("n_steps", "n_step"), &[]), @r#"
    error: unknown key `n_step` in `train`
       ╭─[a.toml:5:1]
     4 │ [train]
     5 │ n_step = 1_000
       · ───┬──
       ·    ╰── did you mean `n_steps`?
     6 │ styles = ["noto", "openmoji"]
       ╰────
      hint: valid here: n_steps, lr, ema, styles, is_shuffled
    "#);
}

#[test]
fn a_misspelt_override_is_shown_as_it_was_typed() {
    assert_snapshot!(complaint(GOOD, &["train.learning_rate=3e-4"]), @r"
    error: unknown key `learning_rate` in `train`
       ╭─[--set:1:7]
     1 │ train.learning_rate=3e-4
       ·       ──────┬──────
       ·             ╰── not known
       ╰────
      hint: valid here: n_steps, lr, ema, styles, is_shuffled
    ");
}

#[test]
fn a_wrong_type_is_shown_with_what_was_expected_and_got() {
    assert_snapshot!(complaint(&GOOD.replace("1_000", "\"many\""), &[]), @r#"
    error: `train.n_steps` must be a whole number from 0 to 4294967295, got the string "many"
       ╭─[a.toml:5:11]
     4 │ [train]
     5 │ n_steps = "many"
       ·           ───┬──
       ·              ╰── expected a whole number from 0 to 4294967295
     6 │ styles = ["noto", "openmoji"]
       ╰────
    "#);
}

#[test]
fn a_wrong_item_of_an_array_is_shown_by_itself() {
    assert_snapshot!(complaint(&GOOD.replace("\"openmoji\"", "7"), &[]), @r#"
    error: `train.styles[1]` must be a string, got `7`
       ╭─[a.toml:6:19]
     5 │ n_steps = 1_000
     6 │ styles = ["noto", 7]
       ·                   ┬
       ·                   ╰── expected a string
       ╰────
    "#);
}

#[test]
fn a_number_out_of_range_is_shown_with_the_range() {
    assert_snapshot!(complaint(GOOD, &["train.n_steps=-5"]), @r"
    error: `train.n_steps` must be a whole number from 0 to 4294967295, got `-5`
       ╭─[--set:1:15]
     1 │ train.n_steps=-5
       ·               ─┬
       ·                ╰── expected a whole number from 0 to 4294967295
       ╰────
    ");
}

#[test]
fn a_number_too_large_for_a_float_is_no_infinity() {
    let folder = folder(&[("a.toml", GOOD)]);
    let error = read(folder.path(), "a.toml", &["train.lr=1e999"]).expect_err("too large");
    assert_eq!(error.to_string(), "`train.lr` must be a number, got the string \"1e999\"");
    assert_eq!(read(folder.path(), "a.toml", &["train.lr=inf"]).unwrap().value.train.lr, f32::INFINITY);
}

#[test]
fn a_missing_key_is_shown_at_its_table() {
    assert_snapshot!(complaint("name = \"small\"\n\n[train]\nlr = 0.1\n", &[]), @r"
    error: missing key `n_steps` in `train`
       ╭─[a.toml:3:1]
     2 │ 
     3 │ [train]
       · ───┬───
       ·    ╰── expected here
     4 │ lr = 0.1
       ╰────
      hint: add it to the file or give `--set train.n_steps=...`
    ");
}

#[test]
fn an_unknown_variant_is_shown_with_the_known_ones() {
    assert_snapshot!(complaint(GOOD, &["optimizer=adam"]), @r"
    error: `optimizer` cannot be `adam`
       ╭─[--set:1:11]
     1 │ optimizer=adam
       ·           ──┬─
       ·             ╰── did you mean `adamw`?
       ╰────
      hint: one of: sgd, adamw, lion
    ");
}

#[test]
fn broken_toml_is_shown_where_it_breaks() {
    assert_snapshot!(complaint(&GOOD.replace("[train]", "[train"), &[]), @r"
    error: this is not valid TOML
       ╭─[a.toml:4:7]
     3 │ 
     4 │ [train
       ·       ▲
       ·       ╰── unclosed table, expected `]`
     5 │ n_steps = 1_000
       ╰────
    ");
}

#[test]
fn an_override_without_a_value_is_told() {
    assert_snapshot!(complaint(GOOD, &["train.lr"]), @r"
    error: `--set` takes `key=value`
       ╭─[--set:1:1]
     1 │ train.lr
       · ────┬───
       ·     ╰── expected an `=`
       ╰────
      hint: for example `--set train.steps=200`
    ");
}

#[test]
fn an_override_with_a_broken_value_is_told() {
    assert_snapshot!(complaint(GOOD, &["train.styles=[1, 2"]), @r"
    error: `--set` takes a key and a value in TOML's syntax
       ╭─[--set:1:14]
     1 │ train.styles=[1, 2
       ·              ──┬──
       ·                ╰── unclosed array, expected `]`
       ╰────
    ");
}

#[test]
fn a_circle_of_configs_is_told_with_its_members() {
    let files = [("a.toml", "extends = \"b.toml\"\n"), ("b.toml", "extends = \"./a.toml\"\n")];
    assert_snapshot!(complaint_about(&files, "a.toml", &[]), @r#"
    error: configs extend each other in a circle: a.toml -> b.toml -> a.toml
       ╭─[b.toml:1:11]
     1 │ extends = "./a.toml"
       ·           ─────┬────
       ·                ╰── closes the circle
       ╰────
      hint: let one of them stand alone
    "#);
}

#[test]
fn a_missing_base_is_told_where_it_is_named() {
    assert_snapshot!(complaint("extends = \"base.toml\"\n", &[]), @r#"
    error: cannot read config base.toml: No such file or directory (os error 2)
       ╭─[a.toml:1:11]
     1 │ extends = "base.toml"
       ·           ─────┬─────
       ·                ╰── extended here
       ╰────
    "#);
}

#[test]
fn a_missing_file_is_told() {
    assert_snapshot!(complaint_about(&[], "a.toml", &[]), @r"
    error: cannot read config a.toml: No such file or directory (os error 2)
      hint: `triptych config list` names the built-in configs
    ");
}

#[test]
fn a_name_that_is_not_built_in_is_told() {
    let error = resolve::<toml::Table>("no-such-experiment", &[]).expect_err("no such config");
    assert_eq!(error.to_string(), "there is no built-in config `no-such-experiment`");
}

#[test]
fn every_value_is_explained_by_its_place() {
    let child = "\
extends = \"../base.toml\"
seed = 7

[train]
styles = [\"twemoji\"]

[optimizer.lion]
decay = 0.1
";
    let base = format!("{GOOD}\n[optimizer.adamw]\nbeta = 0.9\n");
    let folder = folder(&[("base.toml", &base), ("mine/child.toml", child)]);
    let resolved = read(folder.path(), "mine/child.toml", &["train.ema=0.99", "name=other"]).unwrap();
    assert_snapshot!(explained(&resolved, folder.path()), @r#"
    name = "other"  # --set
    seed = 7  # mine/child.toml:2:8
    train.n_steps = 1000  # base.toml:5:11
    train.lr = 0.001  # default
    train.ema = 0.99  # --set
    train.styles = ["twemoji"]  # mine/child.toml:5:10
    train.is_shuffled = false  # default
    optimizer.lion.decay = 0.1  # mine/child.toml:8:9
    "#);
    assert_snapshot!(resolved.toml, @r#"
    name = "other"
    seed = 7

    [train]
    n_steps = 1000
    lr = 0.001
    ema = 0.99
    styles = ["twemoji"]
    is_shuffled = false

    [optimizer.lion]
    decay = 0.1
    "#);
    assert_eq!(resolved.value.optimizer, Optimizer::Lion { decay: 0.1 });
}

#[test]
fn an_impossible_value_is_shown_where_it_was_set() {
    let folder = folder(&[("a.toml", GOOD)]);
    let resolved = read(folder.path(), "a.toml", &[]).unwrap();
    assert_snapshot!(shown(&resolved.reject("train.n_steps", "a multiple of 64"), folder.path()), @r#"
    error: `train.n_steps` must be a multiple of 64, got 1000
       ╭─[a.toml:5:11]
     4 │ [train]
     5 │ n_steps = 1_000
       ·           ──┬──
       ·             ╰── expected a multiple of 64
     6 │ styles = ["noto", "openmoji"]
       ╰────
    "#);
    assert_snapshot!(shown(&resolved.reject("train.lr", "below 1e-4 with this optimizer"), folder.path()), @r"
    error: `train.lr` must be below 1e-4 with this optimizer, got 0.001, its default
       ╭─[a.toml:4:1]
     3 │ 
     4 │ [train]
       · ───┬───
       ·    ╰── expected below 1e-4 with this optimizer
     5 │ n_steps = 1_000
       ╰────
    ");
}

#[test]
fn the_position_counts_lines_and_characters_from_one() {
    let folder = folder(&[("a.toml", &GOOD.replace("\"openmoji\"", "\"ö\", 7"))]);
    let Err(ConfigError::Located(problem)) = read(folder.path(), "a.toml", &[]) else {
        panic!("the array holds a number");
    };
    let (name, line, column) = problem.position();
    assert!(name.ends_with("a.toml"), "{name}");
    assert_eq!((line, column), (6, 24));
}

#[test]
fn overrides_take_bare_words_and_toml_values_and_the_last_one_counts() {
    let folder = folder(&[("a.toml", GOOD)]);
    let overrides =
        ["name=two words", "train.lr=1", "train.lr=2e-3", "train.styles=['x']", "train.is_shuffled=true"];
    let value = read(folder.path(), "a.toml", &overrides).unwrap().value;
    assert_eq!(value.name, "two words");
    assert_eq!(value.train.lr, 2e-3);
    assert_eq!(value.train.styles, ["x"]);
    assert!(value.train.is_shuffled);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_resolved_config_resolves_to_itself(
        name in ".*",
        seed in 0..u64::MAX,
        n_steps in any::<u32>(),
        lr in any::<f32>().prop_filter("a number", |lr| !lr.is_nan()),
        ema in any::<Option<f64>>().prop_filter("a number", |ema| !ema.is_some_and(f64::is_nan)),
        styles in proptest::collection::vec(".*", 0..3),
    ) {
        let train = Train { n_steps, lr, ema, styles, is_shuffled: false };
        let config = Experiment { name, seed, train, optimizer: Optimizer::Adamw { beta: 0.5 } };
        let folder = folder(&[]);
        fs::write(folder.path().join("a.toml"), toml::to_string(&config).unwrap()).unwrap();
        let once = read(folder.path(), "a.toml", &[]).unwrap();
        prop_assert_eq!(&once.value, &config);
        fs::write(folder.path().join("b.toml"), &once.toml).unwrap();
        let twice = read(folder.path(), "b.toml", &[]).unwrap();
        prop_assert_eq!(&twice.value, &config);
        prop_assert_eq!(twice.fingerprint(), once.fingerprint());
    }
}

fn quickstart_with(overrides: &[&str]) -> Result<Resolved<ExperimentConfig>, ConfigError> {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    experiment("quickstart", &overrides)
}

#[test]
fn an_experiment_names_the_sizes_of_its_encoders() {
    let config =
        quickstart_with(&["model.vision.vit=Ti/16", "model.text.bert=mini", "model.audio.conformer=small"]);
    let model = config.expect("known names").value.model;
    let widths = [
        model.text.map(|text| text.d_model()),
        model.vision.map(|vision| vision.d_model()),
        model.audio.map(|audio| audio.d_model()),
    ];
    assert_eq!(widths, [Some(256), Some(192), Some(144)]);
    let error = quickstart_with(&["model.vision.resnet=51"]).expect_err("there is none of that depth");
    assert!(render(&error, false).contains("`model.vision.resnet`"), "{}", render(&error, false));
    let error = quickstart_with(&["model.vision.vit=B/17"]).expect_err("there is none of that patch");
    assert!(render(&error, false).contains("did you mean `B/16`?"), "{}", render(&error, false));
}

#[test]
fn encoders_and_the_data_they_read_must_fit() {
    let waveform = "model.audio.wav2vec2=base";
    let error = quickstart_with(&[waveform]).expect_err("log-mel frames are no waveform");
    let shown = render(&error, false);
    assert!(shown.contains("`data.audio.features`") && shown.contains("waveform"), "{shown}");
    let dropout = "model.vision.vit.patch_dropout=0.5";
    let error = quickstart_with(&[dropout]).expect_err("masked_image predicts what is left out");
    assert!(render(&error, false).contains("masked_image"), "{}", render(&error, false));
}

#[test]
fn objectives_that_read_every_token_refuse_a_resampled_input() {
    let resampled = "model.fusion.resample.audio={ n_latents = 4, transformer = { d_model = 64, depth = 1, n_heads = 2 } }";
    let error = quickstart_with(&[resampled]).expect_err("masked_audio predicts at every token");
    let shown = render(&error, false);
    assert!(shown.contains("without `model.fusion.resample.audio`"), "{shown}");
    assert!(shown.contains("it reads every token of audio"), "{shown}");
    let without = ["objectives.masked_audio.weight=0", "objectives.ctc.weight=0", resampled];
    let config = quickstart_with(&without).expect("nothing reads every token of a sound").value;
    assert_eq!(config.model.fusion.resample.audio.map(|resampler| resampler.n_latents), Some(4));
}

#[test]
fn a_backbone_of_an_unknown_kind_is_shown_with_the_known_ones() {
    let config = quickstart_with(&["model.fusion.kind=co_attention"]).expect("a known kind").value;
    assert_eq!(config.model.fusion.kind, FusionKind::CoAttention);
    let error = quickstart_with(&["model.fusion.kind=coattention"]).expect_err("it is misspelt");
    let shown = render(&error, false);
    assert!(
        shown.contains("`model.fusion.kind`") && shown.contains("did you mean `co_attention`?"),
        "{shown}"
    );
}

#[test]
fn an_objective_takes_the_options_that_it_has_and_no_others() {
    let resolved = quickstart_with(&["objectives.caption.label_smoothing=0.2"]).expect("it has this option");
    let schedule = &resolved.value.objectives["caption"];
    let objective = schedule.objective("caption").expect("it is registered");
    assert_eq!(objective.options()["label_smoothing"], 0.2);
    // a config that is written down and read again says the same
    let again: ExperimentConfig = toml::from_str(&resolved.toml).expect("it was just written");
    assert_eq!(again, resolved.value);

    let shown = |setting| render(&quickstart_with(&[setting]).expect_err("it makes no sense"), false);
    let error = shown("objectives.caption.label_smothing=0.2");
    assert!(error.contains("did you mean `label_smoothing`?") && error.contains("weight"), "{error}");
    let error = shown("objectives.caption.label_smoothing=1.5");
    assert!(
        error.contains("`objectives.caption.label_smoothing` must be at least 0 and below 1, got 1.5"),
        "{error}"
    );
    let error = shown("objectives.caption.label_smoothing=much");
    assert!(error.contains("must be a value like 0.1, its default"), "{error}");
    let error = shown("objectives.ctc.weight=much");
    assert!(error.contains("`objectives.ctc.weight` must be a number"), "{error}");
}

#[test]
fn an_objective_that_the_model_has_no_head_for_is_refused() {
    let shown = |settings: &[&str]| {
        let error = quickstart_with(settings).expect_err("the model lacks something");
        render(&error, false)
    };
    let error = shown(&["objectives.masked_autoencoder.weight=1"]);
    assert!(
        error.contains("`objectives.masked_autoencoder` must be left out, or the model given"),
        "{error}"
    );
    assert!(error.contains("`model.patch_decoder`"), "{error}");
    let error = shown(&["objectives.masked_audio_codes.weight=1"]);
    assert!(error.contains("`model.audio_codes`"), "{error}");
    let error = shown(&["objectives.ctc.intermediate=[0, 2]"]);
    assert!(error.contains("blocks below the last of the 2"), "{error}");
    let decoder = "model.patch_decoder={ d_model = 64, depth = 1, n_heads = 2 }";
    let whole = [
        decoder,
        "model.audio_codes=512",
        "objectives.masked_autoencoder.weight=1",
        "objectives.masked_audio_codes.weight=1",
        "objectives.ctc.intermediate=[0, 1]",
        "objectives.joint_masking.weight=1",
    ];
    quickstart_with(&whole).expect("everything that is needed is there");
}
