//! What the values of a pickle mean: a dict of tensors, each a view of a storage.

use std::collections::BTreeMap;
use std::ops::Range;

use safetensors::Dtype;

use super::archive::Members;
use super::pickle::{Node, NodeIdx, Pickle};
use crate::pretrained::checkpoint::StoredTensor;
use crate::pretrained::error::quoted;
use crate::pretrained::safetensors::MAX_AXES;

/// The most values that a tensor may have beyond those of its storage, as an expanded one does.
const MAX_EXPANDED: usize = 1 << 20;

/// Where training scripts keep the state dict that they save with other things.
const NESTED: [&str; 4] = ["state_dict", "model_state_dict", "model", "module"];

/// Storages by their classes' names.
const STORAGES: [(&str, Dtype); 10] = [
    ("FloatStorage", Dtype::F32),
    ("HalfStorage", Dtype::F16),
    ("BFloat16Storage", Dtype::BF16),
    ("DoubleStorage", Dtype::F64),
    ("LongStorage", Dtype::I64),
    ("IntStorage", Dtype::I32),
    ("ShortStorage", Dtype::I16),
    ("CharStorage", Dtype::I8),
    ("ByteStorage", Dtype::U8),
    ("BoolStorage", Dtype::BOOL),
];

/// The names that a state dict's pickle may hold.
pub(super) fn is_known(module: &str, name: &str) -> bool {
    match module {
        "collections" => name == "OrderedDict",
        "torch._utils" => name == "_rebuild_tensor_v2" || name == "_rebuild_parameter",
        "torch" => STORAGES.iter().any(|(storage, _)| *storage == name),
        _ => false,
    }
}

/// Where a tensor's values lie in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    /// The bytes of its storage.
    storage: Range<usize>,
    /// Of its first value, in values.
    offset: usize,
    /// From one value of an axis to the next, in values.
    strides: Vec<usize>,
}

impl View {
    pub(super) fn storage(&self) -> &Range<usize> {
        &self.storage
    }

    /// Calls `visit` with the bytes of each run of values that lie behind one another, in the order of the tensor.
    pub(super) fn for_each_run(&self, shape: &[usize], n_bytes: usize, mut visit: impl FnMut(Range<usize>)) {
        if shape.contains(&0) {
            return;
        }
        // the last axes that lie as those of a contiguous tensor do
        let mut run = 1;
        let mut n_outer = shape.len();
        while n_outer > 0 && (shape[n_outer - 1] == 1 || self.strides[n_outer - 1] == run) {
            n_outer -= 1;
            run *= shape[n_outer];
        }
        let mut position = vec![0; n_outer];
        let mut at = self.offset;
        loop {
            let start = self.storage.start + at * n_bytes;
            visit(start..start + run * n_bytes);
            // the next position, the last axis fastest
            let mut axis = n_outer;
            loop {
                let Some(before) = axis.checked_sub(1) else { return };
                axis = before;
                position[axis] += 1;
                at += self.strides[axis];
                if position[axis] < shape[axis] {
                    break;
                }
                at -= position[axis] * self.strides[axis];
                position[axis] = 0;
            }
        }
    }
}

/// A pickle that is no state dict.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    pub(super) place: String,
    pub(super) expected: String,
    pub(super) got: String,
}

/// The tensors of a state dict by their names.
pub(super) fn tensors(
    pickle: &Pickle,
    folder: &str,
    members: &Members,
) -> Result<BTreeMap<String, (StoredTensor, View)>, Misfit> {
    let reader = Reader { pickle, folder, members };
    let misfit =
        |place: String, expected: &str, got: String| Misfit { place, expected: expected.to_owned(), got };
    let Node::Dict(mut entries) = reader.node(pickle.root).clone() else {
        let got = reader.describe(pickle.root);
        return Err(misfit("data.pkl".to_owned(), "a dict of tensors by name", got));
    };
    let nested = NESTED.iter().find_map(|key| {
        let is_key = |idx| matches!(reader.node(idx), Node::Text(text) if text == key);
        entries.iter().rev().find(|(idx, _)| is_key(*idx)).map(|&(_, value)| value)
    });
    if let Some(idx) = nested
        && let Node::Dict(inner) = reader.node(idx)
    {
        entries = inner.clone();
    }
    let mut found = BTreeMap::new();
    for (key, value) in entries {
        let Node::Text(name) = reader.node(key) else {
            return Err(misfit("data.pkl".to_owned(), "names of tensors", reader.describe(key)));
        };
        let tensor = reader.tensor(value).map_err(|Wrong { expected, got }| Misfit {
            place: format!("tensor {}", quoted(name)),
            expected,
            got,
        })?;
        if found.insert(name.clone(), tensor).is_some() {
            return Err(misfit(format!("tensor {}", quoted(name)), "one of that name", "two".to_owned()));
        }
    }
    Ok(found)
}

/// Expected, got.
struct Wrong {
    expected: String,
    got: String,
}

impl Wrong {
    fn new<T>(expected: impl Into<String>, got: impl Into<String>) -> Result<T, Self> {
        Err(Self { expected: expected.into(), got: got.into() })
    }
}

struct Reader<'a> {
    pickle: &'a Pickle,
    folder: &'a str,
    members: &'a Members,
}

impl Reader<'_> {
    fn node(&self, idx: NodeIdx) -> &Node {
        &self.pickle.nodes[idx]
    }

    fn describe(&self, idx: NodeIdx) -> String {
        match self.node(idx) {
            Node::None => "None".to_owned(),
            Node::Bool(value) => format!("{value}"),
            Node::Int(value) => format!("the number {value}"),
            Node::Float(value) => format!("the number {value}"),
            Node::Text(text) => format!("the text {}", quoted(text)),
            Node::Tuple(items) => format!("a tuple of {}", items.len()),
            Node::List(items) => format!("a list of {}", items.len()),
            Node::Dict(items) => format!("a dict of {}", items.len()),
            Node::Global(module, name) => quoted(&format!("{module}.{name}")),
            Node::Call(function, _) => match self.node(*function) {
                Node::Global(module, name) => format!("what {} makes", quoted(&format!("{module}.{name}"))),
                _ => "what a function makes".to_owned(),
            },
            Node::Persistent(_) => "a storage".to_owned(),
        }
    }

    /// The arguments of a call of `torch._utils.NAME`.
    fn arguments(&self, idx: NodeIdx, function: &str) -> Option<&[NodeIdx]> {
        let Node::Call(called, arguments) = self.node(idx) else { return None };
        let Node::Global(module, name) = self.node(*called) else { return None };
        let Node::Tuple(items) = self.node(*arguments) else { return None };
        (module == "torch._utils" && name == function).then_some(items)
    }

    fn tensor(&self, idx: NodeIdx) -> Result<(StoredTensor, View), Wrong> {
        // a parameter: its tensor, whether it wants a gradient, hooks
        let idx = match self.arguments(idx, "_rebuild_parameter") {
            Some([tensor, ..]) => *tensor,
            Some([]) => return Wrong::new("a parameter's tensor", "none"),
            None => idx,
        };
        // storage, offset, shape, strides, whether it wants a gradient, hooks
        let Some(arguments) = self.arguments(idx, "_rebuild_tensor_v2") else {
            return Wrong::new("a tensor", self.describe(idx));
        };
        let [storage, offset, shape, strides, ..] = *arguments else {
            return Wrong::new(
                "a tensor's storage, offset, shape and strides",
                format!("{} arguments", arguments.len()),
            );
        };
        let (dtype, n_values, bytes) = self.storage(storage)?;
        let (offset, shape, strides) = (self.size(offset)?, self.sizes(shape)?, self.sizes(strides)?);
        if shape.len() != strides.len() || shape.len() > MAX_AXES {
            let expected = format!("a stride for each of at most {MAX_AXES} axes");
            return Wrong::new(expected, format!("{} axes, {} strides", shape.len(), strides.len()));
        }
        let tensor = StoredTensor { dtype, shape };
        let view = View { storage: bytes, offset, strides };
        match extent(&tensor.shape, &view) {
            Some((n_elements, end)) if end <= n_values && n_elements <= n_values.max(MAX_EXPANDED) => {
                Ok((tensor, view))
            }
            _ => Wrong::new(
                format!("values within its storage of {n_values}"),
                format!("shape {:?}, strides {:?} from value {offset}", tensor.shape, view.strides),
            ),
        }
    }

    /// Type, number of values and place of a storage: ("storage", class, key, device, number of values).
    fn storage(&self, idx: NodeIdx) -> Result<(Dtype, usize, Range<usize>), Wrong> {
        let Node::Persistent(key) = self.node(idx) else {
            return Wrong::new("a storage", self.describe(idx));
        };
        let Node::Tuple(items) = self.node(*key) else {
            return Wrong::new("a storage's class, key, device and size", self.describe(*key));
        };
        let [kind, class, key, _, n_values] = items[..] else {
            return Wrong::new("a storage's class, key, device and size", self.describe(idx));
        };
        let (Node::Text(kind), Node::Global(_, class), Node::Text(key)) =
            (self.node(kind), self.node(class), self.node(key))
        else {
            return Wrong::new("a storage's class, key, device and size", "other values");
        };
        let dtype = STORAGES.iter().find(|(name, _)| name == class).map(|(_, dtype)| *dtype);
        let (Some(dtype), "storage") = (dtype, kind.as_str()) else {
            return Wrong::new(
                "a storage of a known type",
                format!("{} of type {}", quoted(kind), quoted(class)),
            );
        };
        let n_values = self.size(n_values)?;
        let Some(bytes) = self.members.get(&format!("{}data/{key}", self.folder)) else {
            return Wrong::new(format!("member {}", quoted(&format!("data/{key}"))), "none of that name");
        };
        let n_bytes = n_values.checked_mul(dtype.bitsize() / 8);
        if n_bytes != Some(bytes.len()) {
            let expected = format!("a storage of {n_values} values of {dtype:?}");
            return Wrong::new(expected, format!("{} bytes", bytes.len()));
        }
        Ok((dtype, n_values, bytes.clone()))
    }

    fn size(&self, idx: NodeIdx) -> Result<usize, Wrong> {
        match self.node(idx) {
            Node::Int(value) => match usize::try_from(*value) {
                Ok(size) => Ok(size),
                Err(_) => Wrong::new("a size of at least 0", value.to_string()),
            },
            _ => Wrong::new("a size", self.describe(idx)),
        }
    }

    fn sizes(&self, idx: NodeIdx) -> Result<Vec<usize>, Wrong> {
        match self.node(idx) {
            Node::Tuple(items) => items.iter().map(|&item| self.size(item)).collect(),
            _ => Wrong::new("a tuple of sizes", self.describe(idx)),
        }
    }
}

/// The number of elements, and one past the last value of the storage that is read.
fn extent(shape: &[usize], view: &View) -> Option<(usize, usize)> {
    // a length of 0 does not hide that the others are too large
    shape.iter().filter(|&&length| length > 0).try_fold(1usize, |n, &length| n.checked_mul(length))?;
    let n_elements = shape.iter().product::<usize>();
    if n_elements == 0 {
        return Some((0, 0));
    }
    let mut last = view.offset;
    for (&length, &stride) in shape.iter().zip(&view.strides) {
        last = last.checked_add((length - 1).checked_mul(stride)?)?;
    }
    Some((n_elements, last.checked_add(1)?))
}
