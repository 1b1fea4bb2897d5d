//! What `torch.save` writes of a state dict: a zip file of a pickle, which says what the tensors are, and of their
//! storages. The pickle is read as data; see [`pickle`].

mod archive;
mod pickle;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::checkpoint::StoredTensor;
use super::error::{CheckpointError, quoted};
use super::folder;
use super::safetensors::{not_floats, release};
use super::values;
use archive::Members;
use state::View;

/// The longest pickle that is read; that of a model of 100,000 tensors takes 20 MB.
const MAX_PICKLE_BYTES: usize = 256 << 20;

/// How PyTorch's files began before version 1.6: a pickle of the number 0x1950a86a20f9469cfc6c.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

/// An open PyTorch file.
#[derive(Debug)]
pub(super) struct TorchFile {
    path: PathBuf,
    map: Mmap,
    tensors: BTreeMap<String, (StoredTensor, View)>,
}

impl TorchFile {
    /// Maps the file, reads its pickle and checks that every tensor lies within its storage.
    pub(super) fn open(path: &Path) -> Result<Self, CheckpointError> {
        let map = folder::map(path)?;
        let tensors = tensors(path, &map)?;
        Ok(Self { path: path.to_owned(), map, tensors })
    }

    pub(super) fn tensors(&self) -> impl Iterator<Item = (&String, &StoredTensor)> {
        self.tensors.iter().map(|(name, (tensor, _))| (name, tensor))
    }

    /// Where the file lies, and its size.
    pub(super) fn path_and_bytes(&self) -> (&Path, u64) {
        (&self.path, self.map.len() as u64)
    }

    /// The values of a tensor, or none where it has none of that name.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<f32>>, CheckpointError> {
        let Some((tensor, view)) = self.tensors.get(name) else { return Ok(None) };
        let decode =
            values::decoder(tensor.dtype).ok_or_else(|| not_floats(&self.path, name, tensor.dtype))?;
        let mut out = Vec::with_capacity(tensor.n_elements());
        view.for_each_run(&tensor.shape, tensor.dtype.bitsize() / 8, |run| decode(&self.map[run], &mut out));
        release(&self.map, view.storage());
        Ok(Some(out))
    }
}

fn tensors(path: &Path, bytes: &[u8]) -> Result<BTreeMap<String, (StoredTensor, View)>, CheckpointError> {
    let wrong =
        |place: &str, expected: String, got: String| CheckpointError::content(path, place, expected, got);
    if bytes.starts_with(LEGACY) {
        return Err(wrong(
            "itself",
            "the zip file that PyTorch writes since 1.6".to_owned(),
            "its older format".to_owned(),
        )
        .with_hint("`torch.save(torch.load(FILE, weights_only=True), FILE)` writes it anew"));
    }
    let members = archive::members(bytes)
        .map_err(|archive::Broken { expected, got }| wrong("archive", expected, got))?;
    let (folder, pickle) =
        pickle_of(&members).map_err(|got| wrong("archive", "one data.pkl".to_owned(), got))?;
    if let Some(order) = members.get(&format!("{folder}byteorder"))
        && &bytes[order.clone()] != b"little"
    {
        let got = quoted(&String::from_utf8_lossy(&bytes[order.clone()]));
        return Err(wrong("byteorder", "`little`".to_owned(), got));
    }
    if pickle.len() > MAX_PICKLE_BYTES {
        return Err(wrong("data.pkl", format!("at most {MAX_PICKLE_BYTES} bytes"), pickle.len().to_string()));
    }
    let pickle = pickle::read(&bytes[pickle], state::is_known).map_err(|refused| {
        CheckpointError::content(
            path,
            format!("data.pkl, byte {}", refused.at),
            refused.expected,
            refused.got,
        )
        .with_hint("only tensors are read, and nothing that a file names is run")
    })?;
    state::tensors(&pickle, folder, &members)
        .map_err(|state::Misfit { place, expected, got }| wrong(&place, expected, got))
}

/// The folder within the archive, with its slash, and where its pickle lies; or what is there instead.
fn pickle_of(members: &Members) -> Result<(&str, std::ops::Range<usize>), String> {
    let mut found = members.iter().filter_map(|(name, range)| {
        let folder = name.strip_suffix("data.pkl")?;
        (folder.ends_with('/') && folder.matches('/').count() == 1).then(|| (folder, range.clone()))
    });
    match (found.next(), found.next()) {
        (Some(pickle), None) => Ok(pickle),
        (Some(_), Some(_)) => Err("several".to_owned()),
        (None, _) => {
            let first = members.keys().next().map_or_else(|| "no members".to_owned(), |name| quoted(name));
            Err(format!("{first} and {} more", members.len().saturating_sub(1)))
        }
    }
}
