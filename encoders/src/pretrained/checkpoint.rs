//! The tensors of a published model, in whichever of the usual layouts they lie.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use serde_json::Value;

use super::error::{CheckpointError, quoted};
use super::folder::{self, PublishedFolder};
use super::safetensors::SafetensorsFile;
use super::torch::TorchFile;

/// Where weights may lie, the first that is there taken; an index names the files that share them.
const LAYOUTS: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// What a tensor is, before its values are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTensor {
    /// Type of the values in the file.
    pub dtype: Dtype,
    /// Length of each axis; none for a scalar.
    pub shape: Vec<usize>,
}

impl StoredTensor {
    /// Values in it. The readers refuse shapes whose product does not fit.
    pub fn n_elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes that its values take in the file, where no two of its places share one.
    pub fn n_bytes(&self) -> u64 {
        (self.n_elements() as u64).saturating_mul(self.dtype.bitsize() as u64).div_ceil(8)
    }
}

/// The weights of a published model, mapped into memory: opening reads names, shapes and types; values are read and
/// converted when asked for, straight from the files.
///
/// The files must stay as they are as long as this is alive: one that is cut off under a reader ends the program.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    files: Vec<WeightFile>,
    /// By name: what it is, and the file that holds it.
    tensors: BTreeMap<String, (StoredTensor, usize)>,
}

impl Checkpoint {
    /// Opens the weights in a folder: `model.safetensors` or `pytorch_model.bin`, or several files with their index
    /// `model.safetensors.index.json` or `pytorch_model.bin.index.json`.
    ///
    /// # Errors
    /// When there are none, a part is missing or leads elsewhere, or a file is not what its name says.
    pub fn open(folder: &PublishedFolder) -> Result<Self, CheckpointError> {
        for layout in LAYOUTS {
            let Some(path) = folder.find(layout)? else { continue };
            return if layout.ends_with(".json") {
                Self::open_shards(folder, &path)
            } else {
                Self::from_files(folder.path(), vec![WeightFile::open(&path)?])
            };
        }
        let expected = format!("one of {}", LAYOUTS.join(", "));
        Err(CheckpointError::content(folder.path(), "weights", expected, "none of them"))
    }

    /// Opens one file of weights: safetensors, or what `torch.save` writes.
    ///
    /// # Errors
    /// When it cannot be read or is neither.
    pub fn open_file(path: &Path) -> Result<Self, CheckpointError> {
        Self::from_files(path, vec![WeightFile::open(path)?])
    }

    fn open_shards(folder: &PublishedFolder, index: &Path) -> Result<Self, CheckpointError> {
        let wrong = |place: String, expected: &str, got: &Value| {
            CheckpointError::content(index, place, expected, quoted(&got.to_string()))
        };
        let value = folder::read_json(index)?;
        let Some(map) = value.get("weight_map").and_then(Value::as_object) else {
            let got = value.get("weight_map").unwrap_or(&Value::Null);
            return Err(wrong("key `weight_map`".to_owned(), "a table of file names by tensor", got));
        };
        // opened in the order in which they are named
        let mut shards: Vec<&str> = Vec::new();
        for (name, shard) in map {
            let Some(shard) = shard.as_str() else {
                return Err(wrong(format!("tensor {}", quoted(name)), "the name of a file", shard));
            };
            if !shards.contains(&shard) {
                shards.push(shard);
            }
        }
        let files = shards
            .iter()
            .map(|shard| match folder.find(shard) {
                Ok(Some(path)) => WeightFile::open(&path),
                Ok(None) => {
                    let place = format!("file {}", quoted(shard));
                    Err(CheckpointError::content(index, place, "a file beside the index", "none"))
                }
                Err(error) => Err(error),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let checkpoint = Self::from_files(folder.path(), files)?;
        for (name, shard) in map {
            let held_by = checkpoint.tensors.get(name).map(|&(_, file_idx)| shards[file_idx]);
            if held_by != shard.as_str() {
                let got =
                    held_by.map_or_else(|| "in no file".to_owned(), |held| format!("in {}", quoted(held)));
                let expected = format!("it in {}", quoted(shard.as_str().unwrap_or_default()));
                return Err(CheckpointError::content(
                    index,
                    format!("tensor {}", quoted(name)),
                    expected,
                    got,
                ));
            }
        }
        Ok(checkpoint)
    }

    fn from_files(path: &Path, files: Vec<WeightFile>) -> Result<Self, CheckpointError> {
        let mut tensors = BTreeMap::new();
        for (file_idx, file) in files.iter().enumerate() {
            for (name, tensor) in file.tensors() {
                match tensors.entry(name.clone()) {
                    Entry::Vacant(entry) => entry.insert((tensor.clone(), file_idx)),
                    Entry::Occupied(_) => {
                        let place = format!("tensor {}", quoted(name));
                        return Err(CheckpointError::content(path, place, "it in one file", "it in two"));
                    }
                };
            }
        }
        if tensors.is_empty() {
            return Err(CheckpointError::content(path, "weights", "at least one tensor", "none"));
        }
        Ok(Self { path: path.to_owned(), files, tensors })
    }

    /// The folder or file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The files that hold them, each with its size in bytes.
    pub fn files(&self) -> impl Iterator<Item = (&Path, u64)> {
        self.files.iter().map(WeightFile::path_and_bytes)
    }

    /// Every tensor, by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &StoredTensor)> {
        self.tensors.iter().map(|(name, (tensor, _))| (name.as_str(), tensor))
    }

    /// What the tensor of that name is, if there is one.
    pub fn tensor(&self, name: &str) -> Option<&StoredTensor> {
        self.tensors.get(name).map(|(tensor, _)| tensor)
    }

    /// The values of a tensor in 32-bit floats, the last axis fastest.
    ///
    /// # Errors
    /// When there is none of that name, or its values are no floats.
    pub fn read(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        let values = match self.tensors.get(name) {
            Some((_, file_idx)) => self.files[*file_idx].read(name)?,
            None => None,
        };
        values.ok_or_else(|| CheckpointError::NoTensor { path: self.path.clone(), name: quoted(name) })
    }
}

/// An open file of weights.
#[derive(Debug)]
enum WeightFile {
    Safetensors(SafetensorsFile),
    Torch(TorchFile),
}

impl WeightFile {
    /// By its name.
    fn open(path: &Path) -> Result<Self, CheckpointError> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        match extension {
            "safetensors" => SafetensorsFile::open(path).map(Self::Safetensors),
            "bin" | "pt" | "pth" | "ckpt" => TorchFile::open(path).map(Self::Torch),
            _ => {
                let expected = "a name that ends in .safetensors, .bin, .pt, .pth or .ckpt";
                Err(CheckpointError::content(path, "itself", expected, quoted(extension)))
            }
        }
    }

    fn path_and_bytes(&self) -> (&Path, u64) {
        match self {
            Self::Safetensors(file) => file.path_and_bytes(),
            Self::Torch(file) => file.path_and_bytes(),
        }
    }

    fn tensors(&self) -> Box<dyn Iterator<Item = (&String, &StoredTensor)> + '_> {
        match self {
            Self::Safetensors(file) => Box::new(file.tensors()),
            Self::Torch(file) => Box::new(file.tensors()),
        }
    }

    fn read(&self, name: &str) -> Result<Option<Vec<f32>>, CheckpointError> {
        match self {
            Self::Safetensors(file) => file.read(name),
            Self::Torch(file) => file.read(name),
        }
    }
}
