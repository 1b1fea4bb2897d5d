//! Karpathy's splits of COCO, Flickr8k and Flickr30k (`dataset_coco.json` and the like), which figures in papers go by.
//!
//! <https://cs.stanford.edu/people/karpathy/deepimagesent/>: `images` of `filename`, `split` (`train`, `restval`, `val`, `test`) and `sentences`.
//! `restval` counts as training, as is usual.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use serde::Deserialize;

use super::ImportError;
use super::intake::lines::without_mark;
use super::intake::split::split_of_name;
use crate::sample::Split;

/// The split of every picture, by its file name.
pub(super) struct Karpathy {
    splits: HashMap<String, Split>,
}

#[derive(Deserialize)]
struct Document {
    images: Vec<Image>,
}

#[derive(Deserialize)]
struct Image {
    filename: String,
    split: String,
}

impl Karpathy {
    /// Reads the file that the user named.
    ///
    /// # Errors
    /// A file that cannot be read, or has another layout.
    pub(super) fn read(path: &Path) -> Result<Self, ImportError> {
        let unfit = |place: String, problem: String| ImportError::Source {
            source_name: path.display().to_string(),
            place,
            problem,
        };
        let whole = || "whole file".to_owned();
        let file = File::open(path).map_err(|e| unfit(whole(), e.to_string()))?;
        let reader = without_mark(file).map_err(|e| unfit(whole(), e.to_string()))?;
        let document: Document = serde_json::from_reader(reader)
            .map_err(|e| unfit(format!("line {} column {}", e.line(), e.column()), e.to_string()))?;
        let mut splits = HashMap::with_capacity(document.images.len());
        for Image { filename, split } in document.images {
            let problem = || {
                unfit(
                    format!("image {filename:?}"),
                    format!("expected train, restval, val or test, got {split:?}"),
                )
            };
            let split = split_of_name(&split).ok_or_else(problem)?;
            splits.insert(filename, split);
        }
        Ok(Self { splits })
    }

    /// The split of a picture.
    ///
    /// # Errors
    /// In words: a picture that the file does not name.
    pub(super) fn split(&self, file_name: &str) -> Result<Split, String> {
        let base = file_name.rsplit('/').next().unwrap_or(file_name);
        let found = self.splits.get(base).copied();
        found.ok_or_else(|| format!("expected {base:?} in the file of Karpathy's splits, it is not in it"))
    }
}
