//! A module's parameters to a file of published tensors.
//!
//! Values are converted one tensor at a time while they are written: there is no second copy of the model.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::Path;

use burn::module::Module;
use burn::prelude::*;
use serde_json::{Map, json};

use super::import::{needed, shares};
use super::part::Part;
use super::rule::Mapping;
use super::{MappingError, module};
use crate::pretrained::CheckpointError;

/// A published tensor as it will be written, the pieces one behind the other.
struct Outgoing<'a> {
    shape: Vec<usize>,
    pieces: Vec<Piece<'a>>,
}

/// What a part of a parameter holds of a published tensor.
struct Piece<'a> {
    part: &'a Part,
    /// Which of the part's tensors it is.
    tensor_idx: usize,
    /// Shape of the part in our parameter.
    share: Vec<usize>,
    /// Our parameter, flattened, and its last axis.
    parameter: &'a Tensor<1>,
    width: usize,
    /// Which columns of the parameter the part takes.
    columns: Range<usize>,
    /// Which of the tensor's values these are.
    range: Range<usize>,
}

impl Piece<'_> {
    fn values(&self) -> Option<Vec<f32>> {
        let values = self.parameter.to_data().try_to_vec::<f32>().ok()?;
        let ours = columns(values, self.width, &self.columns);
        Some(self.part.export(&self.share, ours, self.tensor_idx))
    }
}

/// Some columns of rows of `width` values.
fn columns(values: Vec<f32>, width: usize, columns: &Range<usize>) -> Vec<f32> {
    if columns.len() == width {
        return values;
    }
    values.chunks_exact(width.max(1)).flat_map(|row| &row[columns.clone()]).copied().collect()
}

impl Mapping {
    /// Writes the module's parameters into a safetensors file of 32-bit floats under their published names. A crash
    /// at any instant leaves either the whole file or none.
    ///
    /// # Errors
    /// When the mapping does not fit the module, a parameter that the published model has no place for is not zero, or
    /// the file cannot be written.
    pub fn export<M: Module>(&self, model: &M, path: &Path) -> Result<(), MappingError> {
        let parameters = module::parameters(model);
        let shapes = parameters.iter().map(|(path, (shape, _))| (path.clone(), shape.clone())).collect();
        let mut outgoing: BTreeMap<&str, Outgoing<'_>> = BTreeMap::new();
        for (ours, rule) in self.rules_by_path(&shapes)? {
            let (shape, parameter) = &parameters[ours];
            let width = shape.last().copied().unwrap_or(1);
            let share_width = width / rule.parts.len().max(1);
            for (part_idx, (part, share)) in rule.parts.iter().zip(shares(rule, shape)?).enumerate() {
                let columns = part_idx * share_width..(part_idx + 1) * share_width;
                if *part == Part::Zeros {
                    check_zeros(ours, parameter, width, &columns)?;
                }
                for (tensor_idx, needed) in needed(part, &share, ours)?.into_iter().enumerate() {
                    let (share, columns, range) = (share.clone(), columns.clone(), needed.range);
                    outgoing
                        .entry(needed.name)
                        .or_insert_with(|| Outgoing { shape: needed.shape, pieces: Vec::new() })
                        .pieces
                        .push(Piece { part, tensor_idx, share, parameter, width, columns, range });
                }
            }
        }
        for (published, tensor) in &mut outgoing {
            tensor.pieces.sort_by_key(|piece| piece.range.start);
            let is_next = |end: usize, piece: &Piece| (piece.range.start == end).then_some(piece.range.end);
            let end = tensor.pieces.iter().try_fold(0, is_next);
            if end != Some(tensor.shape.iter().product()) {
                return Err(MappingError::Incomplete { published: (*published).to_owned() });
            }
        }
        write(path, &outgoing).map_err(|source| CheckpointError::io("write", path, source).into())
    }
}

fn check_zeros(
    path: &str,
    parameter: &Tensor<1>,
    width: usize,
    at: &Range<usize>,
) -> Result<(), MappingError> {
    let values = parameter.to_data().try_to_vec::<f32>().unwrap_or_default();
    match columns(values, width, at).iter().find(|value| **value != 0.0) {
        Some(&value) => Err(MappingError::NotZero { path: path.to_owned(), value }),
        None => Ok(()),
    }
}

/// Header and data as `safetensors` describes them; the metadata is what other readers expect of PyTorch's tensors.
fn write(path: &Path, tensors: &BTreeMap<&str, Outgoing<'_>>) -> io::Result<()> {
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
    let mut offset = 0;
    for (name, tensor) in tensors {
        let end = offset + 4 * tensor.shape.iter().product::<usize>();
        let entry = json!({ "dtype": "F32", "shape": tensor.shape, "data_offsets": [offset, end] });
        header.insert((*name).to_owned(), entry);
        offset = end;
    }
    let mut header = serde_json::to_vec(&header)?;
    // the data begins at a multiple of 8 bytes
    header.resize(header.len().next_multiple_of(8), b' ');

    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let file = tempfile::Builder::new().prefix(".part-").tempfile_in(folder)?;
    let mut writer = BufWriter::with_capacity(1 << 20, file.as_file());
    writer.write_all(&(header.len() as u64).to_le_bytes())?;
    writer.write_all(&header)?;
    for piece in tensors.values().flat_map(|tensor| &tensor.pieces) {
        let values = piece.values().ok_or_else(|| io::Error::other("a parameter is not in 32-bit floats"))?;
        for value in values {
            writer.write_all(&value.to_le_bytes())?;
        }
    }
    writer.flush()?;
    drop(writer);
    #[cfg(unix)]
    {
        // a temporary file is private at first; what it becomes is as public as any other file
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
