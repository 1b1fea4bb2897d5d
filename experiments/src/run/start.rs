//! A new model with the weights that its training starts from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::prelude::*;
use serde::Serialize;
use triptych_datasets::text::Tokenizer;
use triptych_encoders::pretrained::{ModelFolder, PublishedProjection};
use triptych_tasks::model::Model;

use super::checkpoint::{self, Checkpoint};
use super::data::saved_tokenizer;
use super::error::TrainError;
use super::folder::saved_config;
use super::parameters::{NamedTensors, named, replace};
use super::training::averages;
use crate::configuration::ExperimentConfig;
use crate::published::{self, PublishedError};

/// Weights that do not fit the model that they are to start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A published model that cannot be read.
    #[error("`start.{key}`: {source}")]
    Published {
        /// Which key names it.
        key: &'static str,
        /// What is wrong with it.
        source: PublishedError,
    },
    /// Parameters that differ.
    #[error("`start.{key}`: {}: {problem}", folder.display())]
    Fit {
        /// Which key names it.
        key: &'static str,
        /// The folder.
        folder: PathBuf,
        /// The first parameter that differs, with what was expected and what is there.
        problem: String,
    },
}

impl StartError {
    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Published { source, .. } => source.hint(),
            Self::Fit { key: "run", .. } => Some(
                "parts of another size need another name in the model, or the run's own sizes".to_owned(),
            ),
            Self::Fit { key, .. } => {
                let table = if *key == "text" { "model.text" } else { "the encoder's table in `model`" };
                Some(format!("leave {table} out of the config: it comes with the weights"))
            }
        }
    }
}

/// What a training started from: an entry of `start.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Started {
    /// The key that names it.
    key: &'static str,
    /// A folder or a checkpoint.
    from: PathBuf,
    /// Parameters that were taken.
    parameters: Vec<String>,
    /// Those that stayed random, where all were looked for.
    left_random: Vec<String>,
}

impl Started {
    /// The run's file that says so.
    pub(crate) const FILE: &'static str = "start.json";

    /// In a line.
    pub(crate) fn summary(&self) -> String {
        let random = match self.left_random.len() {
            0 => String::new(),
            n => format!(", {n} stay random, such as {}", self.left_random[0]),
        };
        format!("{}: {} parameters from {}{random}", self.key, self.parameters.len(), self.from.display())
    }
}

/// The folder of a run that is named by itself or by one of its checkpoints.
fn run_folder(place: &Path) -> &Path {
    let of_checkpoint = if place.is_file() { place.parent().and_then(Path::parent) } else { Some(place) };
    of_checkpoint.unwrap_or(Path::new("."))
}

/// The folder of a run and its newest checkpoint, or the one that is named.
///
/// # Errors
/// When there is none, or it is damaged.
pub(super) fn run_checkpoint(place: &Path) -> Result<(PathBuf, Checkpoint), TrainError> {
    let folder = run_folder(place).to_owned();
    if place.is_file() {
        return Ok((folder, checkpoint::load(place)?));
    }
    saved_config(place)?;
    let found = checkpoint::latest(&place.join(checkpoint::FOLDER))?;
    let found = found.ok_or_else(|| TrainError::Untrained { path: place.to_owned() })?;
    Ok((folder, found))
}

/// The tokenizer that comes with what the config starts from, if one does.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn tokenizer(config: &ExperimentConfig) -> Result<Option<Tokenizer>, TrainError> {
    if config.model.text.is_none() {
        return Ok(None);
    }
    if let Some(place) = &config.start.run {
        let folder = run_folder(place);
        saved_config(folder)?;
        return saved_tokenizer(folder).map(Some);
    }
    let Some(folder) = &config.start.text else { return Ok(None) };
    let failed = |source| StartError::Published { key: "text", source };
    let model = ModelFolder::open(folder).map_err(|error| failed(error.into()))?;
    Ok(Some(published::tokenizer(&model).map_err(failed)?))
}

/// `model`, which is new and on an autodiff device, with the weights that the config starts from.
///
/// # Errors
/// When they cannot be read, or do not fit the model.
pub(crate) fn start(
    model: Model,
    config: &ExperimentConfig,
    tokenizer: &Tokenizer,
    device: &Device,
) -> Result<(Model, Vec<Started>), TrainError> {
    if let Some(place) = &config.start.run {
        let (model, started) = from_run(model, place, device)?;
        return Ok((model, vec![started]));
    }
    let own = named(&model);
    let mut table: NamedTensors =
        own.iter().map(|(name, (_, tensor))| (name.clone(), tensor.clone())).collect();
    let mut started = Vec::new();
    let mut projections = BTreeMap::new();
    if let Some(folder) = &config.start.text {
        let taking = Taking::new("text", folder, &own);
        let (encoder, projection) =
            taking.open()?.load_text_encoder(device).map_err(|e| taking.published(e.into()))?;
        let mut found = taking.parameters(&encoder);
        for (name, (shape, tensor)) in &mut found {
            if name.ends_with(".words.weight") || name.ends_with(".embedding.weight") {
                let ids = tokenizer.published_ids().unwrap_or_default();
                *tensor = rows(tensor.clone(), shape, ids, table[name].clone());
                shape[0] = ids.len();
            }
        }
        started.push(taking.put(found, &mut table)?);
        projections.extend(projection.map(|projection| ("retrieval.meaning.0.weight", projection)));
    }
    if let Some(folder) = &config.start.vision {
        let taking = Taking::new("vision", folder, &own);
        let loaded = taking.open()?.load_vision_encoder(config.data.image.side, device);
        let (encoder, projection) = loaded.map_err(|e| taking.published(e.into()))?;
        let found = taking.parameters(&encoder);
        started.push(taking.put(found, &mut table)?);
        projections.extend(projection.map(|projection| ("retrieval.meaning.1.weight", projection)));
    }
    if let Some(folder) = &config.start.audio {
        let taking = Taking::new("audio", folder, &own);
        let encoder = taking.open()?.load_audio_encoder(device).map_err(|e| taking.published(e.into()))?;
        let found = taking.parameters(&encoder);
        started.push(taking.put(found, &mut table)?);
    }
    if config.start.of_both() {
        started.extend(project(projections, &own, &mut table, config));
    }
    let model = replace(model, table).expect("the table has the model's own names and sizes");
    Ok((model, started))
}

/// An encoder's parameters on their way into a model.
struct Taking<'a> {
    key: &'static str,
    folder: &'a Path,
    own: &'a BTreeMap<String, (Vec<usize>, Tensor<1>)>,
}

impl<'a> Taking<'a> {
    fn new(key: &'static str, folder: &'a Path, own: &'a BTreeMap<String, (Vec<usize>, Tensor<1>)>) -> Self {
        Self { key, folder, own }
    }

    fn open(&self) -> Result<ModelFolder, TrainError> {
        ModelFolder::open(self.folder).map_err(|error| self.published(error.into()))
    }

    fn published(&self, source: PublishedError) -> TrainError {
        StartError::Published { key: self.key, source }.into()
    }

    /// Named as in the model.
    fn parameters<M: Module>(&self, encoder: &M) -> BTreeMap<String, (Vec<usize>, Tensor<1>)> {
        let named = named(encoder).into_iter();
        named.map(|(name, parameter)| (format!("{}.{name}", self.key), parameter)).collect()
    }

    /// Puts them in the place of the model's own, all of them.
    fn put(
        &self,
        found: BTreeMap<String, (Vec<usize>, Tensor<1>)>,
        table: &mut NamedTensors,
    ) -> Result<Started, TrainError> {
        let prefix = format!("{}.", self.key);
        let fault =
            |problem: String| StartError::Fit { key: self.key, folder: self.folder.to_owned(), problem };
        for (name, (shape, _)) in
            self.own.range(prefix.clone()..).take_while(|(name, _)| name.starts_with(&prefix))
        {
            match found.get(name) {
                Some((got, _)) if got == shape => {}
                Some((got, _)) => {
                    return Err(fault(format!("parameter {name}: expected {shape:?}, got {got:?}")).into());
                }
                None => return Err(fault(format!("parameter {name}: expected {shape:?}, got none")).into()),
            }
        }
        if let Some((name, (shape, _))) = found.iter().find(|(name, _)| !self.own.contains_key(*name)) {
            return Err(fault(format!("parameter {name}: expected none in the model, got {shape:?}")).into());
        }
        let parameters = found.keys().cloned().collect();
        table.extend(found.into_iter().map(|(name, (_, tensor))| (name, tensor)));
        let from = self.folder.to_owned();
        Ok(Started { key: self.key, from, parameters, left_random: Vec::new() })
    }
}

/// The rows of a published table in the order of `ids`; a row of no published token is that of `own`.
fn rows(table: Tensor<1>, shape: &[usize], ids: &[Option<u32>], own: Tensor<1>) -> Tensor<1> {
    let [n_rows, width] = [shape[0], shape[1]];
    let table = table.reshape([n_rows, width]);
    let numbers = ids.iter().map(|id| i64::from(id.unwrap_or(0))).collect::<Vec<_>>();
    let numbers = Tensor::<1, Int>::from_data(TensorData::new(numbers, [ids.len()]), &table.device());
    let mut taken = table.select(0, numbers);
    let own = own.reshape([ids.len(), width]);
    for (row, _) in ids.iter().enumerate().filter(|(_, id)| id.is_none()) {
        taken = taken.slice_assign([row..row + 1, 0..width], own.clone().narrow(0, row, 1));
    }
    taken.reshape([ids.len() * width])
}

/// Puts the published maps into the space of texts and pictures in the place of the model's own, where they are as wide, and the
/// published temperature with them.
fn project(
    projections: BTreeMap<&'static str, PublishedProjection>,
    own: &BTreeMap<String, (Vec<usize>, Tensor<1>)>,
    table: &mut NamedTensors,
    config: &ExperimentConfig,
) -> Option<Started> {
    let fits = |(name, projection): (&&str, &PublishedProjection)| {
        own.get(*name).is_some_and(|(shape, _)| *shape == projection.weight.dims())
    };
    if projections.len() != 2 || !projections.iter().all(fits) {
        return None;
    }
    let mut parameters = Vec::new();
    for (name, PublishedProjection { weight, log_scale }) in projections {
        let n = weight.dims().iter().product::<usize>();
        table.insert(name.to_owned(), weight.inner().reshape([n]));
        parameters.push(name.to_owned());
        let scales = table.remove("retrieval.log_scale")?;
        let scale = Tensor::<1>::full([1], log_scale, &scales.device());
        // texts with pictures come first
        let scales = Tensor::cat(vec![scale, scales.narrow(0, 1, 2)], 0);
        table.insert("retrieval.log_scale".to_owned(), scales);
    }
    parameters.push("retrieval.log_scale".to_owned());
    let from = config.start.text.clone()?;
    Some(Started { key: "text and vision", from, parameters, left_random: Vec::new() })
}

/// Every parameter that the run has too, averaged over its steps.
fn from_run(model: Model, place: &Path, device: &Device) -> Result<(Model, Started), TrainError> {
    let (_, found) = run_checkpoint(place)?;
    let theirs = averages(found, &device.clone().inner());
    let own = named(&model);
    let fault = |problem: String| StartError::Fit { key: "run", folder: place.to_owned(), problem };
    let (mut parameters, mut left_random, mut table) = (Vec::new(), Vec::new(), NamedTensors::new());
    for (name, (shape, tensor)) in own {
        let n = shape.iter().product::<usize>();
        match theirs.get(&name) {
            Some(theirs) if theirs.dims() == [n] => {
                parameters.push(name.clone());
                table.insert(name, theirs.clone());
            }
            Some(theirs) => {
                let [got] = theirs.dims();
                let problem = format!("parameter {name}: expected {shape:?}, got {got} values");
                return Err(fault(problem).into());
            }
            None => {
                left_random.push(name.clone());
                table.insert(name, tensor);
            }
        }
    }
    if parameters.is_empty() {
        return Err(fault("expected some of the model's parameters, got none of them".to_owned()).into());
    }
    let model = replace(model, table).expect("the table has the model's own names and sizes");
    Ok((model, Started { key: "run", from: place.to_owned(), parameters, left_random }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;
    use triptych_encoders::input::padding;
    use triptych_encoders::pretrained::families::ClipFamily;
    use triptych_encoders::{ImageInput, TextInput};

    use super::*;
    use crate::configuration::experiment;

    /// The tolerance of parity with the published model, whose table and positions are the same values.
    const TOLERANCE: f32 = 1e-6;

    /// The golden CLIP with a tokenizer of the words w0 to w37.
    fn clip() -> tempfile::TempDir {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../encoders/tests/golden/published/clip");
        let dir = tempfile::tempdir().expect("a temporary folder");
        for file in fs::read_dir(golden).expect("the golden folder").flatten() {
            fs::copy(file.path(), dir.path().join(file.file_name())).expect("a copy");
        }
        let words = (0..38).map(|id| format!("w{id}")).chain(["<s>".to_owned(), "</s>".to_owned()]);
        let words: serde_json::Value = words.zip(0..).map(|(word, id)| (word, json!(id))).collect();
        let mark = |mark: &str| json!({ "SpecialToken": { "id": mark, "type_id": 0 } });
        let text = |id: &str| json!({ "Sequence": { "id": id, "type_id": 0 } });
        let special = |mark: &str, id: u32| json!({ "id": mark, "ids": [id], "tokens": [mark] });
        let tokenizer = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer": { "type": "WhitespaceSplit" },
            "post_processor": {
                "type": "TemplateProcessing", "single": [mark("<s>"), text("A"), mark("</s>")],
                "pair": [text("A"), text("B")],
                "special_tokens": { "<s>": special("<s>", 38), "</s>": special("</s>", 39) },
            },
            "decoder": null, "model": { "type": "WordLevel", "vocab": words, "unk_token": "w0" },
        });
        let settings = json!({
            "do_resize": true, "do_center_crop": true, "do_normalize": true, "size": { "shortest_edge": 12 },
            "crop_size": 12, "resample": 3, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
        });
        for (name, value) in [("tokenizer.json", tokenizer), ("preprocessor_config.json", settings)] {
            fs::write(dir.path().join(name), value.to_string()).expect("a file");
        }
        dir
    }

    fn assert_near(got: Tensor<2>, expected: Tensor<2>) {
        let far = (got.inner() - expected).abs().max().into_scalar::<f32>();
        assert!(far < TOLERANCE, "{far} apart");
    }

    #[test]
    fn a_model_that_starts_from_clip_computes_what_clip_computes() {
        let dir = clip();
        let from = dir.path().display();
        let overrides = [
            format!("start.text='{from}'"),
            format!("start.vision='{from}'"),
            "data.max_text_tokens=8".to_owned(),
        ];
        let config = experiment("quickstart", &overrides).expect("it fits").value;
        assert_eq!((config.model.d_embedding, config.data.image.side), (8, 12));
        let folder = ModelFolder::open(dir.path()).expect("a model");
        let tokenizer = tokenizer(&config).expect("it is there").expect("texts are read");
        let device = Device::flex().autodiff();
        let (model, started) = {
            let model = config
                .model
                .init(config.data_shape(tokenizer.n_tokens()), 1, &device)
                .expect("its sizes fit");
            start(model, &config, &tokenizer, &device).expect("they fit")
        };
        assert_eq!(started.len(), 3);
        let (_, clip) = folder.load::<ClipFamily>(&Device::flex()).expect("it is whole");

        let texts = ["w7 w20 w3", "w11"];
        let ours = texts.map(|text| tokenizer.encode(text));
        let ids = |rows: &[Vec<u32>], n: usize, device: &Device| {
            let ids = rows.iter().flat_map(|row| (0..n).map(|i| i64::from(row.get(i).copied().unwrap_or(0))));
            let lengths = rows.iter().map(Vec::len).collect::<Vec<_>>();
            let ids = ids.collect::<Vec<_>>();
            TextInput {
                ids: Tensor::from_data(TensorData::new(ids, [rows.len(), n]), device),
                is_pad: padding(&lengths, n, device),
            }
        };
        let theirs = [vec![38, 7, 20, 3, 39], vec![38, 11, 39]];
        let got = model.retrieval.meaning(&model.encode_text(&ids(&ours, 3, &device))).expect("a space");
        assert_near(got, clip.embed_text(&ids(&theirs, 5, &Device::flex())));

        let pixels = (0..2 * 12 * 12 * 3).map(|i| ((i * 37 % 101) as f32) / 50.0 - 1.0).collect::<Vec<_>>();
        let picture = |device: &Device| ImageInput {
            pixels: Tensor::from_data(TensorData::new(pixels.clone(), [2, 12, 12, 3]), device),
        };
        let got = model.retrieval.meaning(&model.encode_image(&picture(&device))).expect("a space");
        assert_near(got, clip.embed_image(&picture(&Device::flex())));
        let scale = model.retrieval.log_scale.val().inner().into_data().iter::<f32>().next();
        let one = || Tensor::<2>::ones([1, 1], &Device::flex());
        let expected = clip.logits(one(), one()).into_scalar::<f32>().ln();
        assert!(scale.is_some_and(|scale| (scale - expected).abs() < TOLERANCE));
    }

    #[test]
    fn pictures_of_another_size_have_their_positions_interpolated() {
        let dir = clip();
        let from = dir.path().display();
        let overrides = [format!("start.vision='{from}'"), "data.image.side=24".to_owned()];
        let config = experiment("quickstart", &overrides).expect("it fits").value;
        let device = Device::flex().autodiff();
        let (encoder, _) = ModelFolder::open(dir.path())
            .expect("a model")
            .load_vision_encoder(24, &device)
            .expect("patches divide it");
        let shapes = named(&encoder);
        // a class and 6 x 6 patches
        assert_eq!(shapes["Vit.positions"].0, [37, 16]);
        assert_eq!(config.data.image.side, 24);
    }
}
