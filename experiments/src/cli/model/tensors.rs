//! The tensors of a checkpoint as a tree of modules, by the parts of their names.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use triptych_encoders::pretrained::{Checkpoint, StoredTensor};

/// Deeper parts of a name stay one: no model has more modules in one another.
const MAX_DEPTH: usize = 24;

/// A module, or a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TensorTree {
    /// Its part of the name; `0 to 11` of modules that differ in their numbers alone.
    pub(super) name: String,
    /// Where a tensor has this name.
    pub(super) tensor: Option<StoredTensor>,
    pub(super) parts: Vec<TensorTree>,
    /// How many of the same kind there are.
    pub(super) times: usize,
}

/// What is told of modules: everything in all of them included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TensorSums {
    pub(super) n_tensors: usize,
    /// Values in numbers that can be learned.
    pub(super) parameters: u64,
    /// In the files.
    pub(super) bytes: u64,
    pub(super) dtypes: BTreeSet<String>,
}

impl TensorTree {
    /// The tree of all tensors, those without a common module side by side.
    pub(super) fn of(checkpoint: &Checkpoint) -> Self {
        let rows = checkpoint
            .tensors()
            .map(|(name, tensor)| (name.splitn(MAX_DEPTH, '.').collect::<Vec<_>>(), tensor));
        Self::grown("", rows.collect())
    }

    fn grown(name: &str, rows: Vec<(Vec<&str>, &StoredTensor)>) -> Self {
        let mut tree = Self { name: name.to_owned(), tensor: None, parts: Vec::new(), times: 1 };
        let mut parts: BTreeMap<Name<'_>, Vec<(Vec<&str>, &StoredTensor)>> = BTreeMap::new();
        for (path, tensor) in rows {
            match path.split_first() {
                None => tree.tensor = Some(tensor.clone()),
                Some((first, rest)) => {
                    parts.entry(Name(first)).or_default().push((rest.to_vec(), tensor));
                }
            }
        }
        tree.parts = parts.into_iter().map(|(Name(name), rows)| Self::grown(name, rows)).collect();
        tree
    }

    /// The same with one module for neighbours that differ in their numbers alone.
    pub(super) fn folded(self) -> Self {
        let mut parts: Vec<Self> = Vec::new();
        // the number of the first of those that the last part stands for
        let mut first = None;
        for part in self.parts.into_iter().map(Self::folded) {
            let number = part.name.parse::<u64>().ok();
            if let (Some(last), Some(from), Some(to)) = (parts.last_mut(), first, number)
                && to == from + last.times as u64
                && (&last.tensor, &last.parts) == (&part.tensor, &part.parts)
            {
                last.times += 1;
                last.name = format!("{from} to {to}");
                continue;
            }
            first = number;
            parts.push(part);
        }
        Self { parts, ..self }
    }

    pub(super) fn sums(&self) -> TensorSums {
        let mut sums = TensorSums::default();
        if let Some(tensor) = &self.tensor {
            let dtype = format!("{:?}", tensor.dtype);
            // F32, BF16, F8_E4M3: numbers of positions and the like are not learned
            let is_float = dtype.trim_start_matches('B').starts_with('F');
            sums.n_tensors = 1;
            sums.parameters = if is_float { tensor.n_elements() as u64 } else { 0 };
            sums.bytes = tensor.n_bytes();
            sums.dtypes.insert(dtype);
        }
        for part in &self.parts {
            let of_part = part.sums();
            sums.n_tensors += of_part.n_tensors;
            sums.parameters += of_part.parameters;
            sums.bytes += of_part.bytes;
            sums.dtypes.extend(of_part.dtypes);
        }
        let times = self.times as u64;
        TensorSums {
            n_tensors: sums.n_tensors * self.times,
            parameters: sums.parameters * times,
            bytes: sums.bytes * times,
            ..sums
        }
    }

    /// With every module, none of them folded.
    pub(super) fn json(&self) -> Value {
        let TensorSums { n_tensors, parameters, bytes, dtypes } = self.sums();
        let mut value = json!({
            "name": self.name, "tensors": n_tensors, "parameters": parameters, "bytes": bytes, "dtypes": dtypes,
        });
        if let Some(tensor) = &self.tensor {
            value["shape"] = tensor.shape.clone().into();
        }
        if !self.parts.is_empty() {
            value["parts"] = self.parts.iter().map(Self::json).collect();
        }
        value
    }
}

/// A part of a name; numbers come in their order, before words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name<'a>(&'a str);

impl Ord for Name<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let number = |name: &Self| name.0.parse::<u64>().map_or((1, 0), |number| (0, number));
        number(self).cmp(&number(other)).then_with(|| self.0.cmp(other.0))
    }
}

impl PartialOrd for Name<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(tensors: &[(&str, &[usize])]) -> TensorTree {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("model.safetensors");
        let mut header = serde_json::Map::new();
        let mut end = 0;
        for (name, shape) in tensors {
            let begin = end;
            end += 4 * shape.iter().product::<usize>();
            let entry = json!({ "dtype": "F32", "shape": shape, "data_offsets": [begin, end] });
            header.insert((*name).to_owned(), entry);
        }
        let header = Value::Object(header).to_string();
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.bytes());
        bytes.resize(bytes.len() + end, 0);
        std::fs::write(&path, bytes).expect("a file");
        TensorTree::of(&Checkpoint::open_file(&path).expect("a checkpoint"))
    }

    #[test]
    fn modules_that_differ_in_their_numbers_alone_are_folded_in_order() {
        let names: Vec<String> = (0..12).map(|idx| format!("layer.{idx}.weight")).collect();
        let mut tensors: Vec<(&str, &[usize])> =
            names.iter().map(|name| (name.as_str(), &[2, 3][..])).collect();
        tensors.push(("layer.12.weight", &[2, 4]));
        let whole = tree(&tensors);
        assert_eq!(whole.parts[0].parts[10].name, "10");
        let folded = whole.clone().folded();
        let layers = &folded.parts[0].parts;
        assert_eq!((layers.len(), layers[0].name.as_str(), layers[0].times), (2, "0 to 11", 12));
        assert_eq!(layers[1].name, "12");
        assert_eq!(folded.sums(), whole.sums());
        assert_eq!((whole.sums().parameters, whole.sums().bytes, whole.sums().n_tensors), (80, 320, 13));
    }

    #[test]
    fn names_of_any_form_have_their_place() {
        let deep = vec!["a"; 100_000].join(".");
        let tree = tree(&[("a", &[1]), ("a.b", &[2]), ("", &[3]), ("..", &[4]), (&deep, &[5])]);
        assert_eq!((tree.sums().n_tensors, tree.sums().parameters), (5, 15));
        assert_eq!(tree.json()["parameters"], 15);
    }
}
