//! Measures of single samples to figures of all, one sample after another.

use std::collections::BTreeMap;

use super::distribution::Values;
use super::extremes::Ends;
use super::facts::{Facts, member_key};
use super::figures::{
    Amounts, AudioFigures, ImageFigures, LanguageFigures, Survey, TextFigures, Unreadable, Vocabulary,
};
use super::header::{AudioHeader, ImageHeader};
use super::repeats::{self, SPLITS, Seen, split_idx};
use super::tally::Tally;
use super::wording::Wording;
use crate::shard::{Corpus, Entry};
use crate::text::language::Guess;
use crate::text::normalise;

const N_WORDS_SHOWN: usize = 50;
const N_VALUES_SHOWN: usize = 24;
const N_UNREADABLE_SHOWN: usize = 50;
/// More tags than this are no tags.
const MAX_TAGS: usize = 256;
/// Tags that name a language, the first that a sample has counts.
const LANGUAGE_TAGS: [&str; 3] = ["language", "lang", "locale"];
/// A repeated text is shown up to this length.
const MAX_SHOWN_CHARACTERS: usize = 120;

/// Everything seen so far.
#[derive(Debug, Default)]
pub(super) struct Accumulator {
    amounts: [Amounts; 3],
    images: Images,
    sounds: Sounds,
    texts: Texts,
    tags: BTreeMap<String, Tally>,
    groups: Seen,
    n_unreadable: u64,
    unreadable: Vec<Unreadable>,
}

#[derive(Debug, Default)]
struct Images {
    seen: Seen,
    width: Values,
    height: Values,
    aspect: Values,
    n_bytes: Values,
    formats: Tally,
    pixels: Ends,
    aspects: Ends,
}

#[derive(Debug, Default)]
struct Sounds {
    seen: Seen,
    duration_s: Values,
    n_bytes: Values,
    characters_per_s: Values,
    n_without_duration: u64,
    rates_hz: Tally,
    channels: Tally,
    formats: Tally,
    durations: Ends,
    speech_rates: Ends,
}

#[derive(Debug, Default)]
struct Texts {
    seen: Seen,
    n_a_sample: Values,
    n_characters: Values,
    n_words: Values,
    n_tokens: Values,
    n_empty: u64,
    n_said_twice: u64,
    words: Tally,
    tagged: Tally,
    guessed: Tally,
    n_short: u64,
    n_unsure: u64,
    lengths: Ends,
}

impl Accumulator {
    pub(super) fn push(&mut self, idx: usize, entry: &Entry, facts: Facts) {
        let amounts = &mut self.amounts[split_idx(entry.split)];
        amounts.n_samples += 1;
        amounts.n_texts += entry.texts.len() as u64;
        amounts.n_words += facts.texts.iter().map(|text| text.words.len() as u64).sum::<u64>();
        let is_wordless = facts.texts.iter().all(|text| text.is_empty);
        amounts.n_empty += u64::from(entry.image.is_none() && entry.audio.is_none() && is_wordless);
        self.groups.push(repeats::key(entry.group.as_bytes()), idx, entry.split);

        if let Some(member) = &entry.image {
            amounts.n_images += 1;
            amounts.image_bytes += member.n_bytes;
            self.images.n_bytes.push(member.n_bytes as f64);
            self.images.seen.push(member_key(member), idx, entry.split);
        }
        match facts.image {
            Some(Ok(header)) => self.images.push(idx, entry, &header),
            Some(Err(problem)) => self.unreadable(entry, "picture", problem),
            None => {}
        }
        if let Some(member) = &entry.audio {
            let amounts = &mut self.amounts[split_idx(entry.split)];
            amounts.n_sounds += 1;
            amounts.sound_bytes += member.n_bytes;
            self.sounds.n_bytes.push(member.n_bytes as f64);
            self.sounds.seen.push(member_key(member), idx, entry.split);
        }
        match facts.audio {
            Some(Ok(header)) => {
                let duration_s = entry.duration_s.or(header.duration_s);
                self.amounts[split_idx(entry.split)].sound_s += duration_s.unwrap_or(0.0);
                self.sounds.push(idx, entry, &header, duration_s, facts.texts.first());
            }
            Some(Err(problem)) => self.unreadable(entry, "sound", problem),
            None => {}
        }
        self.texts.push(idx, entry, facts.texts);
        for (key, value) in &entry.tags {
            if let Some(tally) = self.tags.get_mut(key) {
                tally.push(value, entry.split);
            } else if self.tags.len() < MAX_TAGS {
                self.tags.entry(key.clone()).or_default().push(value, entry.split);
            }
        }
    }

    fn unreadable(&mut self, entry: &Entry, medium: &'static str, problem: String) {
        self.n_unreadable += 1;
        if self.unreadable.len() < N_UNREADABLE_SHOWN {
            self.unreadable.push(Unreadable { id: entry.id.clone(), medium, problem });
        }
    }

    pub(super) fn finish(self, corpus: &Corpus) -> Survey {
        let entries = corpus.entries();
        let id = |idx: usize| entries[idx].id.clone();
        let text = |key: u64, idx: usize| {
            let is_it = |text: &&String| repeats::key(normalise(text).as_bytes()) == key;
            entries[idx].texts.iter().find(is_it).map(|text| shortened(text))
        };
        let group = |_: u64, idx: usize| Some(shortened(&entries[idx].group));
        let nothing = |_: u64, _: usize| None;

        let mut amounts = self.amounts;
        for (amounts, n_groups) in amounts.iter_mut().zip(self.groups.n_by_split()) {
            amounts.n_groups = n_groups;
        }
        let groups = self.groups.finish(&id, &group);
        let total = Amounts { n_groups: groups.n_distinct, ..sum(&amounts) };
        let images = (total.n_images > 0).then(|| self.images.finish(&id, &nothing));
        let sounds = (total.n_sounds > 0).then(|| self.sounds.finish(&id, &nothing));
        let texts = (total.n_texts > 0).then(|| self.texts.finish(&id, &text));
        let (images, repeated_images) = images.unzip();
        let (sounds, repeated_sounds) = sounds.unzip();
        let (texts, repeated_texts) = texts.unzip();
        Survey {
            name: corpus.name().to_owned(),
            content_hash: corpus.content_hash().to_owned(),
            total,
            splits: SPLITS.into_iter().zip(amounts).filter(|(_, amounts)| amounts.n_samples > 0).collect(),
            images,
            sounds,
            texts,
            tags: self.tags.iter().map(|(key, tally)| tally.tag(key, N_VALUES_SHOWN)).collect(),
            repeated_images: repeated_images.unwrap_or_default(),
            repeated_sounds: repeated_sounds.unwrap_or_default(),
            repeated_texts: repeated_texts.unwrap_or_default(),
            groups,
            n_unreadable: self.n_unreadable,
            unreadable: self.unreadable,
        }
    }
}

type Named<'a> = &'a dyn Fn(usize) -> String;
type Shared<'a> = &'a dyn Fn(u64, usize) -> Option<String>;

impl Images {
    fn push(&mut self, idx: usize, entry: &Entry, header: &ImageHeader) {
        let (width, height) = (f64::from(header.width), f64::from(header.height));
        self.width.push(width);
        self.height.push(height);
        self.aspect.push(width / height);
        self.formats.push(&header.format, entry.split);
        self.pixels.push(idx, width * height);
        self.aspects.push(idx, width / height);
    }

    fn finish(self, id: Named<'_>, shared: Shared<'_>) -> (ImageFigures, repeats::Repeats) {
        let figures = ImageFigures {
            width: self.width.finish(),
            height: self.height.finish(),
            aspect: self.aspect.finish(),
            n_bytes: self.n_bytes.finish(),
            formats: self.formats.most_frequent(N_VALUES_SHOWN),
            pixels: self.pixels.finish(id),
            aspects: self.aspects.finish(id),
        };
        (figures, self.seen.finish(id, shared))
    }
}

impl Sounds {
    fn push(
        &mut self,
        idx: usize,
        entry: &Entry,
        header: &AudioHeader,
        duration_s: Option<f64>,
        text: Option<&Wording>,
    ) {
        self.formats.push(&header.format, entry.split);
        if let Some(rate_hz) = header.rate_hz {
            self.rates_hz.push(&rate_hz.to_string(), entry.split);
        }
        if let Some(n_channels) = header.n_channels {
            self.channels.push(&n_channels.to_string(), entry.split);
        }
        let Some(duration_s) = duration_s else {
            self.n_without_duration += 1;
            return;
        };
        self.duration_s.push(duration_s);
        self.durations.push(idx, duration_s);
        if let Some(text) = text.filter(|text| !text.is_empty && duration_s > 0.0) {
            let characters_per_s = text.n_characters as f64 / duration_s;
            self.characters_per_s.push(characters_per_s);
            self.speech_rates.push(idx, characters_per_s);
        }
    }

    fn finish(self, id: Named<'_>, shared: Shared<'_>) -> (AudioFigures, repeats::Repeats) {
        let figures = AudioFigures {
            duration_s: self.duration_s.finish(),
            n_bytes: self.n_bytes.finish(),
            characters_per_s: self.characters_per_s.finish(),
            n_without_duration: self.n_without_duration,
            rates_hz: self.rates_hz.most_frequent(N_VALUES_SHOWN),
            channels: self.channels.most_frequent(N_VALUES_SHOWN),
            formats: self.formats.most_frequent(N_VALUES_SHOWN),
            durations: self.durations.finish(id),
            speech_rates: self.speech_rates.finish(id),
        };
        (figures, self.seen.finish(id, shared))
    }
}

impl Texts {
    fn push(&mut self, idx: usize, entry: &Entry, texts: Vec<Wording>) {
        self.n_a_sample.push(texts.len() as f64);
        let language = LANGUAGE_TAGS.iter().find_map(|key| entry.tags.get(*key));
        let mut keys: Vec<u64> = Vec::with_capacity(texts.len());
        for text in texts {
            self.n_characters.push(text.n_characters as f64);
            self.lengths.push(idx, text.n_characters as f64);
            self.n_words.push(text.words.len() as f64);
            if let Some(n_tokens) = text.n_tokens {
                self.n_tokens.push(n_tokens as f64);
            }
            text.words.iter().for_each(|word| self.words.push(word, entry.split));
            if text.is_empty {
                self.n_empty += 1;
                continue;
            }
            match (language, text.guess) {
                (Some(language), _) => self.tagged.push(&language.to_lowercase(), entry.split),
                (None, Guess::Language { name, .. }) => self.guessed.push(name, entry.split),
                (None, Guess::Short) => self.n_short += 1,
                (None, Guess::Unsure) => self.n_unsure += 1,
            }
            if keys.contains(&text.key) {
                self.n_said_twice += 1;
            } else {
                keys.push(text.key);
                self.seen.push(text.key, idx, entry.split);
            }
        }
    }

    fn finish(self, id: Named<'_>, shared: Shared<'_>) -> (TextFigures, repeats::Repeats) {
        let figures = TextFigures {
            n_a_sample: self.n_a_sample.finish(),
            n_characters: self.n_characters.finish(),
            n_words: self.n_words.finish(),
            n_tokens: self.n_tokens.finish(),
            n_empty: self.n_empty,
            n_said_twice: self.n_said_twice,
            vocabulary: Vocabulary {
                n_words: self.words.n(),
                n_distinct: self.words.n_distinct(),
                n_hapaxes: self.words.n_single(),
                most_frequent: self.words.most_frequent(N_WORDS_SHOWN),
            },
            languages: LanguageFigures {
                tagged: self.tagged.most_frequent(N_WORDS_SHOWN),
                guessed: self.guessed.most_frequent(N_WORDS_SHOWN),
                n_short: self.n_short,
                n_unsure: self.n_unsure,
            },
            lengths: self.lengths.finish(id),
        };
        (figures, self.seen.finish(id, shared))
    }
}

fn sum(parts: &[Amounts]) -> Amounts {
    parts.iter().fold(Amounts::default(), |total, part| Amounts {
        n_samples: total.n_samples + part.n_samples,
        n_groups: total.n_groups,
        n_images: total.n_images + part.n_images,
        image_bytes: total.image_bytes + part.image_bytes,
        n_sounds: total.n_sounds + part.n_sounds,
        sound_bytes: total.sound_bytes + part.sound_bytes,
        sound_s: total.sound_s + part.sound_s,
        n_texts: total.n_texts + part.n_texts,
        n_words: total.n_words + part.n_words,
        n_empty: total.n_empty + part.n_empty,
    })
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
