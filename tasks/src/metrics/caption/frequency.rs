//! Document frequencies: in how many images' references an n-gram occurs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::n_gram::{Gram, GramMap, MAX_N, grams};
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
        let counts = for_bins(&gather(captions), |_, counts| -> Vec<(String, u64)> {
            let counted = counts.slots.iter().map(|(&gram, &slot)| (gram, counts.of_slot(slot)));
            let in_references = counted.filter(|&(_, count)| count > 0);
            in_references.map(|(gram, count)| (captions.vocabulary().text(gram), count)).collect()
        });
        let counts = counts.into_iter().flatten().collect();
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
    let images = gather(captions);
    let n_grams = images.iter().map(|image| image.grams.len()).sum::<usize>();
    let found = (0..n_grams).map(|_| AtomicU64::new(0)).collect::<Vec<_>>();
    for_bins(&images, |bin, counts| {
        for (place, slot) in bin {
            // every place is of one bin
            found[place].store(counts.of_slot(slot), Ordering::Relaxed);
        }
    });
    let mut found = found.into_iter().map(AtomicU64::into_inner);
    let with_frequencies = |image: ImageGrams| ImageFrequencies {
        frequencies: found.by_ref().take(image.grams.len()).collect(),
        grams: image.grams,
    };
    images.into_iter().map(with_frequencies).collect()
}

/// The n-grams of an image's captions, each once and sorted.
struct ImageGrams {
    grams: Vec<Gram>,
    /// Whether a reference has the n-gram.
    is_reference: Vec<bool>,
}

fn gather(captions: &Captions) -> Vec<ImageGrams> {
    let gather = |image: &ImageWords| {
        let (grams, is_reference) = grams_of(image);
        ImageGrams { grams, is_reference }
    };
    captions.words().par_iter().map(gather).collect()
}

/// How often the n-grams of a bin are in an image's references.
#[derive(Default)]
struct BinCounts {
    slots: GramMap<u32>,
    counts: Vec<u64>,
}

impl BinCounts {
    /// Counts an n-gram and gives its slot.
    fn add(&mut self, gram: Gram, is_reference: bool) -> u32 {
        let slot = *self.slots.entry(gram).or_insert(self.counts.len() as u32);
        if slot as usize == self.counts.len() {
            self.counts.push(0);
        }
        self.counts[slot as usize] += u64::from(is_reference);
        slot
    }

    fn of_slot(&self, slot: u32) -> u64 {
        self.counts[slot as usize]
    }
}

/// So many that what is counted of one stays in a processor's cache while it is counted.
const N_BINS: usize = 256;

/// Images whose n-grams a thread deals out at a time.
const IMAGES: usize = 512;

/// N-grams of some images that fall into one bin, in order.
#[derive(Clone, Default)]
struct Dealt {
    grams: Vec<Gram>,
    /// Place among the n-grams of all images, doubled, and one more where a reference has the n-gram.
    places: Vec<u64>,
}

/// Counts n-grams by the bins that they fall into, and hands each bin's over: the place of every n-gram among those of all
/// images, with its slot.
fn for_bins<R: Send>(
    images: &[ImageGrams],
    work: impl Fn(Vec<(usize, u32)>, &BinCounts) -> R + Sync,
) -> Vec<R> {
    let mut first = 0;
    let pieces = images.chunks(IMAGES).map(|images| {
        let start = first;
        first += images.iter().map(|image| image.grams.len()).sum::<usize>();
        (start, images)
    });
    let pieces = pieces.collect::<Vec<_>>();
    let deal = |&(start, images): &(usize, &[ImageGrams])| {
        let mut bins = vec![Dealt::default(); N_BINS];
        let grams = images.iter().flat_map(|image| image.grams.iter().zip(&image.is_reference));
        for (place, (&gram, &is_reference)) in (start as u64..).zip(grams) {
            let bin = &mut bins[bin_of(gram)];
            bin.grams.push(gram);
            bin.places.push(place << 1 | u64::from(is_reference));
        }
        bins
    };
    let dealt = pieces.par_iter().map(deal).collect::<Vec<_>>();
    let count = |bin_idx: usize| {
        let mut counts = BinCounts::default();
        let parts = dealt.iter().map(|bins| &bins[bin_idx]);
        let mut slots = Vec::with_capacity(parts.clone().map(|part| part.grams.len()).sum());
        for part in parts {
            let entries = part.grams.iter().zip(&part.places);
            slots.extend(
                entries.map(|(&gram, &place)| ((place >> 1) as usize, counts.add(gram, place & 1 == 1))),
            );
        }
        work(slots, &counts)
    };
    (0..N_BINS).into_par_iter().map(count).collect()
}

/// The n-grams of all captions, each once and sorted, and whether a reference has it.
fn grams_of(image: &ImageWords) -> (Vec<Gram>, Vec<bool>) {
    let of = |caption: &[u32], mark: Gram, marked: &mut Vec<Gram>| {
        // the mark is a bit below the n-gram: no word's number reaches the highest bit
        (0..MAX_N).for_each(|order| marked.extend(grams(caption, order).map(|gram| gram << 1 | mark)));
    };
    let mut marked = Vec::new();
    image.references.iter().for_each(|reference| of(reference, 0, &mut marked));
    of(&image.hypothesis, 1, &mut marked);
    marked.sort_unstable();
    // of equal ones that of a reference comes first
    marked.dedup_by_key(|marked| *marked >> 1);
    marked.into_iter().map(|marked| (marked >> 1, marked & 1 == 0)).unzip()
}

fn bin_of(gram: Gram) -> usize {
    // other bits than the maps' own
    let folded = gram as u64 ^ (gram >> 64) as u64;
    (folded ^ folded >> 32).wrapping_mul(0x9E37_79B9_7F4A_7C15) as usize >> 20 & (N_BINS - 1)
}
