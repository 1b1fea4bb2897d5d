//! Reading the bundled files.

use std::collections::HashMap;

use serde::Deserialize;

use super::bundle::{Style, Voice};
use crate::corpora::ImportError;
use crate::shard::Licence;

/// A line of `concepts.jsonl`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Concept {
    pub concept: String,
    pub known: bool,
    pub emoji: String,
    /// The first is the concept's name.
    pub captions: Vec<String>,
    pub keywords: Vec<String>,
    pub group: String,
}

impl Concept {
    /// The name as a file name: lower-case letters, digits and single hyphens.
    pub(super) fn slug(&self) -> String {
        let mut slug = String::with_capacity(self.concept.len());
        for c in self.concept.chars().flat_map(char::to_lowercase) {
            if c.is_alphanumeric() {
                slug.push(c);
            } else if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
            }
        }
        slug.truncate(slug.trim_end_matches('-').len());
        slug
    }
}

pub(super) struct Drawing<'a> {
    pub concept: &'a Concept,
    pub svg: String,
    /// In its file, from 1.
    pub line: usize,
}

pub(super) struct Recording<'a> {
    pub concept: &'a Concept,
    pub start_samples: usize,
    pub n_samples: usize,
    /// In its file, from 1.
    pub line: usize,
}

/// The concepts in their order, at most so many of each kind.
pub(super) fn concepts(
    text: &str,
    n_known: Option<usize>,
    n_unknown: Option<usize>,
) -> Result<Vec<Concept>, ImportError> {
    let (mut known_left, mut unknown_left) = (n_known.unwrap_or(usize::MAX), n_unknown.unwrap_or(usize::MAX));
    let mut concepts = Vec::new();
    for (line_idx, line) in text.lines().enumerate() {
        let concept: Concept =
            serde_json::from_str(line).map_err(|e| wrong("concepts.jsonl", line_idx, e.to_string()))?;
        if concept.captions.first() != Some(&concept.concept) {
            let problem = format!("expected {:?} as its first caption", concept.concept);
            return Err(wrong("concepts.jsonl", line_idx, problem));
        }
        let left = if concept.known { &mut known_left } else { &mut unknown_left };
        if *left > 0 {
            *left -= 1;
            concepts.push(concept);
        }
    }
    Ok(concepts)
}

pub(super) fn licences(text: &str) -> Result<Vec<Licence>, ImportError> {
    serde_json::from_str(text).map_err(|e| wrong("licenses.json", e.line().saturating_sub(1), e.to_string()))
}

/// The drawings of those concepts that a style has.
pub(super) fn drawings<'a>(style: &Style, concepts: &'a [Concept]) -> Result<Vec<Drawing<'a>>, ImportError> {
    #[derive(Deserialize)]
    struct Line {
        concept: String,
        svg: String,
    }
    let file = format!("drawings/{}.jsonl.zst", style.name);
    let bytes = zstd::stream::decode_all(style.drawings).map_err(|e| wrong(&file, 0, e.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|e| wrong(&file, 0, e.to_string()))?;
    let by_name = by_name(concepts);
    let mut drawings = Vec::new();
    for (line_idx, line) in text.lines().enumerate() {
        let line: Line = serde_json::from_str(line).map_err(|e| wrong(&file, line_idx, e.to_string()))?;
        if let Some(concept) = by_name.get(line.concept.as_str()) {
            drawings.push(Drawing { concept, svg: line.svg, line: line_idx + 1 });
        }
    }
    Ok(drawings)
}

/// The recordings of those concepts that a voice says.
pub(super) fn recordings<'a>(
    voice: &Voice,
    concepts: &'a [Concept],
) -> Result<Vec<Recording<'a>>, ImportError> {
    let file = format!("speech/{}.tsv", voice.name);
    let by_name = by_name(concepts);
    let mut recordings = Vec::new();
    for (line_idx, line) in voice.table.lines().enumerate().skip(1) {
        let malformed =
            || wrong(&file, line_idx, format!("expected concept, start_samples, n_samples, got {line:?}"));
        let fields: Vec<&str> = line.split('\t').collect();
        let [concept, start, length] = fields[..] else { return Err(malformed()) };
        let (Ok(start_samples), Ok(n_samples)) = (start.parse(), length.parse()) else {
            return Err(malformed());
        };
        if let Some(concept) = by_name.get(concept) {
            recordings.push(Recording { concept, start_samples, n_samples, line: line_idx + 1 });
        }
    }
    Ok(recordings)
}

fn by_name(concepts: &[Concept]) -> HashMap<&str, &Concept> {
    concepts.iter().map(|concept| (concept.concept.as_str(), concept)).collect()
}

fn wrong(file: &str, line_idx: usize, problem: String) -> ImportError {
    ImportError::Source { source_name: file.to_owned(), place: format!("line {}", line_idx + 1), problem }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::bundle::{CONCEPTS, LICENCES, STYLES, VOICES};
    use super::*;

    #[test]
    fn bundle_is_whole() {
        let all = concepts(CONCEPTS, None, None).expect("the bundle is well formed");
        let n_known = all.iter().filter(|concept| concept.known).count();
        assert_eq!((n_known, all.len() - n_known), (802, 90));
        let slugs: HashSet<String> = all.iter().map(Concept::slug).collect();
        assert_eq!(slugs.len(), all.len(), "two concepts share a file name");
        for voice in VOICES {
            let recordings = recordings(voice, &all).expect("the bundle is well formed");
            assert_eq!(recordings.len(), all.len(), "{}", voice.name);
            assert!(recordings.iter().all(|recording| recording.n_samples > 1600), "{}", voice.name);
        }
        for style in STYLES {
            let drawings = drawings(style, &all).expect("the bundle is well formed");
            assert!(drawings.len() * 2 > all.len(), "{} has {}", style.name, drawings.len());
        }
        let ledger = licences(LICENCES).expect("the bundle is well formed");
        for style in STYLES {
            assert!(ledger.iter().any(|row| row.part.contains(style.name)), "no licence for {}", style.name);
        }
    }

    #[test]
    fn limits_count_each_kind() {
        let some = concepts(CONCEPTS, Some(3), Some(2)).expect("the bundle is well formed");
        assert_eq!(some.iter().filter(|concept| concept.known).count(), 3);
        assert_eq!(some.len(), 5);
    }
}
