//! Published models of every family, taken in and run beside `transformers`; `golden/published.py` made them.

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::prelude::*;
use burn::tensor::Gradients;
use serde_json::Value;
use triptych_encoders::pretrained::families::{
    BertFamily, ClipFamily, Family, FamilyEntry, SiglipFamily, VitFamily, Wav2vec2Family, WhisperFamily,
};
use triptych_encoders::pretrained::mapping::Completeness;
use triptych_encoders::pretrained::{
    Checkpoint, Import, ImportedFolder, ModelFolder, PublishedFolder, export, import, load,
};
use triptych_encoders::{AudioInput, ImageInput, TextInput};

/// How far outputs may lie from those of `transformers`, whose values are about 1: another order of sums in float32.
const OUTPUT_TOLERANCE: f32 = 1e-5;

/// The same of gradients, in which more is summed.
const GRADIENT_TOLERANCE: f32 = 1e-4;

fn golden(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/published").join(family)
}

/// What a family's model computes.
struct Expected(Value);

impl Expected {
    fn of(family: &str) -> Self {
        let text = fs::read_to_string(golden(family).join("expected.json")).expect("the golden file");
        Self(serde_json::from_str(&text).expect("JSON"))
    }

    fn shape(&self, key: &str) -> Vec<usize> {
        let shape = self.0[key]["shape"].as_array().expect("a shape").iter();
        shape.map(|length| length.as_u64().expect("a length") as usize).collect()
    }

    fn values(&self, key: &str) -> Vec<f32> {
        let values = self.0[key]["values"].as_array().expect("values").iter();
        values.map(|value| value.as_f64().expect("a number") as f32).collect()
    }

    fn tensor<const D: usize>(&self, key: &str, device: &Device) -> Tensor<D> {
        Tensor::from_data(TensorData::new(self.values(key), self.shape(key)), device)
    }

    fn numbers(&self, key: &str) -> Tensor<2, Int> {
        let rows: Vec<Vec<i64>> = serde_json::from_value(self.0[key].clone()).expect("rows of numbers");
        let shape = [rows.len(), rows[0].len()];
        Tensor::from_data(TensorData::new(rows.concat(), shape), &Device::flex())
    }

    /// `ids`, and `mask` where there is one.
    fn text(&self) -> TextInput {
        let ids = self.numbers("ids");
        let is_pad = match self.0["mask"].is_null() {
            true => Tensor::full(ids.dims(), false, &Device::flex()),
            false => self.numbers("mask").equal_elem(0),
        };
        TextInput { ids, is_pad }
    }

    /// The first of the values of `pixels` as a picture of 2 x 4 patches, where the models were made for 3 x 3.
    fn other_size(&self, device: &Device) -> ImageInput {
        let values = self.values("pixels")[..3 * 8 * 16].to_vec();
        let pixels = Tensor::<4>::from_data(TensorData::new(values, [1, 3, 8, 16]), device);
        ImageInput { pixels: pixels.permute([0, 2, 3, 1]) }
    }

    fn assert_near<const D: usize>(&self, key: &str, got: Tensor<D>, tolerance: f32) {
        assert_eq!(got.dims().to_vec(), self.shape(key), "{key}");
        let got = got.into_data().try_to_vec::<f32>().expect("floats");
        let scale = self.values(key).iter().fold(1.0_f32, |most, value| most.max(value.abs()));
        for (i, (got, expected)) in got.iter().zip(self.values(key)).enumerate() {
            let far = (got - expected).abs();
            assert!(
                far <= tolerance * scale,
                "{key}, value {i}: expected {expected}, got {got}, {far} apart"
            );
        }
    }
}

/// What `published.py` weights outputs with before it takes their gradient.
fn weighted_sum<const D: usize>(output: Tensor<D>) -> Tensor<1> {
    let shape = output.dims();
    let weights = (0..shape.iter().product::<usize>()).map(|i| (i % 7 + 1) as f32).collect::<Vec<_>>();
    let weights = Tensor::<D>::from_data(TensorData::new(weights, shape), &Device::flex());
    (output * weights).sum()
}

/// The gradient that reached the table of words at a path in a module.
fn table_gradient<M: Module>(model: &M, path: &str, gradients: &Gradients) -> Tensor<2> {
    struct Finder<'a> {
        within: Vec<String>,
        path: &'a str,
        gradients: &'a Gradients,
        found: Option<Tensor<1>>,
    }
    impl ModuleVisitor for Finder<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.within.join(".") == self.path {
                self.found = param.val().grad(self.gradients).map(|gradient| gradient.flatten(0, D - 1));
            }
        }

        fn enter_module(&mut self, name: &str, _container: &str) {
            self.within.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.within.pop();
        }
    }
    let mut finder = Finder { within: Vec::new(), path, gradients, found: None };
    model.visit(&mut finder);
    // 40 words of width 16 in every golden model
    finder.found.expect("a gradient reaches the table").reshape([40, 16])
}

/// A golden model taken in; the folder goes when the first is dropped.
fn imported<F: Family>(family: &str) -> (tempfile::TempDir, ImportedFolder) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let source = PublishedFolder::open(&golden(family)).expect("the golden folder");
    assert_eq!(FamilyEntry::of_published(&source).expect("a known family").name, F::NAME);
    let options = Import { completeness: Completeness::Whole, seed: 0 };
    let (folder, report) =
        import::<F>(&source, &dir.path().join("model"), &options).unwrap_or_else(|error| panic!("{error}"));
    assert!(report.left.is_empty() && report.mismatches.is_empty());
    (dir, folder)
}

/// What is exported is what was published, but for what the family sets aside.
fn assert_exported_as_published<F: Family>(family: &str) {
    let (dir, folder) = imported::<F>(family);
    let back = dir.path().join("back");
    export::<F>(&folder, &back).unwrap_or_else(|error| panic!("{error}"));
    let open =
        |path: &Path| Checkpoint::open(&PublishedFolder::open(path).expect("a folder")).expect("weights");
    let (published, back) = (open(&golden(family)), open(&back));
    for (name, tensor) in back.tensors() {
        // published with a prefix where there is a head
        let prefix = published.tensors().find(|(other, _)| other.ends_with(&format!(".{name}")));
        let same = published.tensor(name).map_or_else(|| prefix.expect(name).0, |_| name);
        assert_eq!(tensor.shape, published.tensor(same).expect("it was found").shape, "{name}");
        assert_eq!(back.read(name).expect("floats"), published.read(same).expect("floats"), "{name}");
    }
    let names = |checkpoint: &Checkpoint| checkpoint.tensors().count();
    assert!(names(&back) > 10 && names(&back) <= names(&published));
}

#[test]
fn bert_computes_what_transformers_computes() {
    let expected = Expected::of("bert");
    let (_dir, folder) = imported::<BertFamily>("bert");
    let (_, model) = load::<BertFamily>(&folder, &Device::flex().autodiff()).expect("it is whole");
    let output = model.forward(&expected.text(), Some(expected.numbers("segments")));
    let [batch, n_tokens, d_model] = output.tokens.dims();
    let hidden = output.is_pad.clone().reshape([batch, n_tokens, 1]).expand([batch, n_tokens, d_model]);
    let gradients = weighted_sum(output.tokens.clone().mask_fill(hidden, 0.0)).backward();
    let words = table_gradient(&model, "words.weight", &gradients);
    expected.assert_near("words_gradient", words, GRADIENT_TOLERANCE);
    assert_rows_near(&expected, output.tokens.inner(), &output.is_pad);
    assert_exported_as_published::<BertFamily>("bert");
}

/// Compares what is no padding.
fn assert_rows_near(expected: &Expected, got: Tensor<3>, is_pad: &Tensor<2, Bool>) {
    let hidden = expected.tensor::<3>("hidden", &Device::flex());
    let [batch, n_tokens, _] = hidden.dims();
    let mask = is_pad.clone().reshape([batch, n_tokens, 1]).expand(hidden.dims());
    expected.assert_near("hidden", got.mask_where(mask, hidden), OUTPUT_TOLERANCE);
}

#[test]
fn a_sentence_model_computes_what_transformers_computes() {
    let expected = Expected::of("sentence_bert");
    let (_dir, folder) = imported::<BertFamily>("sentence_bert");
    let (_, model) = load::<BertFamily>(&folder, &Device::flex()).expect("it is whole");
    let output = model.forward(&expected.text(), None);
    let pooled = model.pooled(&output).expect("it has a pooler");
    expected.assert_near("pooled", pooled, OUTPUT_TOLERANCE);
    let settings = folder.sentence_settings().expect("they are implemented").expect("it is a sentence model");
    expected.assert_near("embedding", settings.embed(&output), OUTPUT_TOLERANCE);
    assert_rows_near(&expected, output.tokens, &output.is_pad);
    assert_exported_as_published::<BertFamily>("sentence_bert");
}

#[test]
fn vit_computes_what_transformers_computes() {
    let expected = Expected::of("vit");
    let (_dir, folder) = imported::<VitFamily>("vit");
    let device = Device::flex().autodiff();
    let (_, model) = load::<VitFamily>(&folder, &device).expect("it is whole");
    let pixels = expected.tensor::<4>("pixels", &device).require_grad();
    let output = model.forward(&ImageInput { pixels: pixels.clone().permute([0, 2, 3, 1]) });
    let gradients = weighted_sum(output.tokens.clone()).backward();
    let gradient = pixels.grad(&gradients).expect("it reaches the pixels");
    expected.assert_near("pooled", model.pooled(&output).expect("a pooler").inner(), OUTPUT_TOLERANCE);
    expected.assert_near("hidden", output.tokens.inner(), OUTPUT_TOLERANCE);
    expected.assert_near("gradient", gradient, GRADIENT_TOLERANCE);
    let other = model.forward(&expected.other_size(&device)).tokens.inner();
    expected.assert_near("other_size", other, OUTPUT_TOLERANCE);
    assert_exported_as_published::<VitFamily>("vit");
}

#[test]
fn clip_computes_what_transformers_computes() {
    let (expected, device) = (Expected::of("clip"), Device::flex().autodiff());
    let (_dir, folder) = imported::<ClipFamily>("clip");
    let (_, model) = load::<ClipFamily>(&folder, &device).expect("it is whole");
    let pixels = expected.tensor::<4>("pixels", &device).require_grad();
    let image = model.embed_image(&ImageInput { pixels: pixels.clone().permute([0, 2, 3, 1]) });
    let text = model.embed_text(&expected.text());
    expected.assert_near("text", text.clone().inner(), OUTPUT_TOLERANCE);
    expected.assert_near("image", image.clone().inner(), OUTPUT_TOLERANCE);
    expected.assert_near(
        "logits_per_text",
        model.logits(text.clone(), image.clone()).inner(),
        OUTPUT_TOLERANCE,
    );
    let gradient = pixels.grad(&weighted_sum(image).backward()).expect("it reaches the pixels");
    expected.assert_near("gradient", gradient, GRADIENT_TOLERANCE);
    let words = table_gradient(&model, "text.words.weight", &weighted_sum(text).backward());
    expected.assert_near("words_gradient", words, GRADIENT_TOLERANCE);
    let other = model.embed_image(&expected.other_size(&device)).inner();
    expected.assert_near("other_size", other, OUTPUT_TOLERANCE);
    assert_exported_as_published::<ClipFamily>("clip");
}

#[test]
fn siglip_computes_what_transformers_computes() {
    let (expected, device) = (Expected::of("siglip"), Device::flex().autodiff());
    let (_dir, folder) = imported::<SiglipFamily>("siglip");
    let (_, model) = load::<SiglipFamily>(&folder, &device).expect("it is whole");
    let pixels = expected.tensor::<4>("pixels", &device).require_grad();
    let image = model.embed_image(&ImageInput { pixels: pixels.clone().permute([0, 2, 3, 1]) });
    let text = model.embed_text(&expected.text());
    expected.assert_near("text", text.clone().inner(), OUTPUT_TOLERANCE);
    expected.assert_near("image", image.clone().inner(), OUTPUT_TOLERANCE);
    expected.assert_near(
        "logits_per_text",
        model.logits(text.clone(), image.clone()).inner(),
        OUTPUT_TOLERANCE,
    );
    let gradient = pixels.grad(&weighted_sum(image).backward()).expect("it reaches the pixels");
    expected.assert_near("gradient", gradient, GRADIENT_TOLERANCE);
    let words = table_gradient(&model, "text.embedding.weight", &weighted_sum(text).backward());
    expected.assert_near("words_gradient", words, GRADIENT_TOLERANCE);
    let other = model.embed_image(&expected.other_size(&device)).inner();
    expected.assert_near("other_size", other, OUTPUT_TOLERANCE);
    assert_exported_as_published::<SiglipFamily>("siglip");
}

#[test]
fn whisper_computes_what_transformers_computes() {
    let expected = Expected::of("whisper");
    let (_dir, folder) = imported::<WhisperFamily>("whisper");
    let device = Device::flex().autodiff();
    let (_, model) = load::<WhisperFamily>(&folder, &device).expect("it is whole");
    // [batch, n_mels, n_frames]
    let features = expected.tensor::<3>("features", &device).require_grad();
    let input = AudioInput { frames: features.clone().swap_dims(1, 2), lengths: vec![20; 2] };
    let encoded = model.encode(&input);
    let logits = model.logits(&encoded, expected.numbers("ids"));
    let gradients = weighted_sum(logits.clone()).backward();
    expected.assert_near("encoded", encoded.tokens.inner(), OUTPUT_TOLERANCE);
    expected.assert_near("logits", logits.inner(), OUTPUT_TOLERANCE);
    let gradient = features.grad(&gradients).expect("it reaches the frames");
    expected.assert_near("gradient", gradient, GRADIENT_TOLERANCE);
    assert_exported_as_published::<WhisperFamily>("whisper");
}

#[test]
fn whisper_writes_what_transformers_writes() {
    let (expected, device) = (Expected::of("whisper"), Device::flex());
    let (_dir, folder) = imported::<WhisperFamily>("whisper");
    let (config, model) = load::<WhisperFamily>(&folder, &device).expect("it is whole");
    let frames = expected.tensor::<3>("features", &device).swap_dims(1, 2);
    let encoded = model.encode(&AudioInput { frames, lengths: vec![20; 2] });
    let rows: Vec<Vec<i64>> = serde_json::from_value(expected.0["greedy"].clone()).expect("rows of tokens");
    let best = |logits: Tensor<3>| {
        let [batch, n_tokens, _] = logits.dims();
        logits.narrow(1, n_tokens - 1, 1).argmax(2).reshape([batch, 1])
    };
    let start = Tensor::<2, Int>::full([2, 1], i64::from(config.start_token), &device);
    let (logits, mut cache) = model.prefill(&encoded, start);
    let mut written = vec![best(logits)];
    for position in 1..8 {
        let last = written[written.len() - 1].clone();
        written.push(best(model.next(last, position, &mut cache)));
    }
    let written = Tensor::cat(written, 1).into_data().iter::<i64>().collect::<Vec<_>>();
    for (row, written) in rows.iter().zip(written.chunks_exact(8)) {
        let end = written.iter().position(|&id| id == i64::from(config.end_token)).map_or(8, |end| end + 1);
        assert_eq!(written[..end], row[..end]);
    }
}

#[test]
fn wav2vec2_computes_what_transformers_computes() {
    let expected = Expected::of("wav2vec2");
    let (_dir, folder) = imported::<Wav2vec2Family>("wav2vec2");
    let device = Device::flex().autodiff();
    let (_, model) = load::<Wav2vec2Family>(&folder, &device).expect("it is whole");
    let waveform = expected.tensor::<2>("waveform", &device).require_grad();
    let output = model.forward(waveform.clone(), &[60, 60]);
    let gradients = weighted_sum(output.tokens.clone()).backward();
    expected.assert_near("hidden", output.tokens.inner(), OUTPUT_TOLERANCE);
    let gradient = waveform.grad(&gradients).expect("it reaches the samples");
    expected.assert_near("gradient", gradient, GRADIENT_TOLERANCE);
}

#[test]
fn a_large_wav2vec2_skips_padding_as_transformers_does_and_survives_its_export() {
    let expected = Expected::of("wav2vec2_large");
    let device = Device::flex();
    let (dir, folder) = imported::<Wav2vec2Family>("wav2vec2_large");
    let lengths: Vec<usize> = serde_json::from_value(expected.0["lengths"].clone()).expect("lengths");
    let run = |folder: &ImportedFolder| {
        let (_, model) = load::<Wav2vec2Family>(folder, &device).expect("it is whole");
        model.forward(expected.tensor::<2>("waveform", &device), &lengths)
    };
    let output = run(&folder);
    assert_rows_near(&expected, output.tokens, &output.is_pad);

    // its weight norm is written in another way than it was read
    let back = dir.path().join("back");
    export::<Wav2vec2Family>(&folder, &back).unwrap_or_else(|error| panic!("{error}"));
    let source = PublishedFolder::open(&back).expect("a folder");
    let options = Import { completeness: Completeness::Whole, seed: 0 };
    let (again, _) = import::<Wav2vec2Family>(&source, &dir.path().join("again"), &options).expect("it fits");
    let output = run(&again);
    assert_rows_near(&expected, output.tokens, &output.is_pad);
}

#[test]
fn a_checkpoint_of_another_size_or_family_is_told_tensor_by_tensor() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let copy = |family: &str, name: &str, to: &str| {
        fs::copy(golden(family).join(name), dir.path().join(to)).expect("a copy");
    };
    let told = || {
        let source = PublishedFolder::open(dir.path()).expect("a folder");
        let family = FamilyEntry::of_published(&source).expect("a known family");
        let options = Import { completeness: Completeness::Whole, seed: 0 };
        let result = (family.import)(&source, &dir.path().join("out"), &options);
        result.expect_err("it does not fit")
    };
    copy("siglip", "model.safetensors", "model.safetensors");
    copy("sentence_bert", "config.json", "config.json");
    let other = told();
    assert!(other.to_string().contains("0 of 37 tensors fit, 37 missing, 88 unused"), "{other}");
    assert!(other.hint().is_some_and(|hint| hint.contains("another family")));

    copy("vit", "model.safetensors", "model.safetensors");
    assert!(told().hint().is_some_and(|hint| hint.contains("another family")));

    let config = fs::read_to_string(golden("vit").join("config.json")).expect("the golden file");
    fs::write(dir.path().join("config.json"), config.replace("\"patch_size\": 4", "\"patch_size\": 6"))
        .expect("a file");
    let size = told().to_string();
    assert!(
        size.contains("embeddings.patch_embeddings.projection.weight  [16, 3, 6, 6]  [16, 3, 4, 4]"),
        "{size}"
    );
    assert!(size.contains("38 of 40 tensors fit, 2 of another shape"), "{size}");
    fs::write(dir.path().join("config.json"), config.replace("\"patch_size\": 4", "\"patch_size\": 5"))
        .expect("a file");
    let odd = told().to_string();
    assert!(odd.ends_with("key `patch_size`: expected a divisor of the `image_size` 12, got 5"), "{odd}");
    fs::write(dir.path().join("config.json"), config.replace("\"gelu\"", "\"mish\"")).expect("a file");
    assert!(told().to_string().contains("key `hidden_act`: expected `gelu` or "));
    fs::write(dir.path().join("config.json"), "{\"model_type\": \"t5\"}").expect("a file");
    let source = PublishedFolder::open(dir.path()).expect("a folder");
    let unknown = FamilyEntry::of_published(&source).expect_err("unknown").to_string();
    assert!(unknown.contains("key `model_type`: expected one of `bert`, `vit`, "), "{unknown}");
    assert!(!dir.path().join("out").exists());
}

#[test]
fn costs_count_every_parameter_of_every_family() {
    fn assert_counted<F: Family>(name: &str) {
        let (_dir, folder) = imported::<F>(name);
        let (config, model) = load::<F>(&folder, &Device::flex()).expect("it is whole");
        assert_eq!(F::cost(&config).cost.parameters, model.num_params() as u64, "{name}");
        // from the folder as it was published, of whose weights no value is read
        let published = ModelFolder::open(&golden(name)).expect("the golden folder");
        let entry = published.family().expect("a known family");
        let (sample, tree) = (entry.cost)(&published).expect("its sizes fit");
        assert_eq!((sample, tree), (F::largest_sample(&config), F::cost(&config)), "{name}");
    }
    assert_counted::<BertFamily>("bert");
    assert_counted::<BertFamily>("sentence_bert");
    assert_counted::<VitFamily>("vit");
    assert_counted::<ClipFamily>("clip");
    assert_counted::<SiglipFamily>("siglip");
    assert_counted::<WhisperFamily>("whisper");
    assert_counted::<Wav2vec2Family>("wav2vec2");
    assert_counted::<Wav2vec2Family>("wav2vec2_large");
}
