//! Speech errors in detail: utterances word under word, the most frequent slips, error by speaker and by length.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use serde_json::{Value, json};
use triptych_tasks::metrics::{AlignedWord, EditCounts, WordAlignment};

/// Upper ends of the lengths that are told apart, in reference words.
const LENGTHS: [usize; 6] = [0, 5, 10, 20, 40, 80];

/// Aligned utterances.
pub(super) struct Utterances {
    pub(super) ids: Vec<String>,
    /// One an utterance, or none at all.
    pub(super) speakers: Vec<String>,
    pub(super) alignments: Vec<WordAlignment>,
}

/// How often what happened, the most frequent first.
struct Slips<'a> {
    substitutions: Vec<((&'a str, &'a str), u64)>,
    deletions: Vec<(&'a str, u64)>,
    insertions: Vec<(&'a str, u64)>,
}

impl Utterances {
    fn slips(&self, n_most: usize) -> Slips<'_> {
        let mut substitutions = HashMap::new();
        let mut deletions = HashMap::new();
        let mut insertions = HashMap::new();
        for word in self.alignments.iter().flat_map(WordAlignment::words) {
            match word {
                AlignedWord::Hit(_) => {}
                AlignedWord::Substitution(said, heard) => {
                    *substitutions.entry((said, heard)).or_default() += 1
                }
                AlignedWord::Deletion(said) => *deletions.entry(said).or_default() += 1,
                AlignedWord::Insertion(heard) => *insertions.entry(heard).or_default() += 1,
            }
        }
        Slips {
            substitutions: most(substitutions, n_most),
            deletions: most(deletions, n_most),
            insertions: most(insertions, n_most),
        }
    }

    /// Counts by speaker, the highest error rate first.
    fn by_speaker(&self, n_most: usize) -> Vec<(&str, usize, EditCounts)> {
        let mut speakers: BTreeMap<&str, (usize, EditCounts)> = BTreeMap::new();
        for (speaker, alignment) in self.speakers.iter().zip(&self.alignments) {
            let (n, counts) = speakers.entry(speaker).or_default();
            *n += 1;
            *counts += alignment.counts();
        }
        let mut speakers: Vec<_> =
            speakers.into_iter().map(|(name, (n, counts))| (name, n, counts)).collect();
        speakers.sort_by(|a, b| b.2.error_rate().total_cmp(&a.2.error_rate()));
        speakers.truncate(n_most);
        speakers
    }

    /// Counts by the number of words in the reference.
    fn by_length(&self) -> Vec<(String, usize, EditCounts)> {
        let mut lengths = vec![(0, EditCounts::default()); LENGTHS.len() + 1];
        for alignment in &self.alignments {
            let counts = alignment.counts();
            let bin_idx = LENGTHS.partition_point(|&end| end < counts.n_reference() as usize);
            lengths[bin_idx].0 += 1;
            lengths[bin_idx].1 += counts;
        }
        let name =
            |bin_idx: usize| match (bin_idx.checked_sub(1).map(|idx| LENGTHS[idx] + 1), LENGTHS.get(bin_idx))
            {
                (None, _) => "0".to_owned(),
                (Some(from), Some(to)) => format!("{from}-{to}"),
                (Some(from), None) => format!("{from}+"),
            };
        let named = lengths.into_iter().enumerate().map(|(bin_idx, (n, counts))| (name(bin_idx), n, counts));
        named.filter(|(_, n, _)| *n > 0).collect()
    }

    pub(super) fn json(&self, n_most: usize) -> Value {
        let slips = self.slips(n_most);
        let pairs = slips
            .substitutions
            .iter()
            .map(|((said, heard), n)| json!({"reference": said, "hypothesis": heard, "n": n}));
        let single = |slips: &[(&str, u64)]| -> Vec<Value> {
            slips.iter().map(|(word, n)| json!({"word": word, "n": n})).collect()
        };
        let utterances = self.ids.iter().zip(&self.alignments).map(|(id, alignment)| {
            let counts = alignment.counts();
            let words = alignment.words().map(|word| match word {
                AlignedWord::Hit(said) => json!(["hit", said, said]),
                AlignedWord::Substitution(said, heard) => json!(["substitution", said, heard]),
                AlignedWord::Deletion(said) => json!(["deletion", said, null]),
                AlignedWord::Insertion(heard) => json!(["insertion", null, heard]),
            });
            json!({"id": id, "counts": counts, "words": words.collect::<Vec<Value>>()})
        });
        let counted = |name: &str, what: &str, n: usize, counts: &EditCounts| json!({what: name, "n": n, "counts": counts, "error_rate": counts.error_rate()});
        json!({
            "substitutions": pairs.collect::<Vec<_>>(),
            "deletions": single(&slips.deletions),
            "insertions": single(&slips.insertions),
            "speakers": self.by_speaker(usize::MAX).iter()
                .map(|(name, n, counts)| counted(name, "speaker", *n, counts)).collect::<Vec<_>>(),
            "lengths": self.by_length().iter()
                .map(|(name, n, counts)| counted(name, "words", *n, counts)).collect::<Vec<_>>(),
            "utterances": utterances.collect::<Vec<_>>(),
        })
    }

    pub(super) fn text(&self, n_most: usize) -> String {
        let mut text = String::new();
        for (id, alignment) in self.ids.iter().zip(&self.alignments) {
            if alignment.counts().n_edits() > 0 {
                write_utterance(&mut text, id, alignment);
            }
        }
        let Slips { substitutions, deletions, insertions } = self.slips(n_most);
        let pairs = substitutions.iter().map(|((said, heard), n)| (format!("{said} > {heard}"), *n));
        let single =
            |slips: Vec<(&str, u64)>| slips.into_iter().map(|(word, n)| (word.to_owned(), n)).collect();
        let lists: [(&str, Vec<(String, u64)>); 3] = [
            ("substitutions", pairs.collect()),
            ("deletions", single(deletions)),
            ("insertions", single(insertions)),
        ];
        for (title, slips) in lists.iter().filter(|(_, slips)| !slips.is_empty()) {
            let _ = writeln!(text, "{title}");
            for (slip, n) in slips {
                let _ = writeln!(text, "  {n:>6}  {slip}");
            }
            text.push('\n');
        }
        let speakers = self.by_speaker(n_most);
        if !speakers.is_empty() {
            write_table(&mut text, "speaker", &speakers);
        }
        write_table(&mut text, "words", &self.by_length());
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }
}

/// The most frequent, of equal ones the first by name.
fn most<K: Ord + Copy>(counts: HashMap<K, u64>, n_most: usize) -> Vec<(K, u64)> {
    let mut counts: Vec<(K, u64)> = counts.into_iter().collect();
    counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    counts.truncate(n_most);
    counts
}

/// As NIST's sclite prints it: reference over hypothesis, what is wrong in capitals, the kind of error below.
fn write_utterance(text: &mut String, id: &str, alignment: &WordAlignment) {
    let EditCounts { hits, substitutions, deletions, insertions } = alignment.counts();
    let _ =
        writeln!(text, "id: ({id})\nscores: (#C #S #D #I) {hits} {substitutions} {deletions} {insertions}");
    let mut lines = ["REF: ".to_owned(), "HYP: ".to_owned(), "Eval:".to_owned()];
    for word in alignment.words() {
        let cells = match word {
            AlignedWord::Hit(said) => [said.to_owned(), said.to_owned(), String::new()],
            AlignedWord::Substitution(said, heard) => {
                [said.to_uppercase(), heard.to_uppercase(), "S".to_owned()]
            }
            AlignedWord::Deletion(said) => [said.to_uppercase(), "*".repeat(width(said)), "D".to_owned()],
            AlignedWord::Insertion(heard) => ["*".repeat(width(heard)), heard.to_uppercase(), "I".to_owned()],
        };
        let widest = cells.iter().map(|cell| width(cell)).max().unwrap_or(0);
        for (line, cell) in lines.iter_mut().zip(&cells) {
            let _ = write!(line, " {cell:<widest$}");
        }
    }
    for line in &lines {
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text.push('\n');
}

/// In characters: good enough to stand words under one another in most scripts.
fn width(word: &str) -> usize {
    word.chars().count()
}

fn write_table(text: &mut String, title: &str, rows: &[(impl AsRef<str>, usize, EditCounts)]) {
    let name_width = rows.iter().map(|(name, ..)| width(name.as_ref())).max().unwrap_or(0).max(width(title));
    let _ = writeln!(
        text,
        "{title:<name_width$}  {:>10}  {:>8}  {:>7}  {:>7}  {:>7}  {:>7}",
        "utterances", "words", "WER %", "sub %", "del %", "ins %"
    );
    for (name, n, counts) in rows {
        let n_words = counts.n_reference();
        let share = |n_errors: u64| 100.0 * n_errors as f64 / n_words.max(1) as f64;
        let _ = writeln!(
            text,
            "{:<name_width$}  {n:>10}  {n_words:>8}  {:>7.2}  {:>7.2}  {:>7.2}  {:>7.2}",
            name.as_ref(),
            100.0 * counts.error_rate(),
            share(counts.substitutions),
            share(counts.deletions),
            share(counts.insertions),
        );
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use triptych_tasks::metrics::Normalizer;

    use super::*;

    fn utterances() -> Utterances {
        let references = ["the cat sat down", "a dog", ""];
        let hypotheses = ["the mat sat", "a dog dog", ""];
        Utterances {
            ids: vec!["ann-1".to_owned(), "bob-1".to_owned(), "bob-2".to_owned()],
            speakers: vec!["ann".to_owned(), "bob".to_owned(), "bob".to_owned()],
            alignments: WordAlignment::of_all(Normalizer::None, &references, &hypotheses),
        }
    }

    #[test]
    fn words_stand_under_one_another() {
        let text = utterances().text(5);
        let expected = "id: (ann-1)\nscores: (#C #S #D #I) 2 1 1 0\nREF:  the CAT sat DOWN\nHYP:  the MAT sat ****\nEval:     S       D\n";
        assert!(text.starts_with(expected), "{text}");
        assert!(!text.contains("bob-2"), "without errors: {text}");
        assert!(text.contains("\nsubstitutions\n       1  cat > mat\n\ndeletions\n"), "{text}");
    }

    #[test]
    fn speakers_and_lengths_have_rates_of_their_own() {
        let utterances = utterances();
        let speakers = utterances.by_speaker(9);
        assert_eq!(
            speakers.iter().map(|(name, n, counts)| (*name, *n, counts.error_rate())).collect::<Vec<_>>(),
            [("ann", 1, 0.5), ("bob", 2, 0.5),]
        );
        let lengths = utterances.by_length();
        assert_eq!(
            lengths.iter().map(|(name, n, _)| (name.as_str(), *n)).collect::<Vec<_>>(),
            [("0", 1), ("1-5", 2)]
        );
        let json = utterances.json(3);
        assert_eq!(json["insertions"][0]["word"], "dog");
        assert_eq!(json["utterances"][0]["words"][1], json!(["substitution", "cat", "mat"]));
    }
}
