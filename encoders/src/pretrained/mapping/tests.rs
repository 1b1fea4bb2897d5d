//! Both directions over a module of the project under made-up names.

use std::path::Path;

use burn::prelude::*;

use super::*;
use crate::layers::initializer::Initializer;
use crate::pretrained::Checkpoint;
use crate::text::{TextTransformer, TextTransformerConfig};

const N_VOCAB: usize = 11;

fn model(seed: u64) -> TextTransformer {
    let mut init = Initializer::new(seed, &Device::flex());
    TextTransformerConfig::tiny().init(N_VOCAB, &mut init).expect("the sizes fit")
}

/// Names such as other projects use.
fn mapping() -> Mapping {
    let mut mapping = Mapping::new();
    mapping.optional_prefix("encoder.");
    mapping.older_ending(".gamma", ".weight");
    mapping.older_ending(".beta", ".bias");
    mapping.ignore("head.*");
    mapping.ignore("*.position_ids");
    mapping.tied("decoder.weight", "encoder.words.weight");
    mapping.same("embedding.weight", "encoder.words.weight");
    mapping.tensor("positions", "encoder.positions", Layout::Shaped(vec![1, 12, 16]));
    for idx in 0..2 {
        let (ours, published) = (format!("transformer.blocks.{idx}"), format!("encoder.layer.{idx}"));
        mapping.norm(&format!("{ours}.attention_norm"), &format!("{published}.before"));
        let name = |part: &str| format!("{published}.{part}");
        let (q, k, v) = (name("q"), name("k"), name("v"));
        let part = |name: &str| Part::Tensor(format!("{name}.weight"), Layout::Transposed);
        mapping.parts(format!("{ours}.query_key_value.weight"), [part(&q), part(&k), part(&v)]);
        let part = |name: &str| Part::Tensor(format!("{name}.bias"), Layout::Same);
        mapping.parts(format!("{ours}.query_key_value.bias"), [part(&q), Part::WithoutEffect, part(&v)]);
        mapping.linear(&format!("{ours}.attention_out"), &name("out"));
        mapping.norm(&format!("{ours}.feed_forward_norm"), &name("after"));
        mapping.linear(&format!("{ours}.feed_forward.up"), &name("fc1"));
        mapping.linear(&format!("{ours}.feed_forward.down"), &name("fc2"));
    }
    mapping.norm("transformer.norm", "encoder.norm");
    mapping
}

fn values(model: &TextTransformer) -> Vec<(String, TensorData)> {
    let parameters = super::module::parameters(model).into_iter();
    parameters.map(|(path, (_, tensor))| (path, tensor.into_data())).collect()
}

/// A file with these tensors of zeros beside those of the exported model, or instead of those of the same name.
fn changed(path: &Path, changes: &[(&str, Option<&[usize]>)]) {
    let bytes = std::fs::read(path).expect("it was written");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("the reference's reader takes it");
    let zeros = vec![0; 1 << 16];
    let mut tensors = file.tensors();
    for (name, shape) in changes {
        tensors.retain(|(other, _)| other != name);
        if let Some(shape) = shape {
            let zeros = &zeros[..4 * shape.iter().product::<usize>()];
            let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.to_vec(), zeros);
            tensors.push(((*name).to_owned(), view.expect("the bytes fit")));
        }
    }
    std::fs::write(path, safetensors::serialize(tensors, None).expect("tensors")).expect("a file");
}

fn import(path: &Path, completeness: Completeness) -> Result<(TextTransformer, Imported), MappingError> {
    mapping().import(model(2), &Checkpoint::open_file(path)?, completeness)
}

fn exported(name: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join(name);
    mapping().export(&model(1), &path).expect("it is exported");
    (dir, path)
}

#[test]
fn one_declaration_leads_there_and_back() {
    let (_dir, path) = exported("model.safetensors");
    let (back, imported) = import(&path, Completeness::Whole).expect("it fits");
    assert_eq!(values(&back), values(&model(1)));
    assert_ne!(values(&back), values(&model(2)));
    // 2 tables, 2 norms and 6 linear maps a block without the keys' bias, the last norm
    assert_eq!((imported.n_parameters, imported.n_tensors), (28, 2 + 2 * 15 + 2));
    assert_eq!((imported.left.len(), imported.ignored.len(), imported.mismatches.len()), (0, 0, 0));
}

#[test]
fn published_tensors_lie_as_declared() {
    let (_dir, path) = exported("model.safetensors");
    let bytes = std::fs::read(&path).expect("it was written");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("the reference's reader takes it");
    assert_eq!(file.tensor("encoder.positions").expect("it is there").shape(), [1, 12, 16]);
    assert!(file.tensor("encoder.layer.0.k.bias").is_err());
    assert!(file.tensor("decoder.weight").is_err());
    let key =
        Checkpoint::open_file(&path).expect("a checkpoint").read("encoder.layer.1.k.weight").expect("floats");
    let packed =
        super::module::parameters(&model(1))["transformer.blocks.1.query_key_value.weight"].1.clone();
    let packed = packed.into_data().try_to_vec::<f32>().expect("floats");
    for (row, column) in [(0, 0), (3, 7), (15, 2)] {
        assert_eq!(key[column * 16 + row], packed[row * 48 + 16 + column]);
    }
}

#[test]
fn all_that_does_not_fit_is_told_at_once() {
    let (dir, path) = exported("model.safetensors");
    changed(
        &path,
        &[
            ("encoder.layer.0.q.weight", None),
            ("encoder.norm.bias", None),
            ("encoder.words.weight", Some(&[13, 16])),
            ("decoder.weight", Some(&[13, 16])),
            ("encoder.pooler.weight", Some(&[16, 16])),
            ("head.weight", Some(&[2])),
            ("encoder.position_ids", Some(&[3])),
        ],
    );
    let error = import(&path, Completeness::Whole).expect_err("it does not fit");
    let text = error.to_string().replace(&dir.path().display().to_string(), "DIR");
    let expected = "\
DIR/model.safetensors does not fit the model: 31 of 34 tensors fit, 2 missing, 1 of another shape, 1 unused
  tensor                    expected  got
  encoder.layer.0.q.weight  [16, 16]  none
  encoder.norm.bias         [16]      none
  encoder.words.weight      [11, 16]  [13, 16]
  encoder.pooler.weight     none      [16, 16]";
    assert_eq!(text, expected);
    assert!(error.hint().is_some_and(|hint| hint.contains("--partial")));

    let (partly, imported) = import(&path, Completeness::Partial).expect("most of it fits");
    let left = ["embedding.weight", "transformer.blocks.0.query_key_value.weight", "transformer.norm.beta"];
    assert_eq!(imported.left, left);
    assert_eq!(imported.ignored, ["encoder.position_ids", "head.weight"]);
    for (((path, got), (_, imported)), (_, random)) in
        values(&partly).into_iter().zip(values(&model(1))).zip(values(&model(2)))
    {
        let expected = if left.contains(&path.as_str()) { random } else { imported };
        assert_eq!(got, expected, "{path}");
    }
}

#[test]
fn nothing_that_fits_is_an_error_also_of_a_partial_import() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("other.safetensors");
    let none: Vec<(String, safetensors::tensor::TensorView<'_>)> = Vec::new();
    std::fs::write(&path, safetensors::serialize(none, None).expect("no tensors")).expect("a file");
    changed(&path, &[("conv1.weight", Some(&[4, 4]))]);
    let error = import(&path, Completeness::Partial).expect_err("nothing fits");
    assert!(error.to_string().contains("0 of 34 tensors fit, 34 missing, 1 unused"), "{error}");
    assert!(error.to_string().contains("and 9 more missing"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("another family")));
}

#[test]
fn tensors_that_should_be_tied_must_be_equal() {
    let (_dir, path) = exported("model.safetensors");
    changed(&path, &[("decoder.weight", Some(&[11, 16]))]);
    let error = import(&path, Completeness::Whole).expect_err("the tables differ").to_string();
    assert!(
        error.contains("1 not what it is tied to") && error.contains("the same as encoder.words.weight"),
        "{error}"
    );
}

#[test]
fn names_without_the_prefix_and_with_older_endings_are_read() {
    let (_dir, path) = exported("model.safetensors");
    let bytes = std::fs::read(&path).expect("it was written");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("tensors");
    let renamed = file.tensors().into_iter().map(|(name, tensor)| {
        let name = name.trim_start_matches("encoder.").to_owned();
        let name = match name.contains("before") || name.contains("after") {
            true => name.replace(".weight", ".gamma").replace(".bias", ".beta"),
            false => name,
        };
        (name, tensor)
    });
    std::fs::write(&path, safetensors::serialize(renamed, None).expect("tensors")).expect("a file");
    let (back, _) = import(&path, Completeness::Whole).expect("it fits");
    assert_eq!(values(&back), values(&model(1)));
}

#[test]
fn a_mapping_that_is_not_one_of_the_module_is_an_error() {
    let (_dir, path) = exported("model.safetensors");
    let fails = |mapping: Mapping| {
        let imported =
            mapping.import(model(1), &Checkpoint::open_file(&path).expect("weights"), Completeness::Whole);
        imported.expect_err("the mapping is wrong").to_string()
    };
    assert!(fails(Mapping::new()).starts_with("parameter embedding.weight: expected a declaration"));
    let mut stray = mapping();
    stray.same("embedding.bias", "x");
    assert!(fails(stray).starts_with("mapping of embedding.bias: expected one declaration"));
    let mut uneven = Mapping { rules: mapping().rules.split_off(2), ..mapping() };
    uneven.parts("embedding.weight", vec![Part::Zeros; 3]);
    uneven.same("positions", "encoder.positions");
    assert!(fails(uneven).contains("expected a last axis of 3 equal shares, got [11, 16]"));
}

#[test]
fn what_the_published_model_lacks_must_be_zero_on_export() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut lacking = Mapping { rules: mapping().rules.split_off(1), ..mapping() };
    lacking.parts("embedding.weight", [Part::Zeros]);
    let error = lacking.export(&model(1), &dir.path().join("x.safetensors")).expect_err("it is not zero");
    assert!(error.to_string().starts_with("parameter embedding.weight: expected zeros"), "{error}");
}

#[test]
fn an_imported_model_on_a_training_device_is_trained_on() {
    let (_dir, path) = exported("model.safetensors");
    let device = Device::flex().autodiff();
    let fresh = TextTransformerConfig::tiny()
        .init(N_VOCAB, &mut Initializer::new(2, &device))
        .expect("the sizes fit");
    let checkpoint = Checkpoint::open_file(&path).expect("weights");
    let (model, _) = mapping().import(fresh, &checkpoint, Completeness::Whole).expect("it fits");
    assert_eq!(values(&model), values(&self::model(1)));
    let ids = Tensor::<2, Int>::zeros([1, 3], &Device::flex());
    let is_pad = Tensor::<2, Bool>::full([1, 3], false, &Device::flex());
    let output = model.forward(&crate::TextInput { ids, is_pad });
    let gradients = output.tokens.sum().backward();
    let positions = burn::module::list_param_ids(&model).len();
    assert_eq!(positions, 28);
    assert!(gradients_of(&model, &gradients) > 0);
}

fn gradients_of(model: &TextTransformer, gradients: &burn::tensor::Gradients) -> usize {
    struct Counter<'a>(&'a burn::tensor::Gradients, usize);
    impl burn::module::ModuleVisitor for Counter<'_> {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            self.1 += usize::from(param.val().grad(self.0).is_some());
        }
    }
    let mut counter = Counter(gradients, 0);
    burn::module::Module::visit(model, &mut counter);
    counter.1
}

#[test]
fn shares_of_one_tensor_go_to_several_parameters_and_come_from_all_of_them() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("model.safetensors");
    let with_norms = |n: usize| {
        let mut mapping = mapping();
        mapping.rules.retain(|rule| !rule.ours.ends_with("attention_norm.gamma"));
        for idx in 0..n {
            let (published, layout) = ("encoder.norms".to_owned(), Layout::Same);
            let share = Part::Share { published, layout, shares: idx..idx + 1, of: 2 };
            mapping.parts(format!("transformer.blocks.{idx}.attention_norm.gamma"), [share]);
        }
        mapping
    };
    with_norms(2).export(&model(1), &path).expect("it is exported");
    let checkpoint = Checkpoint::open_file(&path).expect("weights");
    assert_eq!(checkpoint.tensor("encoder.norms").expect("it is there").shape, [32]);
    let (back, _) = with_norms(2).import(model(2), &checkpoint, Completeness::Whole).expect("it fits");
    assert_eq!(values(&back), values(&model(1)));

    let mut half = with_norms(1);
    half.same("transformer.blocks.1.attention_norm.gamma", "encoder.layer.1.before.weight");
    let error = half.export(&model(1), &path).expect_err("half of it is declared");
    assert!(
        error.to_string().starts_with("published tensor encoder.norms: expected declarations of all"),
        "{error}"
    );
}
