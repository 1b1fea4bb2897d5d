//! What is measured of one sample, apart from all others.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::header::{AudioHeader, ImageHeader, audio_header, image_header};
use super::wording::{TokenCounter, Wording};
use crate::shard::{Corpus, CorpusError, Entry, Member};

/// A sample's measures.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) image: Option<Result<ImageHeader, String>>,
    pub(super) audio: Option<Result<AudioHeader, String>>,
    /// In the order of the sample's texts.
    pub(super) texts: Vec<Wording>,
}

impl Facts {
    pub(super) fn of(corpus: &Corpus, idx: usize, entry: &Entry, tokens: Option<&TokenCounter>) -> Self {
        Self {
            image: header(&entry.image, || corpus.image_bytes(idx), image_header),
            audio: header(&entry.audio, || corpus.audio_bytes(idx), audio_header),
            texts: entry.texts.iter().map(|text| Wording::of(text, tokens)).collect(),
        }
    }
}

fn header<'a, T>(
    member: &Option<Member>,
    read: impl FnOnce() -> Result<Option<(&'a [u8], &'a str)>, CorpusError>,
    parse: impl FnOnce(&[u8], &str) -> Result<T, String>,
) -> Option<Result<T, String>> {
    member.as_ref()?;
    match read() {
        Ok(found) => found.map(|(bytes, extension)| without_panic(|| parse(bytes, extension))),
        Err(error) => Some(Err(error.to_string())),
    }
}

/// A decoder that gives up on a hostile file must not take the others down with it.
pub(super) fn without_panic<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let words = panic
            .downcast_ref::<&str>()
            .map(|words| (*words).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "it gave no reason".to_owned());
        Err(format!("the decoder gave up: {words}"))
    })
}

/// The member's hash as a number: equal for equal bytes.
pub(super) fn member_key(member: &Member) -> u64 {
    u64::from_str_radix(&member.hash, 16).unwrap_or_else(|_| super::repeats::key(member.hash.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoder_that_panics_is_one_bad_sample() {
        let found: Result<(), String> = without_panic(|| panic!("index {} out of range", 7));
        assert_eq!(found, Err("the decoder gave up: index 7 out of range".to_owned()));
    }
}
