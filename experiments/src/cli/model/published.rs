//! `triptych model describe` of a published or imported model, from the headers of its files.

use std::fmt::Write as _;
use std::path::Path;

use miette::IntoDiagnostic;
use serde_json::{Value, json};
use triptych_datasets::text::PublishedTokenizer;
use triptych_encoders::layers::cost::CostTree;
use triptych_encoders::pretrained::families::{FamilyEntry, LargestSample};
use triptych_encoders::pretrained::preprocessing::{Filter, PictureSettings, Resize};
use triptych_encoders::pretrained::{
    Checkpoint, CheckpointError, ImportedFolder, ModelFolder, Pooling, PublishedFolder,
};

use super::describe::bytes;
use super::tensors::{TensorSums, TensorTree};
use super::{report, short};
use crate::diagnostic::print;
use crate::plan::{Memory, Precision};

/// Endings of files of weights.
const WEIGHTS: [&str; 5] = ["safetensors", "bin", "pt", "pth", "ckpt"];

/// Whether `path` is a model's folder, and not a run's, or a file of weights.
pub(super) fn is_one(path: &Path) -> bool {
    if path.is_dir() {
        return !path.join("config.toml").exists();
    }
    let ending = path.extension().and_then(|ending| ending.to_str());
    path.is_file() && ending.is_some_and(|ending| WEIGHTS.contains(&ending))
}

/// Shows what lies in a folder, or a file, of weights.
pub(super) fn run(path: &Path, lists_tensors: bool, is_json: bool) -> miette::Result<()> {
    let model = Described::open(path).map_err(|error| report(error.into()))?;
    let text = match (lists_tensors, is_json) {
        (true, true) => pretty(&model.list())?,
        (true, false) => model.lines(),
        (false, true) => pretty(&model.json())?,
        (false, false) => model.page(),
    };
    print(&text)
}

fn pretty(value: &Value) -> miette::Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(value).into_diagnostic()?))
}

/// What is known of a model.
struct Described {
    path: String,
    weights: Checkpoint,
    tree: TensorTree,
    /// None of a file, or a folder without a config.
    folder: Option<ModelFolder>,
    family: Result<&'static FamilyEntry, String>,
    /// Where the family is known and the config is one of its kind.
    cost: Option<Result<(LargestSample, CostTree), String>>,
}

impl Described {
    fn open(path: &Path) -> Result<Self, CheckpointError> {
        let mut folder = None;
        let weights = if path.is_file() {
            Checkpoint::open_file(path)?
        } else if ImportedFolder::is_one(path) {
            let imported = ImportedFolder::open(path)?;
            let weights = imported.weights()?;
            folder = Some(ModelFolder::Imported(Box::new(imported)));
            weights
        } else {
            let published = PublishedFolder::open(path)?;
            let weights = Checkpoint::open(&published)?;
            if published.find("config.json")?.is_some() {
                folder = Some(ModelFolder::Published(published));
            }
            weights
        };
        let family = match &folder {
            None => Err("no config.json tells".to_owned()),
            Some(folder) => folder.family().map_err(|error| error.to_string()),
        };
        let cost = match (&folder, &family) {
            (Some(folder), Ok(family)) => Some((family.cost)(folder).map_err(|error| error.to_string())),
            _ => None,
        };
        let tree = TensorTree::of(&weights);
        Ok(Self { path: path.display().to_string(), weights, tree, folder, family, cost })
    }

    fn sample(&self) -> Option<(&LargestSample, &CostTree)> {
        self.cost.as_ref()?.as_ref().ok().map(|(sample, tree)| (sample, tree))
    }

    /// Every file that came along, by name, and what it holds; errors are told and end nothing.
    fn companions(&self) -> Vec<(&'static str, String)> {
        let Some(folder) = &self.folder else { return Vec::new() };
        let sample = self.sample().map(|(sample, _)| *sample).unwrap_or_default();
        let mut rows = Vec::new();
        match folder.tokenizer_file() {
            Ok(path) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let told = match PublishedTokenizer::open(&path) {
                    Ok(tokenizer) => format!("{name}, {} tokens", tokenizer.n_tokens()),
                    Err(error) => error.to_string(),
                };
                rows.push(("tokenizer", told));
            }
            Err(_) if sample.n_text_tokens.is_some() => {
                rows.push(("tokenizer", "none came along".to_owned()))
            }
            Err(_) => {}
        }
        if let Some(side) = sample.image_side {
            let told = folder.picture_settings(side);
            rows.push((
                "pictures",
                told.map_or_else(|error| error.to_string(), |settings| pictures(&settings)),
            ));
        }
        if sample.sound_s.is_some() {
            let told = folder.audio_encoder().map(|encoder| match encoder.n_mels {
                Some(n_mels) => format!("16 kHz, log-mel of {n_mels} bands every 10 ms"),
                None => "16 kHz, the waveform".to_owned(),
            });
            rows.push(("sounds", told.unwrap_or_else(|error| error.to_string())));
        }
        match folder.sentence_settings() {
            Ok(None) => {}
            Ok(Some(settings)) => {
                let pooling = match settings.pooling {
                    Pooling::Mean => "the mean of the tokens",
                    Pooling::First => "the first token",
                };
                let length = if settings.normalises { ", brought to length 1" } else { "" };
                let most = settings.max_tokens.map(|most| format!(", of at most {most} tokens"));
                rows.push(("sentences", format!("{pooling}{length}{}", most.unwrap_or_default())));
            }
            Err(error) => rows.push(("sentences", error.to_string())),
        }
        rows
    }

    /// To train everything in 32 bits with Adam.
    fn memory(&self) -> Option<Memory> {
        let (_, tree) = self.sample()?;
        let parameters = tree.cost.parameters as f64;
        Some(Memory::new([parameters; 2], tree.cost.kept as f64, Precision::F32, 0))
    }

    fn page(&self) -> String {
        let sums = self.tree.sums();
        let mut text = String::new();
        let mut row = |name: &str, told: &str| {
            // writing to a string cannot fail
            let _ = writeln!(text, "{name:13} {told}");
        };
        let kind = match &self.folder {
            Some(ModelFolder::Imported(_)) => "imported",
            Some(ModelFolder::Published(_)) => "published",
            None => "weights alone",
        };
        row("model", &format!("{}, {kind}", self.path));
        match &self.family {
            Ok(family) => row("family", &format!("{}, {}", family.name, family.about)),
            Err(problem) => row("family", &format!("none of ours: {problem}")),
        }
        let files = self.weights.files().collect::<Vec<_>>();
        let on_disk = files.iter().map(|(_, n_bytes)| n_bytes).sum::<u64>();
        let name = match files.as_slice() {
            [(path, _)] => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            several => format!("{} files", several.len()),
        };
        row(
            "weights",
            &format!(
                "{name}, {}B: {} tensors, {} parameters, {}",
                bytes(on_disk as f64),
                sums.n_tensors,
                short(sums.parameters as f64),
                dtypes(&sums)
            ),
        );
        for (name, told) in self.companions() {
            row(name, &told);
        }
        match &self.cost {
            Some(Ok((sample, tree))) => {
                row("sample", &format!("{}, {}FLOP forward", told(sample), bytes(tree.cost.flops as f64)));
            }
            Some(Err(problem)) => row("sample", problem),
            None => {}
        }
        if let Some(memory) = self.memory() {
            let [weights, rest, sample] =
                [memory.weights, memory.gradients + memory.optimizer, memory.activations_per_sample]
                    .map(bytes);
            row(
                "memory",
                &format!("{weights}B of weights; to train with Adam {rest}B more, and {sample}B a sample"),
            );
        }
        text.push('\n');
        text.push_str(&table(&self.tree.clone().folded()));
        text
    }

    fn json(&self) -> Value {
        let files = self.weights.files().map(|(path, n_bytes)| {
            json!({ "name": path.file_name().unwrap_or_default().to_string_lossy(), "bytes": n_bytes })
        });
        let companions =
            self.companions().into_iter().map(|(name, told)| (name.to_owned(), Value::from(told)));
        let problem = match (&self.family, &self.cost) {
            (Err(problem), _) | (Ok(_), Some(Err(problem))) => Some(problem),
            _ => None,
        };
        json!({
            "path": self.path,
            "is_imported": matches!(self.folder, Some(ModelFolder::Imported(_))),
            "family": self.family.as_ref().ok().map(|family| family.name),
            "problem": problem,
            "files": files.collect::<Vec<_>>(),
            "companions": companions.collect::<serde_json::Map<_, _>>(),
            "largest_sample": self.sample().map(|(sample, _)| sample),
            "cost": self.sample().map(|(_, tree)| tree),
            "memory": self.memory(),
            "weights": self.tree.json(),
        })
    }

    fn list(&self) -> Value {
        let row = |(name, tensor): (&str, &triptych_encoders::pretrained::StoredTensor)| {
            json!({
                "name": name, "shape": tensor.shape, "dtype": format!("{:?}", tensor.dtype),
                "bytes": tensor.n_bytes(),
            })
        };
        self.weights.tensors().map(row).collect()
    }

    fn lines(&self) -> String {
        let rows = self.weights.tensors().map(|(name, tensor)| (name.escape_debug().to_string(), tensor));
        let rows = rows.collect::<Vec<_>>();
        let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        rows.iter().fold(String::new(), |mut text, (name, tensor)| {
            // writing to a string cannot fail
            let _ = writeln!(text, "{name:width$}  {:?}  {:?}", tensor.dtype, tensor.shape);
            text
        })
    }
}

/// `a text of 77 tokens and a picture of 224 x 224`.
fn told(sample: &LargestSample) -> String {
    let text = sample.n_text_tokens.map(|n_tokens| format!("a text of {n_tokens} tokens"));
    let image = sample.image_side.map(|side| format!("a picture of {side} x {side}"));
    let sound = sample.sound_s.map(|sound_s| format!("a sound of {sound_s} s"));
    [text, image, sound].into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

fn pictures(settings: &PictureSettings) -> String {
    let size = match settings.resize {
        Resize::Square(side) => format!("{side} x {side}"),
        Resize::ShorterSide(side) => format!("the shorter side {side}"),
    };
    let filter = match settings.filter {
        Filter::Bilinear => "bilinear",
        Filter::Bicubic => "bicubic",
    };
    let crop = settings.crop_side.map(|side| format!(", the middle {side} x {side}")).unwrap_or_default();
    format!("{size}, {filter}{crop}; mean {:?}, deviation {:?}", settings.mean, settings.deviation)
}

fn dtypes(sums: &TensorSums) -> String {
    sums.dtypes.iter().cloned().collect::<Vec<_>>().join(" ")
}

/// A line for each module and tensor.
fn table(tree: &TensorTree) -> String {
    let mut rows = vec![["module", "shape", "parameters", "share", "bytes", "type"].map(ToOwned::to_owned)];
    let total = tree.sums().parameters.max(1);
    for (idx, part) in tree.parts.iter().enumerate() {
        push(part, ["", ""], idx + 1 == tree.parts.len(), true, total, &mut rows);
    }
    let widths: [usize; 6] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for [name, shape, parameters, share, n_bytes, dtype] in &rows {
        let [a, b, c, d, e, _] = widths;
        let line = format!("{name:a$}  {shape:b$}  {parameters:>c$}  {share:>d$}  {n_bytes:>e$}  {dtype}");
        // writing to a string cannot fail
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// `above` and `below` are what is drawn before the names of the module around and of what is in it.
fn push(
    tree: &TensorTree,
    [above, below]: [&str; 2],
    is_last: bool,
    is_outermost: bool,
    total: u64,
    rows: &mut Vec<[String; 6]>,
) {
    let sums = tree.sums();
    let (branch, trunk) = match (is_outermost, is_last) {
        (true, _) => ("", ""),
        (false, true) => ("└ ", "  "),
        (false, false) => ("├ ", "│ "),
    };
    let times = if tree.times > 1 { format!(" × {}", tree.times) } else { String::new() };
    let shape = tree.tensor.as_ref().map(|tensor| format!("{:?}", tensor.shape)).unwrap_or_default();
    rows.push([
        format!("{above}{branch}{}{times}", tree.name.escape_debug()),
        shape,
        short(sums.parameters as f64),
        format!("{:.1}%", 100.0 * sums.parameters as f64 / total as f64),
        format!("{}B", bytes(sums.bytes as f64)),
        dtypes(&sums),
    ]);
    let inner = format!("{below}{trunk}");
    for (idx, part) in tree.parts.iter().enumerate() {
        push(part, [&inner, &inner], idx + 1 == tree.parts.len(), false, total, rows);
    }
}
