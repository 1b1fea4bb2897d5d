//! *deduplicate*: of what is there twice, one stays.
//!
//! Two samples of one split are the same if all that they have is: their pictures, their sounds, and, of samples
//! without either, their texts. Captions of pictures and transcripts of sounds are not compared, since many things
//! may be called the same. The first stays, and takes over the texts of the others.
//!
//! Across splits one shared picture, sound or bare text is enough: the test split keeps it, then validation; what the
//! lower split loses is not taken over.
//!
//! Signatures lie on disk while they are compared. In memory is some hundred bytes a sample at most: hashes, orders and
//! bands as flat, sorted vectors; names and texts only of what has duplicates.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::PipelineError;
use super::item::Item;
use super::ledger::Fault;
use super::recipe::Objection;
use super::signature::{
    BitIndex, PictureSignature, Record, Signature, SoundSignature, SpillWriter, TextSignature, near_leaders,
};
use super::stage::{AllItems, Context, Decision, Stage, Tally, as_value, count};
use crate::sample::{Question, Split};

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

/// No such part, or nothing to be led by.
const NONE: u32 = u32::MAX;
const PARTS: [&str; 3] = ["picture", "sound", "text"];

/// What is known of one kind of part, of all samples.
struct Parts<R> {
    /// Hash and the sample's place.
    keys: Vec<(u128, u32)>,
    /// By place: the number of its signature, or [`NONE`].
    numbers: Vec<u32>,
    signatures: SpillWriter<R>,
}

impl<R: Record> Parts<R> {
    fn in_dir(dir: &Path) -> io::Result<Self> {
        Ok(Self { keys: Vec::new(), numbers: Vec::new(), signatures: SpillWriter::in_dir(dir)? })
    }

    /// Of the next sample.
    fn push(&mut self, key: Option<u128>, signature: Option<&R>) -> io::Result<()> {
        let place = self.numbers.len() as u32;
        self.keys.extend(key.map(|key| (key, place)));
        self.numbers.push(signature.map_or(Ok(NONE), |signature| self.signatures.push(signature))?);
        Ok(())
    }
}

/// By place: the place of the first sample that is the same in a part, which may be itself; [`NONE`] without that part.
type Leaders = Vec<u32>;

/// Samples in the order that decides which is first: the strongest split, then the earliest.
struct Order {
    splits: Vec<Split>,
    places: Vec<u32>,
    /// By place.
    ranks: Vec<u32>,
}

impl Order {
    fn of(splits: Vec<Split>) -> Self {
        let mut places: Vec<u32> = (0..splits.len() as u32).collect();
        places.sort_by_key(|place| std::cmp::Reverse(splits[*place as usize]));
        let mut ranks = vec![0; splits.len()];
        for (rank, place) in places.iter().enumerate() {
            ranks[*place as usize] = rank as u32;
        }
        Self { splits, places, ranks }
    }

    /// Samples with equal keys follow the first of them. Also gives those first ones, in order.
    fn exact(&self, mut keys: Vec<(u128, u32)>) -> (Leaders, Vec<u32>) {
        keys.sort_unstable_by_key(|(key, place)| (*key, self.ranks[*place as usize]));
        let mut leaders = vec![NONE; self.places.len()];
        let mut heads = Vec::new();
        for same in keys.chunk_by(|a, b| a.0 == b.0) {
            let Some((_, head)) = same.first() else { continue };
            heads.push(*head);
            same.iter().for_each(|(_, place)| leaders[*place as usize] = *head);
        }
        heads.sort_unstable_by_key(|place| self.ranks[*place as usize]);
        (leaders, heads)
    }
}

/// What led a sample out, in place of words.
struct Verdict {
    leader: u32,
    /// Which part leaks; none for one that is the same in all.
    leak: Option<usize>,
}

impl Stage for Deduplicate {
    fn name(&self) -> &'static str {
        "deduplicate"
    }

    fn version(&self) -> u32 {
        2
    }

    fn settings(&self) -> Result<serde_json::Value, PipelineError> {
        as_value(&self.0)
    }

    fn is_global(&self) -> bool {
        true
    }

    fn survey(&self, items: &AllItems<'_>, scratch: &Path) -> Result<Decision, PipelineError> {
        let failed = |e| PipelineError::io("compare signatures in", scratch, e);
        let mut splits = Vec::new();
        let mut images = Parts::in_dir(scratch).map_err(failed)?;
        let mut sounds = Parts::in_dir(scratch).map_err(failed)?;
        let mut texts = Parts::in_dir(scratch).map_err(failed)?;
        for item in items() {
            let Item { split, image, audio, signature, .. } = item?;
            splits.push(split);
            images.push(image.map(|it| key_of(&it.blob.hash)), signature.image.as_ref()).map_err(failed)?;
            sounds.push(audio.map(|it| key_of(&it.blob.hash)), signature.audio.as_ref()).map_err(failed)?;
            let text = signature.text.as_ref();
            texts.push(text.map(|text| u128::from(text.exact)), text).map_err(failed)?;
        }
        let order = Order::of(splits);
        let leaders = [
            self.pictures(images, &order).map_err(failed)?,
            self.sounds(sounds, &order).map_err(failed)?,
            self.texts(texts, &order).map_err(failed)?,
        ];
        let mut decision = Decision::default();
        count_clusters(&leaders, &mut decision.tally);
        let verdicts = judge(&leaders, &order);
        drop(leaders);
        self.word(items, &verdicts, &order, &mut decision)?;
        Ok(decision)
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
        if let Some(questions) = decision.questions.get(&place) {
            item.questions.extend(questions.iter().cloned());
        }
        Ok(None)
    }
}

impl Deduplicate {
    fn pictures(&self, parts: Parts<PictureSignature>, order: &Order) -> io::Result<Leaders> {
        let (max_bits, max_levels) = (self.0.image_bits, self.0.image_levels);
        near(parts, order, 1, max_bits, |one| vec![one.bits], |a, b| a.distance(b) <= max_levels)
    }

    fn sounds(&self, parts: Parts<SoundSignature>, order: &Order) -> io::Result<Leaders> {
        let max_bits = (self.0.audio_bits * 512.0).round() as u32;
        near(parts, order, 8, max_bits, |one| one.words().to_vec(), SoundSignature::is_alike)
    }

    fn texts(&self, parts: Parts<TextSignature>, order: &Order) -> io::Result<Leaders> {
        let (mut leaders, heads) = order.exact(parts.keys);
        if self.0.near_texts {
            let numbers: Vec<u32> = heads.iter().map(|place| parts.numbers[*place as usize]).collect();
            let found = near_leaders(&mut parts.signatures.finish()?, &numbers, self.0.text_similarity)?;
            for (head, leader) in heads.iter().zip(found) {
                leaders[*head as usize] = heads[leader as usize];
            }
            follow(&mut leaders);
        }
        Ok(leaders)
    }

    /// The verdicts in words, and what is taken over. Holds the names and texts of what has duplicates, and of those.
    fn word(
        &self,
        items: &AllItems<'_>,
        verdicts: &BTreeMap<u32, Verdict>,
        order: &Order,
        decision: &mut Decision,
    ) -> Result<(), PipelineError> {
        let mut named: HashMap<u32, (String, Words)> =
            verdicts.values().map(|verdict| (verdict.leader, Default::default())).collect();
        let mut others: HashMap<u32, Words> = HashMap::new();
        for (place, item) in items().enumerate() {
            let (item, place) = (item?, place as u32);
            let has_media = item.image.is_some() || item.audio.is_some();
            let is_taken_from = verdicts.get(&place).is_some_and(|verdict| verdict.leak.is_none());
            // bare texts are the same already
            if self.0.merge_texts && has_media && is_taken_from {
                others.insert(place, (item.texts, item.questions));
            } else if let Some(name) = named.get_mut(&place) {
                let is_merged = self.0.merge_texts && has_media;
                let words = if is_merged { (item.texts, item.questions) } else { Words::default() };
                *name = (item.id, words);
            }
        }
        let mut judged: Vec<(&u32, &Verdict)> = verdicts.iter().collect();
        judged.sort_unstable_by_key(|(place, _)| order.ranks[**place as usize]);
        for (place, verdict) in judged {
            let Some((leader, (its_texts, its_questions))) = named.get(&verdict.leader) else { continue };
            let fault = match verdict.leak {
                Some(part) => {
                    let split = name_of(order.splits[verdict.leader as usize]);
                    let reason = format!("its {} is also in the {split} split, as {leader:?}", PARTS[part]);
                    Fault::unwanted("across_splits", reason)
                }
                None => Fault::unwanted("duplicate", format!("the same as {leader:?}")),
            };
            decision.faults.insert(u64::from(*place), fault);
            let Some((texts, questions)) = others.remove(place) else { continue };
            let taken = decision.texts.entry(u64::from(verdict.leader)).or_default();
            let n_before = taken.len();
            for text in texts {
                if !its_texts.contains(&text) && !taken.contains(&text) {
                    taken.push(text);
                }
            }
            count(&mut decision.tally, "texts taken over", (taken.len() - n_before) as u64);
            let new = questions.into_iter().filter(|asked| !its_questions.contains(asked));
            let new = new.collect::<Vec<_>>();
            if !new.is_empty() {
                count(&mut decision.tally, "questions taken over", new.len() as u64);
                decision.questions.entry(u64::from(verdict.leader)).or_default().extend(new);
            }
        }
        Ok(())
    }
}

/// Texts of a sample, and what is asked about it.
type Words = (Vec<String>, Vec<Question>);

/// Equal files first, then what is within `max_bits` and alike; what leads nothing and is led by nothing is compared with.
fn near<R: Record>(
    parts: Parts<R>,
    order: &Order,
    n_words: usize,
    max_bits: u32,
    words: impl Fn(&R) -> Vec<u64>,
    is_alike: impl Fn(&R, &R) -> bool,
) -> io::Result<Leaders> {
    let (mut leaders, heads) = order.exact(parts.keys);
    let mut signatures = parts.signatures.finish()?;
    let mut index = BitIndex::new(n_words);
    for head in heads {
        let number = parts.numbers[head as usize];
        if number == NONE {
            continue;
        }
        let mine = signatures.get(number)?;
        let words = words(&mine);
        let accept = |other: u32| Ok(is_alike(&mine, &signatures.get(parts.numbers[other as usize])?));
        match index.find(&words, max_bits, accept)? {
            Some(leader) => leaders[head as usize] = leader,
            None => index.file(head, &words),
        }
    }
    follow(&mut leaders);
    Ok(leaders)
}

/// What follows a sample that itself follows another follows that one.
fn follow(leaders: &mut [u32]) {
    for place in 0..leaders.len() {
        if let Some(above) = leaders.get(leaders[place] as usize) {
            leaders[place] = *above;
        }
    }
}

/// Which samples go: those with a part in a stronger split, then those that are like an earlier one in all parts.
fn judge(leaders: &[Leaders; 3], order: &Order) -> BTreeMap<u32, Verdict> {
    let mut verdicts = BTreeMap::new();
    let split = |place: u32| order.splits[place as usize];
    let mut together: Vec<([u32; 3], Split, u32)> = Vec::new();
    for place in &order.places {
        let of_parts = [0, 1, 2].map(|part| leaders[part][*place as usize]);
        // a part of a sample that is for testing may not stay where it is trained on
        let leak = (0..3).find(|part| of_parts[*part] != NONE && split(of_parts[*part]) > split(*place));
        if let Some(part) = leak {
            verdicts.insert(*place, Verdict { leader: of_parts[part], leak: Some(part) });
        } else if of_parts != [NONE; 3] {
            together.push((of_parts, split(*place), order.ranks[*place as usize]));
        }
    }
    together.sort_unstable();
    for same in together.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        let Some((_, others)) = same.split_first() else { continue };
        let leader = order.places[same[0].2 as usize];
        for (_, _, rank) in others {
            verdicts.insert(order.places[*rank as usize], Verdict { leader, leak: None });
        }
    }
    verdicts
}

fn count_clusters(leaders: &[Leaders; 3], tally: &mut Tally) {
    for (part, leaders) in PARTS.iter().zip(leaders) {
        let mut sizes = vec![0u32; leaders.len()];
        for leader in leaders.iter().filter(|leader| **leader != NONE) {
            sizes[*leader as usize] += 1;
        }
        let repeated = || sizes.iter().filter(|size| **size > 1);
        count(tally, &format!("clusters by {part}"), repeated().count() as u64);
        count(
            tally,
            &format!("samples in clusters by {part}"),
            repeated().map(|size| u64::from(*size)).sum(),
        );
    }
}

/// The 128 bits of a hash in hexadecimal.
fn key_of(hash: &str) -> u128 {
    u128::from_str_radix(hash, 16).unwrap_or_else(|_| {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&blake3::hash(hash.as_bytes()).as_bytes()[..16]);
        u128::from_le_bytes(bytes)
    })
}

fn name_of(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Validation => "validation",
        Split::Test => "test",
    }
}
