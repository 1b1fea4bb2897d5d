//! Runs that start from published weights or from another run, with parts that stay as they start.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use triptych::run::checkpoint;
use triptych_encoders::pretrained::{Checkpoint, PublishedFolder};

use crate::fixture::{Desk, assert_same_end, checkpoint_path};

/// Sizes, tokenizer and preprocessing come with the weights.
const STARTING: &str = r#"
extends = "tiny.toml"

[start]
text = "clip"
vision = "clip"
audio = "whisper"

[data]
max_text_tokens = 8

[model]
temperature = 0.1

[train]
freeze = ["vision.*", "text.*.words.*"]
lr_ratios = { "text.*" = 0.1 }
"#;

fn golden(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../encoders/tests/golden/published").join(family)
}

/// A golden model's folder, to which words, and settings of pictures are added.
fn publish(desk: &Desk, family: &str) {
    let folder = desk.path(family);
    fs::create_dir(&folder).unwrap();
    for file in fs::read_dir(golden(family)).unwrap().flatten() {
        fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
    let special = |id: u32, content: &str| {
        json!({
            "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        })
    };
    let mut words = (0..38).map(|id| (format!("w{id}"), json!(id))).collect::<serde_json::Map<_, _>>();
    for (idx, word) in ["red", "heart", "face", "with", "a"].into_iter().enumerate() {
        words.remove(&format!("w{}", idx + 5));
        words.insert(word.to_owned(), json!(idx + 5));
    }
    words.insert("<begin>".to_owned(), json!(38));
    words.insert("<end>".to_owned(), json!(39));
    let mark = |mark: &str| json!({ "SpecialToken": { "id": mark, "type_id": 0 } });
    let text = |id: &str| json!({ "Sequence": { "id": id, "type_id": 0 } });
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [special(38, "<begin>"), special(39, "<end>")],
        "normalizer": { "type": "Lowercase" }, "pre_tokenizer": { "type": "Whitespace" },
        "post_processor": {
            "type": "TemplateProcessing", "single": [mark("<begin>"), text("A"), mark("<end>")],
            "pair": [text("A"), text("B")],
            "special_tokens": {
                "<begin>": { "id": "<begin>", "ids": [38], "tokens": ["<begin>"] },
                "<end>": { "id": "<end>", "ids": [39], "tokens": ["<end>"] },
            },
        },
        "decoder": null,
        "model": { "type": "WordLevel", "vocab": words, "unk_token": "w0" },
    });
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    if family != "whisper" {
        let settings = json!({
            "do_resize": true, "do_center_crop": true, "do_normalize": true, "size": { "shortest_edge": 12 },
            "crop_size": 12, "resample": 3, "image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28],
        });
        fs::write(folder.join("preprocessor_config.json"), settings.to_string()).unwrap();
    }
}

fn desk() -> Desk {
    let desk = Desk::new();
    publish(&desk, "clip");
    publish(&desk, "whisper");
    fs::write(desk.path("starting.toml"), STARTING).unwrap();
    desk
}

fn model(run: &Path) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let last = checkpoint::latest(&run.join("checkpoints")).unwrap().unwrap();
    let tensors = last.tensors.into_iter();
    tensors.map(|(name, tensor)| (name, (tensor.shape, tensor.data))).collect()
}

#[test]
fn a_training_starts_from_published_towers_and_needs_them_no_more() {
    let desk = desk();
    desk.succeed(&["train", "starting.toml", "--out", "run", "--quiet"]);
    let published = Checkpoint::open(&PublishedFolder::open(&golden("clip")).unwrap()).unwrap();
    let trained = model(&desk.path("run"));
    let class = published.read("vision_model.embeddings.class_embedding").unwrap();
    assert_eq!(trained["model/vision.Vit.class"].1, class);
    // what is frozen has no moments and no average
    assert!(
        !trained.keys().any(|name| name.starts_with("first/vision") || name.starts_with("average/vision"))
    );
    // the published order of words under our numbers: begin, end, then word by word; padding is the published one
    let words = published.read("text_model.embeddings.token_embedding.weight").unwrap();
    let (shape, ours) = &trained["model/text.Clip.words.weight"];
    assert_eq!(shape, &[42, 16]);
    let row = |values: &[f32], id: usize| values[id * 16..(id + 1) * 16].to_vec();
    for (ours_id, published_id) in [(0, 0), (1, 38), (2, 39), (4, 0), (5, 1), (6, 2), (41, 37)] {
        assert_eq!(row(ours, ours_id), row(&words, published_id), "{ours_id}");
    }
    // what is trained has moved, though not far
    let norm = published.read("text_model.final_layer_norm.weight").unwrap();
    let moved = &trained["model/text.Clip.transformer.norm.gamma"].1;
    assert!(moved != &norm && moved.iter().zip(&norm).all(|(a, b)| (a - b).abs() < 0.05));
    let started: Value = serde_json::from_slice(&fs::read(desk.path("run/start.json")).unwrap()).unwrap();
    let keys = started.as_array().unwrap().iter().map(|entry| entry["key"].as_str().unwrap());
    assert_eq!(keys.collect::<Vec<_>>(), ["text", "vision", "audio", "text and vision"]);

    fs::remove_dir_all(desk.path("clip")).unwrap();
    fs::remove_dir_all(desk.path("whisper")).unwrap();
    desk.succeed(&["evaluate", "run", "--quiet"]);
    let described = desk.succeed(&["model", "describe", "run"]);
    let line = |name: &str| described.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert!(line("├ vision ").ends_with(" all") && line("words").ends_with(" all"), "{described}");
    let whole = line("model ");
    assert!(whole.ends_with('%') && line("├ text ").ends_with('%'), "{described}");
    // the same run from its own config, which holds all that the weights brought
    desk.succeed(&["train", "run/config.toml", "--out", "run", "--quiet"]);
}

#[test]
fn a_run_with_frozen_parts_goes_on_bit_for_bit() {
    let desk = desk();
    desk.succeed(&["train", "starting.toml", "--out", "whole", "--quiet"]);
    desk.succeed(&["train", "starting.toml", "--out", "again", "--quiet"]);
    fs::remove_file(checkpoint_path(&desk.path("again"), 24)).unwrap();
    desk.succeed(&["train", "starting.toml", "--out", "again", "--quiet"]);
    assert_same_end(&desk.path("whole"), &desk.path("again"));
}

#[test]
fn a_run_starts_from_another_and_says_what_stays_random() {
    let desk = Desk::new();
    let first = desk.trained("first");
    let text = "extends = \"tiny.toml\"\n[start]\nrun = \"first\"\n[model.heads]\nmatching = true\n[train]\nfreeze = [\"*\"]";
    fs::write(desk.path("second.toml"), text.replace("[\"*\"]", "[\"text.*\"]")).unwrap();
    let output = desk.run(&["train", "second.toml", "--out", "second"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("parameters from first, 2 stay random, such as matching."), "{said}");
    let (first, second) = (model(&first), model(&desk.path("second")));
    let name = "text.Transformer.embedding.weight";
    // the average is what is taken over
    assert_eq!(first[&format!("average/{name}")], second[&format!("model/{name}")]);
    let tokenizer = |run: &str| fs::read(desk.path(run).join("tokenizer.json")).unwrap();
    assert_eq!(tokenizer("first"), tokenizer("second"));
    let nowhere = desk.fail(1, &["train", "second.toml", "--out", "third", "--set", "start.run=nowhere"]);
    assert!(nowhere.contains("nowhere is not a run: it has no config.toml"), "{nowhere}");
    let other = desk.fail(1, &["train", "second.toml", "--out", "fourth", "--set", "model.d_embedding=24"]);
    assert!(
        other.contains("`start.run`: first: parameter retrieval.meaning.0.weight: expected [16, 24], got"),
        "{other}"
    );
}

#[test]
fn what_does_not_fit_published_weights_is_told_where_it_stands() {
    let desk = desk();
    let train = |set: &[&str]| {
        let mut arguments = vec!["train", "starting.toml", "--out", "run", "--quiet"];
        set.iter().for_each(|set| arguments.extend(["--set", set]));
        let output = desk.run(&arguments);
        assert!(!output.status.success() && !desk.path("run/start.json").exists(), "{set:?}");
        let _ = fs::remove_dir_all(desk.path("run"));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let says = |set: &[&str], expected: &str| {
        let said = train(set);
        let words = said.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
        assert!(words.contains(expected), "{set:?}: {said}");
    };
    says(
        &["data.image.mean=[0.5,0.5,0.5]"],
        "`data.image.mean` must be [0.48, 0.46, 0.41], which the weights of clip were trained with, got [0.5, 0.5, 0.5]",
    );
    says(&["data.tokenizer=bpe"], "`data.tokenizer` must be \"published\", which the weights of clip");
    says(&["data.audio.n_mels=80"], "`data.audio.n_mels` must be 8, which the weights of whisper");
    says(&["data.max_text_tokens=11"], "at most 10");
    says(
        &["start.text=whisper"],
        "expected a model with an encoder for texts: bert, clip, siglip, got whisper",
    );
    says(&["start.audio=clip"], "expected a model with an encoder for sounds: whisper, wav2vec2, got clip");
    says(&["start.vision=nowhere"], "`start.vision`: cannot open nowhere");
    says(&["data.image.side=14"], "multiple");
    says(&["train.freeze=[\"txt.*\"]"], "`train.freeze`: expected a pattern of some of the model's");
    says(&["model.text.clip.transformer.depth=3"], "parameter text.Clip.transformer.blocks.2.");
    says(&["train.lr_ratios.\"text.*\"=-1"], "0 to 1000");
    fs::remove_file(desk.path("clip/tokenizer.json")).unwrap();
    says(&[], "file `tokenizer.json`: expected the model's tokenizer, got none");
    // and the other way about
    let without = desk.fail(2, &["train", "tiny.toml", "--out", "run", "--set", "data.tokenizer=published"]);
    assert!(without.contains("start.text"), "{without}");
}
