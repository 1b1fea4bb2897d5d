//! Document frequencies: in how many images' references an n-gram occurs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::n_gram::{Gram, GramMap, NGrams};
use super::{Captions, ImageWords};
use crate::metrics::error::MetricError;

/// In how many images' references each n-gram occurs. Figures compare only under the same table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentFrequencies {
    /// How many images were counted.
    pub n_images: u64,
    /// N-grams of 1 to 4 tokens, joined by a space; those in no reference are left out.
    pub counts: BTreeMap<String, u64>,
}

impl DocumentFrequencies {
    /// Counts the references of these images, an n-gram once an image.
    pub fn of(captions: &Captions) -> Self {
        let (_, shards) = count(captions);
        let of_shard = |shard: &Shard| -> Vec<(String, u64)> {
            let counted = shard.slots.iter().map(|(&gram, &slot)| (gram, shard.counts[slot as usize]));
            let in_references = counted.filter(|&(_, count)| count > 0);
            in_references.map(|(gram, count)| (captions.vocabulary().text(gram), count)).collect()
        };
        let counts = shards.iter().flat_map(of_shard).collect();
        Self { n_images: captions.n_images() as u64, counts }
    }

    pub(super) fn check(&self) -> Result<(), MetricError> {
        if self.n_images == 0 {
            return Err(MetricError::Empty { what: "image counted for document frequencies" });
        }
        match self.counts.iter().find(|&(_, &frequency)| frequency > self.n_images) {
            None => Ok(()),
            Some((n_gram, &frequency)) => Err(MetricError::DocumentFrequency {
                n_gram: n_gram.clone(),
                frequency,
                n_images: self.n_images,
            }),
        }
    }
}

/// The n-grams of an image's captions, each once and sorted, with their frequencies.
pub(super) struct ImageFrequencies {
    pub(super) grams: Vec<Gram>,
    pub(super) frequencies: Vec<u64>,
}

/// What a table says of each image's n-grams.
pub(super) fn of_table(table: &DocumentFrequencies, captions: &Captions) -> Vec<ImageFrequencies> {
    let vocabulary = captions.vocabulary();
    let known: GramMap<u64> =
        (table.counts.iter()).filter_map(|(text, &count)| Some((vocabulary.gram(text)?, count))).collect();
    let look_up = |image: &ImageWords| {
        let (grams, _) = grams_of(image);
        let frequencies = grams.iter().map(|gram| known.get(gram).copied().unwrap_or(0)).collect();
        ImageFrequencies { grams, frequencies }
    };
    captions.words().par_iter().map(look_up).collect()
}

/// What the references themselves say of each image's n-grams.
pub(super) fn of_references(captions: &Captions) -> Vec<ImageFrequencies> {
    let (images, shards) = count(captions);
    let resolve = |image: CountedImage| ImageFrequencies {
        frequencies: (image.grams.iter().zip(&image.slots))
            .map(|(&gram, slot)| shards[shard_of(gram)].counts[slot.load(Ordering::Relaxed) as usize])
            .collect(),
        grams: image.grams,
    };
    images.into_par_iter().map(resolve).collect()
}

struct CountedImage {
    grams: Vec<Gram>,
    /// Whether a reference has the n-gram.
    is_reference: Vec<bool>,
    /// The place of the n-gram's count in its shard: written once, by the thread that counts the shard.
    slots: Vec<AtomicU64>,
}

/// A part of the n-grams that is counted by one thread.
#[derive(Default)]
struct Shard {
    slots: GramMap<u64>,
    counts: Vec<u64>,
}

/// Enough that the threads of any machine end at about the same time; each part reads all n-grams once.
const N_SHARDS: usize = 16;

fn count(captions: &Captions) -> (Vec<CountedImage>, Vec<Shard>) {
    let gather = |image: &ImageWords| {
        let (grams, is_reference) = grams_of(image);
        CountedImage { slots: grams.iter().map(|_| AtomicU64::new(0)).collect(), grams, is_reference }
    };
    let images: Vec<CountedImage> = captions.words().par_iter().map(gather).collect();
    let count = |shard_idx: usize| {
        let mut shard = Shard::default();
        for image in &images {
            let entries = image.grams.iter().zip(&image.is_reference).zip(&image.slots);
            for ((&gram, &is_reference), place) in entries.filter(|entry| shard_of(*entry.0.0) == shard_idx) {
                let slot = *shard.slots.entry(gram).or_insert(shard.counts.len() as u64);
                if slot as usize == shard.counts.len() {
                    shard.counts.push(0);
                }
                shard.counts[slot as usize] += u64::from(is_reference);
                place.store(slot, Ordering::Relaxed);
            }
        }
        shard
    };
    let shards = (0..N_SHARDS).into_par_iter().map(count).collect();
    (images, shards)
}

/// The n-grams of all captions, each once and sorted, and whether a reference has it.
fn grams_of(image: &ImageWords) -> (Vec<Gram>, Vec<bool>) {
    let grams = |caption: &[u32]| NGrams::of(caption).counts.into_iter().flatten().map(|(gram, _)| gram);
    // the mark is a bit below the n-gram: no word's number reaches the highest bit
    let of_hypothesis = grams(&image.hypothesis).map(|gram| gram << 1 | 1);
    let of_references = image.references.iter().flat_map(|reference| grams(reference)).map(|gram| gram << 1);
    let mut marked: Vec<Gram> = of_references.chain(of_hypothesis).collect();
    marked.sort_unstable();
    // of equal ones that of a reference comes first
    marked.dedup_by_key(|marked| *marked >> 1);
    marked.into_iter().map(|marked| (marked >> 1, marked & 1 == 0)).unzip()
}

fn shard_of(gram: Gram) -> usize {
    // other bits than the maps' own
    let folded = gram as u64 ^ (gram >> 64) as u64;
    (folded ^ folded >> 32).wrapping_mul(0x9E37_79B9_7F4A_7C15) as usize >> 20 & (N_SHARDS - 1)
}
