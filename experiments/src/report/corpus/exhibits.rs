//! The pictures and sounds of the page: which are shown, and in which size.

use std::collections::HashSet;

use rayon::prelude::*;
use triptych_datasets::draw::Draw;
use triptych_datasets::sample::Split;
use triptych_datasets::shard::{Corpus, Entry};
use triptych_datasets::survey::{Outlier, Repeats, Survey, clip, thumbnail};

use super::view::split_name;
use super::{Choice, charts};
use crate::report::Media;
use crate::report::numbers::significant;

/// Longest side of a thumbnail in pixels.
const SIDE: usize = 144;
/// All sounds of the gallery together are no longer, which is 32 kB a second.
const GALLERY_S: f64 = 60.0;
/// A sound of the gallery is cut off no earlier than here and no later than there.
const CLIP_S: std::ops::RangeInclusive<f64> = 2.5..=8.0;
/// An odd sound is cut off here.
const ODD_CLIP_S: f64 = 4.0;
/// A longer sound is not decoded for the page.
const MAX_WHOLE_S: f64 = 900.0;
/// Columns of a waveform.
const N_COLUMNS: usize = 220;
/// Odd items shown at either end.
const N_ODD: usize = 3;

/// A sample with its picture or its sound.
#[derive(Clone, Debug)]
pub(super) struct Exhibit {
    pub(super) id: String,
    pub(super) split: Split,
    /// Its first text.
    pub(super) text: String,
    /// Further texts.
    pub(super) others: Vec<String>,
    /// `voice: slt`, the tags that tell it from its neighbours.
    pub(super) tags: Vec<String>,
    pub(super) picture: Option<Result<Picture, String>>,
    pub(super) sound: Option<Result<Sound, String>>,
}

#[derive(Clone, Debug)]
pub(super) struct Picture {
    pub(super) media: Media,
    /// `96 × 64`.
    pub(super) size: String,
}

#[derive(Clone, Debug)]
pub(super) struct Sound {
    pub(super) media: Media,
    pub(super) waveform: String,
    /// `1.2 s`, or `the first 8 of 12.4 s`.
    pub(super) length: String,
    pub(super) is_synthetic: bool,
}

/// A few samples at one end of a quantity.
#[derive(Clone, Debug)]
pub(super) struct OddList {
    pub(super) title: &'static str,
    /// With each one's value.
    pub(super) items: Vec<(Exhibit, String)>,
}

/// Everything that is shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Exhibits {
    pub(super) pictures: Vec<Exhibit>,
    pub(super) sounds: Vec<Exhibit>,
    pub(super) odd: Vec<OddList>,
    /// A picture of each repeated picture, in the order of the survey's examples.
    pub(super) repeated: Vec<Exhibit>,
}

/// What is made of a sample.
#[derive(Clone, Copy)]
enum Want {
    Picture,
    Sound(f64),
    Words,
}

/// Chooses and decodes.
pub(super) fn gather(corpus: &Corpus, survey: &Survey, choice: Choice) -> Exhibits {
    let n_splits = survey.splits.len().max(1);
    let clip_s = GALLERY_S / (choice.n_sounds * n_splits).max(1) as f64;
    let clip_s = clip_s.clamp(*CLIP_S.start(), *CLIP_S.end());
    let (mut pictures, mut sounds) = (Vec::new(), Vec::new());
    for split in survey.splits.keys() {
        pictures
            .extend(chosen(corpus, *split, choice.seed, choice.n_pictures, |entry| entry.image.is_some()));
        sounds.extend(chosen(corpus, *split, choice.seed, choice.n_sounds, |entry| entry.audio.is_some()));
    }
    let show = |idxs: Vec<usize>, want: Want| -> Vec<Exhibit> {
        idxs.into_par_iter().map(|idx| exhibit(corpus, idx, want)).collect()
    };
    let first =
        |repeats: &Repeats| repeats.largest.iter().filter_map(|set| set.idxs.first().copied()).collect();
    Exhibits {
        pictures: show(pictures, Want::Picture),
        sounds: show(sounds, Want::Sound(clip_s)),
        odd: odd(corpus, survey),
        repeated: show(first(&survey.repeated_images), Want::Picture),
    }
}

/// Up to `n` samples of a split in the order of the corpus, of different groups as far as there are.
fn chosen(
    corpus: &Corpus,
    split: Split,
    seed: u64,
    n: usize,
    is_wanted: impl Fn(&Entry) -> bool,
) -> Vec<usize> {
    let entries = corpus.entries();
    let there: Vec<usize> =
        (0..entries.len()).filter(|idx| entries[*idx].split == split && is_wanted(&entries[*idx])).collect();
    let order = Draw::new(seed, 0, split_name(split), "samples of the page").choose(there.len(), there.len());
    let mut groups = HashSet::new();
    let (mut taken, mut spare) = (Vec::new(), Vec::new());
    for idx in order.into_iter().map(|place| there[place]) {
        if taken.len() >= n {
            break;
        }
        if groups.insert(&entries[idx].group) {
            taken.push(idx);
        } else if spare.len() < n {
            spare.push(idx);
        }
    }
    taken.extend(spare.into_iter().take(n.saturating_sub(taken.len())));
    taken.sort_unstable();
    taken
}

fn exhibit(corpus: &Corpus, idx: usize, want: Want) -> Exhibit {
    let entry = &corpus.entries()[idx];
    let is_synthetic = entry.tags.get("synthetic").is_some_and(|value| value == "yes");
    let picture = || match corpus.image_bytes(idx) {
        Ok(found) => found.map(|(bytes, extension)| picture(bytes, extension)),
        Err(error) => Some(Err(error.to_string())),
    };
    let sound = |max_s: f64| match corpus.audio_bytes(idx) {
        Ok(found) => found.map(|(bytes, extension)| sound(bytes, extension, max_s, is_synthetic)),
        Err(error) => Some(Err(error.to_string())),
    };
    let (picture, sound) = match want {
        Want::Picture => (picture(), None),
        Want::Sound(max_s) => (None, sound(max_s)),
        Want::Words => (None, None),
    };
    let telling = ["style", "voice", "speaker", "speaker_id", "language", "accent", "category"];
    let tags = telling.iter().filter_map(|key| entry.tags.get(*key).map(|value| format!("{key}: {value}")));
    Exhibit {
        id: entry.id.clone(),
        split: entry.split,
        text: entry.texts.first().cloned().unwrap_or_default(),
        others: entry.texts.iter().skip(1).cloned().collect(),
        tags: tags.collect(),
        picture,
        sound,
    }
}

fn picture(bytes: &[u8], extension: &str) -> Result<Picture, String> {
    let small = thumbnail(bytes, extension, SIDE)?;
    let media = if small.is_jpeg { Media::jpeg(small.bytes) } else { Media::png(small.bytes) };
    Ok(Picture { media, size: format!("{} × {}", small.width, small.height) })
}

fn sound(bytes: &[u8], extension: &str, max_s: f64, is_synthetic: bool) -> Result<Sound, String> {
    let clip = clip(bytes, extension, max_s, MAX_WHOLE_S, N_COLUMNS)?;
    let length = if clip.whole_s > clip.duration_s + 0.05 {
        format!("the first {} of {} s", significant(clip.duration_s, 2), significant(clip.whole_s, 3))
    } else {
        format!("{} s", significant(clip.whole_s, 3))
    };
    Ok(Sound { waveform: charts::waveform(&clip.peaks), media: Media::wav(clip.wav), length, is_synthetic })
}

fn odd(corpus: &Corpus, survey: &Survey) -> Vec<OddList> {
    let mut lists = Vec::new();
    let mut add = |title: &'static str, ends: &[Outlier], want: Want, value: &dyn Fn(f64) -> String| {
        let items: Vec<(Exhibit, String)> = ends
            .par_iter()
            .take(N_ODD)
            .map(|end| (exhibit(corpus, end.idx, want), end.value))
            .collect::<Vec<_>>()
            .into_iter()
            .map(|(exhibit, number)| (exhibit, value(number)))
            .collect();
        if !items.is_empty() {
            lists.push(OddList { title, items });
        }
    };
    let differ = |ends: &triptych_datasets::survey::Outliers| {
        ends.lowest.first().map(|low| low.value) != ends.highest.first().map(|high| high.value)
    };
    if let Some(images) = &survey.images {
        let megapixels = |value: f64| format!("{} pixels", significant(value, 3));
        let ratio = |value: f64| format!("{} : 1", significant(value, 3));
        if differ(&images.pixels) {
            add("smallest pictures", &images.pixels.lowest, Want::Picture, &megapixels);
            add("largest pictures", &images.pixels.highest, Want::Picture, &megapixels);
        }
        if differ(&images.aspects) {
            add("narrowest pictures", &images.aspects.lowest, Want::Picture, &ratio);
            add("widest pictures", &images.aspects.highest, Want::Picture, &ratio);
        }
    }
    if let Some(sounds) = &survey.sounds {
        let seconds = |value: f64| format!("{} s", significant(value, 3));
        let rate = |value: f64| format!("{} characters a second", significant(value, 3));
        if differ(&sounds.durations) {
            add("shortest sounds", &sounds.durations.lowest, Want::Sound(ODD_CLIP_S), &seconds);
            add("longest sounds", &sounds.durations.highest, Want::Sound(ODD_CLIP_S), &seconds);
        }
        if differ(&sounds.speech_rates) {
            add("least text for its sound", &sounds.speech_rates.lowest, Want::Sound(ODD_CLIP_S), &rate);
            add("most text for its sound", &sounds.speech_rates.highest, Want::Sound(ODD_CLIP_S), &rate);
        }
    }
    if let Some(texts) = survey.texts.as_ref().filter(|texts| differ(&texts.lengths)) {
        let characters = |value: f64| format!("{} characters", significant(value, 4));
        add("samples with the shortest text", &texts.lengths.lowest, Want::Words, &characters);
        add("samples with the longest text", &texts.lengths.highest, Want::Words, &characters);
    }
    lists
}
