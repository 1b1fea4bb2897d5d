//! Several corpora as one.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::index::FileRecord;
use super::{Corpus, CorpusError};

/// The tag of a joined corpus that says which part a sample is of.
pub const PART_TAG: &str = "corpus";

impl Corpus {
    /// Joins corpora under names of their own into one, which is nowhere on disk as such: its samples are those of the
    /// parts in their order.
    ///
    /// A sample `cat-1` of the part `pets` becomes `pets/cat-1`, its group likewise, so that parts know nothing of each
    /// other; the tag [`PART_TAG`] names the part, for selections. [`Corpus::verify`] is for each part by itself.
    ///
    /// # Errors
    /// No part, a name that comes twice, or an empty one.
    pub fn join(parts: Vec<(String, Self)>) -> Result<Self, CorpusError> {
        let mut names = BTreeSet::new();
        for (name, _) in &parts {
            if name.is_empty() || !names.insert(name.as_str()) {
                return Err(CorpusError::PartName { name: name.clone() });
            }
        }
        let mut parts = parts.into_iter();
        let (name, mut whole) = parts.next().ok_or(CorpusError::PartName { name: String::new() })?;
        whole.become_part(&name, 0);
        // files are found by their whole path from here on
        whole.dir = PathBuf::new();
        for (name, mut part) in parts {
            part.become_part(&name, whole.shards.len());
            whole.index.name = format!("{}+{}", whole.index.name, part.index.name);
            whole.index.recipe = format!("{}+{}", whole.index.recipe, part.index.recipe);
            whole.index.n_samples += part.index.n_samples;
            whole.index.shards.append(&mut part.index.shards);
            whole.entries.append(&mut part.entries);
            whole.licences.append(&mut part.licences);
            whole.shards.append(&mut part.shards);
        }
        whole.index.content_hash = whole.index.compute_content_hash();
        Ok(whole)
    }

    fn become_part(&mut self, name: &str, first_shard: usize) {
        for entry in &mut self.entries {
            entry.id = format!("{name}/{}", entry.id);
            entry.group = format!("{name}/{}", entry.group);
            entry.tags.insert(PART_TAG.to_owned(), name.to_owned());
            entry.shard_idx += first_shard;
        }
        for licence in &mut self.licences {
            licence.part = format!("{name}: {}", licence.part);
        }
        let path = |file: &FileRecord| self.dir.join(&file.name).to_string_lossy().into_owned();
        for shard in &mut self.index.shards {
            shard.name = path(shard);
        }
    }
}
