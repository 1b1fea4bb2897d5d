//! *deduplicate*: of what is there twice, one stays.
//!
//! Two samples of one split are the same if all that they have is: their pictures, their sounds, and, of samples
//! without either, their texts. Captions of pictures and transcripts of sounds are not compared, since many things
//! may be called the same. The first stays, and takes over the texts of the others.
//!
//! Across splits one shared picture, sound or bare text is enough: the test split keeps it, then validation; what the
//! lower split loses is not taken over.
//!
//! Signatures are held in memory, about 1 kB a sample.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::error::PipelineError;
use super::item::Item;
use super::ledger::Fault;
use super::recipe::Objection;
use super::signature::{BandIndex, BitIndex, PictureSignature, Signature, SoundSignature, TextSignature};
use super::stage::{Context, Decision, Stage, Tally, as_value, count};
use crate::sample::Split;

/// What counts as the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeduplicateSettings {
    /// Whether pictures that look the same count, not only equal files.
    pub near_images: bool,
    /// How many of the 64 bits of structure may differ; up to 9 is always found.
    pub image_bits: u32,
    /// How far the 16x16 pictures may differ, root mean square in levels of 0 to 255.
    pub image_levels: f32,
    /// Whether sounds that sound the same count.
    pub near_audio: bool,
    /// Share of the 512 bits of a fingerprint that may differ.
    pub audio_bits: f64,
    /// Whether texts with small edits count.
    pub near_texts: bool,
    /// Share of runs of five characters that two texts must have in common.
    pub text_similarity: f64,
    /// Whether what stays takes over the texts of its duplicates in the same split.
    pub merge_texts: bool,
}

impl Default for DeduplicateSettings {
    fn default() -> Self {
        Self {
            near_images: true,
            image_bits: 9,
            image_levels: 8.0,
            near_audio: true,
            audio_bits: 0.35,
            near_texts: true,
            text_similarity: 0.8,
            merge_texts: true,
        }
    }
}

impl DeduplicateSettings {
    pub(crate) fn objections(&self) -> Vec<Objection> {
        let mut objections = Vec::new();
        let mut object = |key, message| objections.push((vec!["deduplicate", key], message));
        if self.image_bits > 16 {
            object("image_bits", format!("expected 0 to 16 of 64 bits, got {}", self.image_bits));
        }
        if !(0.0..=0.4).contains(&self.audio_bits) {
            object("audio_bits", format!("expected 0 to 0.4, got {}", self.audio_bits));
        }
        if !(0.3..=1.0).contains(&self.text_similarity) {
            object("text_similarity", format!("expected 0.3 to 1, got {}", self.text_similarity));
        }
        if !(0.0..=255.0).contains(&self.image_levels) {
            object("image_levels", format!("expected 0 to 255, got {}", self.image_levels));
        }
        objections
    }
}

pub(crate) struct Deduplicate(pub DeduplicateSettings);

/// What the decision needs of a sample.
struct Card {
    place: u64,
    id: String,
    split: Split,
    image: Option<String>,
    audio: Option<String>,
    signature: Signature,
    texts: Vec<String>,
}

impl Stage for Deduplicate {
    fn name(&self) -> &'static str {
        "deduplicate"
    }

    fn version(&self) -> u32 {
        1
    }

    fn settings(&self) -> Result<serde_json::Value, PipelineError> {
        as_value(&self.0)
    }

    fn is_global(&self) -> bool {
        true
    }

    fn survey(
        &self,
        items: &mut dyn Iterator<Item = Result<Item, PipelineError>>,
    ) -> Result<Decision, PipelineError> {
        let mut cards = Vec::new();
        for (place, item) in items.enumerate() {
            let item = item?;
            cards.push(Card {
                place: place as u64,
                id: item.id,
                split: item.split,
                image: item.image.map(|picture| picture.blob.hash),
                audio: item.audio.map(|sound| sound.blob.hash),
                signature: item.signature,
                texts: if self.0.merge_texts { item.texts } else { Vec::new() },
            });
        }
        // the strongest split first, so that the first of a cluster is the one to keep
        cards.sort_by_key(|card| (std::cmp::Reverse(card.split), card.place));
        Ok(self.decide(&cards))
    }

    fn apply(
        &self,
        item: &mut Item,
        place: u64,
        decision: &Decision,
        _context: &Context<'_>,
        _tally: &mut Tally,
    ) -> Result<Option<Fault>, PipelineError> {
        item.signature = Signature::default();
        if let Some(fault) = decision.faults.get(&place) {
            return Ok(Some(fault.clone()));
        }
        if let Some(texts) = decision.texts.get(&place) {
            item.texts.extend(texts.iter().cloned());
        }
        Ok(None)
    }
}

/// For each card the first card that is the same, which may be itself; none for cards without that part.
type Leaders = Vec<Option<usize>>;

impl Deduplicate {
    fn decide(&self, cards: &[Card]) -> Decision {
        let mut decision = Decision::default();
        let parts =
            [("picture", self.pictures(cards)), ("sound", self.sounds(cards)), ("text", self.texts(cards))];
        for (part, leaders) in &parts {
            let mut sizes: BTreeMap<usize, u64> = BTreeMap::new();
            leaders.iter().flatten().for_each(|leader| *sizes.entry(*leader).or_default() += 1);
            let repeated: Vec<u64> = sizes.into_values().filter(|size| *size > 1).collect();
            count(&mut decision.tally, &format!("clusters by {part}"), repeated.len() as u64);
            count(&mut decision.tally, &format!("samples in clusters by {part}"), repeated.iter().sum());
        }
        let mut first_of_all: HashMap<(Split, [Option<usize>; 3]), usize> = HashMap::new();
        for (idx, card) in cards.iter().enumerate() {
            // a part of a sample that is for testing may not stay where it is trained on
            let leak = parts.iter().find_map(|(part, leaders)| {
                let leader = &cards[leaders[idx]?];
                (leader.split > card.split).then_some((part, leader))
            });
            if let Some((part, leader)) = leak {
                let reason =
                    format!("its {part} is also in the {} split, as {:?}", name_of(leader.split), leader.id);
                decision.faults.insert(card.place, Fault::unwanted("across_splits", reason));
                continue;
            }
            let together = [parts[0].1[idx], parts[1].1[idx], parts[2].1[idx]];
            if together == [None; 3] {
                continue;
            }
            match first_of_all.get(&(card.split, together)) {
                None => {
                    first_of_all.insert((card.split, together), idx);
                }
                Some(first) => {
                    let first = &cards[*first];
                    let reason = format!("the same as {:?}", first.id);
                    decision.faults.insert(card.place, Fault::unwanted("duplicate", reason));
                    self.take_over(first, card, &mut decision);
                }
            }
        }
        decision
    }

    fn take_over(&self, first: &Card, card: &Card, decision: &mut Decision) {
        // bare texts are the same already
        if card.image.is_none() && card.audio.is_none() {
            return;
        }
        let taken = decision.texts.entry(first.place).or_default();
        let mut n_taken = 0;
        for text in &card.texts {
            if !first.texts.contains(text) && !taken.contains(text) {
                taken.push(text.clone());
                n_taken += 1;
            }
        }
        count(&mut decision.tally, "texts taken over", n_taken);
    }

    fn pictures(&self, cards: &[Card]) -> Leaders {
        let mut index = BitIndex::default();
        let signature = |idx: u64| cards[idx as usize].signature.image.as_ref();
        leaders(
            cards,
            |card| card.image.as_deref(),
            |idx, card| {
                let mine: &PictureSignature = card.signature.image.as_ref()?;
                let is_near = |other: u64| {
                    signature(other).is_some_and(|other| mine.distance(other) <= self.0.image_levels)
                };
                let found = index.find(&[mine.bits], self.0.image_bits, is_near);
                if found.is_none() {
                    index.file(idx as u64, &[mine.bits]);
                }
                found
            },
        )
    }

    fn sounds(&self, cards: &[Card]) -> Leaders {
        let mut index = BitIndex::default();
        let max_bits = (self.0.audio_bits * 512.0).round() as u32;
        leaders(
            cards,
            |card| card.audio.as_deref(),
            |idx, card| {
                let mine: &SoundSignature = card.signature.audio.as_ref()?;
                let words = mine.words();
                let is_alike = |other: u64| {
                    let other = cards[other as usize].signature.audio.as_ref();
                    other.is_some_and(|other| mine.is_alike(other))
                };
                let found = index.find(&words, max_bits, is_alike);
                if found.is_none() {
                    index.file(idx as u64, &words);
                }
                found
            },
        )
    }

    fn texts(&self, cards: &[Card]) -> Leaders {
        let mut index = BandIndex::default();
        let mut exact: HashMap<u64, usize> = HashMap::new();
        let signature = |idx: u64| cards[idx as usize].signature.text.as_ref();
        let mut found = Vec::with_capacity(cards.len());
        for (idx, card) in cards.iter().enumerate() {
            let Some(mine): Option<&TextSignature> = card.signature.text.as_ref() else {
                found.push(None);
                continue;
            };
            let same = exact.get(&mine.exact).copied();
            let is_near = |other: u64| {
                signature(other).is_some_and(|other| mine.similarity(other) >= self.0.text_similarity)
            };
            let near = || index.find(mine.bands(), is_near).map(|idx| idx as usize);
            let leader = same.or_else(|| near().filter(|_| self.0.near_texts)).unwrap_or(idx);
            if leader == idx {
                index.file(idx as u64, mine.bands());
            }
            exact.entry(mine.exact).or_insert(leader);
            found.push(Some(leader));
        }
        found
    }
}

/// Equal files first, then what `near` finds; it files what it does not find.
fn leaders<'c>(
    cards: &'c [Card],
    hash: impl Fn(&'c Card) -> Option<&'c str>,
    mut near: impl FnMut(usize, &'c Card) -> Option<u64>,
) -> Leaders {
    let mut exact: HashMap<&str, usize> = HashMap::new();
    let mut leaders = Vec::with_capacity(cards.len());
    for (idx, card) in cards.iter().enumerate() {
        let Some(hash) = hash(card) else {
            leaders.push(None);
            continue;
        };
        let leader = match exact.get(hash) {
            Some(leader) => *leader,
            None => near(idx, card).map_or(idx, |found| found as usize),
        };
        exact.entry(hash).or_insert(leader);
        leaders.push(Some(leader));
    }
    leaders
}

fn name_of(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Validation => "validation",
        Split::Test => "test",
    }
}
