//! Which hypothesis belongs to which reference.

use std::collections::{HashMap, HashSet};

use triptych_tasks::metrics::{MetricError, pair_by_id};

use super::entries::Entries;
use super::error::{FileError, Place};
use super::options::Options;
use super::report::Report;

/// References with the hypotheses of one system or two.
#[derive(Debug)]
pub(super) struct Inputs {
    pub(super) references: Entries,
    /// Of the references that are scored.
    pub(super) reference_idxs: Vec<usize>,
    pub(super) system: System,
    pub(super) other: Option<System>,
}

/// The hypotheses of a system.
#[derive(Debug)]
pub(super) struct System {
    pub(super) hypotheses: Entries,
    /// In the order of the references that are scored.
    pub(super) idxs: Vec<usize>,
}

impl Inputs {
    /// Reads and pairs the files that the options name.
    pub(super) fn read(options: &Options) -> Result<Self, FileError> {
        let references = Entries::read(&options.references)?;
        let hypotheses = Entries::read(&options.hypotheses)?;
        let mut inputs = Self::against(references, hypotheses, options.subset)?;
        if let Some(path) = &options.compare {
            inputs.other = Some(inputs.other_system(Entries::read(path)?, options.subset)?);
        }
        Ok(inputs)
    }

    /// Pairs two files.
    pub(super) fn against(
        references: Entries,
        hypotheses: Entries,
        is_subset: bool,
    ) -> Result<Self, FileError> {
        let Pairs { reference_idxs, hypothesis_idxs: idxs } =
            Pairs::new(&references, &hypotheses, is_subset)?;
        Ok(Self { references, reference_idxs, system: System { hypotheses, idxs }, other: None })
    }

    /// Another system, for the references that the first is scored on.
    fn other_system(&self, hypotheses: Entries, is_subset: bool) -> Result<System, FileError> {
        let pairs = Pairs::new(&self.references, &hypotheses, is_subset)?;
        let place: HashMap<usize, usize> =
            pairs.reference_idxs.iter().copied().zip(pairs.hypothesis_idxs).collect();
        let find = |idx: &usize| {
            place.get(idx).copied().ok_or_else(|| {
                let problem = format!(
                    "{} has no hypothesis for it, {} has: both systems are scored on the same",
                    hypotheses.path.display(),
                    self.system.hypotheses.path.display()
                );
                self.references.error(*idx, problem)
            })
        };
        let idxs = self.reference_idxs.iter().map(find).collect::<Result<_, _>>()?;
        Ok(System { hypotheses, idxs })
    }

    /// The value of a tag for every reference that is scored.
    pub(super) fn tags(&self, tag: &str) -> Result<Vec<String>, FileError> {
        self.reference_idxs.iter().map(|&idx| self.references.tag(idx, tag)).collect()
    }

    /// Tells the report what to group and what to draw together.
    pub(super) fn tag(&self, report: &mut Report, options: &Options) -> Result<(), FileError> {
        report.groups = options.by.as_ref().map(|tag| self.tags(tag)).transpose()?;
        report.clusters = options.cluster.as_ref().map(|tag| self.tags(tag)).transpose()?;
        Ok(())
    }
}

impl System {
    /// The one text for each reference that is scored.
    pub(super) fn texts(&self) -> Result<Vec<&str>, FileError> {
        single_texts(&self.hypotheses, &self.idxs)
    }
}

/// The entries that are scored, in the order of the references.
#[derive(Debug)]
struct Pairs {
    reference_idxs: Vec<usize>,
    hypothesis_idxs: Vec<usize>,
}

impl Pairs {
    /// Pairs by id where both files have ids, by order where neither has. With `is_subset` references without a
    /// hypothesis are left out.
    fn new(references: &Entries, hypotheses: &Entries, is_subset: bool) -> Result<Self, FileError> {
        match (references.have_ids(), hypotheses.have_ids()) {
            (true, true) => Self::by_id(references, hypotheses, is_subset),
            (false, false) => Self::by_order(references, hypotheses),
            (have_ids, _) => {
                let (without, with) =
                    if have_ids { (hypotheses, references) } else { (references, hypotheses) };
                let problem = format!("the entries have no ids, those of {} have", with.path.display());
                Err(FileError::new(&without.path, Place::Whole, problem)
                    .hint("entries are paired by id when both files have ids, by order when neither has"))
            }
        }
    }

    fn by_order(references: &Entries, hypotheses: &Entries) -> Result<Self, FileError> {
        let (expected, got) = (references.entries.len(), hypotheses.entries.len());
        if expected == got {
            return Ok(Self {
                reference_idxs: (0..expected).collect(),
                hypothesis_idxs: (0..expected).collect(),
            });
        }
        // the first line that has no partner
        let (longer, place) = if got > expected { (hypotheses, expected) } else { (references, got) };
        let problem = format!(
            "lists of different length: expected {expected} hypotheses, one for each line of {}, got {got}",
            references.path.display()
        );
        Err(longer.error(place, problem))
    }

    fn by_id(references: &Entries, hypotheses: &Entries, is_subset: bool) -> Result<Self, FileError> {
        let id = |entries: &Entries, idx: usize| entries.entries[idx].id.clone().unwrap_or_default();
        let known: HashSet<&str> = if is_subset {
            hypotheses.entries.iter().filter_map(|entry| entry.id.as_deref()).collect()
        } else {
            HashSet::new()
        };
        let reference_idxs: Vec<usize> = (0..references.entries.len())
            .filter(|&idx| !is_subset || known.contains(id(references, idx).as_str()))
            .collect();
        if reference_idxs.is_empty() {
            let problem = format!("no id is one of {}", hypotheses.path.display());
            return Err(FileError::new(&references.path, Place::Whole, problem));
        }
        let reference_ids: Vec<String> = reference_idxs.iter().map(|&idx| id(references, idx)).collect();
        let hypothesis_ids: Vec<(String, usize)> =
            (0..hypotheses.entries.len()).map(|idx| (id(hypotheses, idx), idx)).collect();
        let paired = pair_by_id(&reference_ids, &hypothesis_ids).map_err(|error| {
            let (entries, wanted, place) = match &error {
                MetricError::DuplicateId { id, what: "references" } => (references, id, 1),
                MetricError::DuplicateId { id, .. } => (hypotheses, id, 1),
                MetricError::UnknownId { id, .. } => (hypotheses, id, 0),
                MetricError::MissingHypothesis { id, .. } => (references, id, 0),
                _ => return FileError::new(&references.path, Place::Whole, error),
            };
            let has_id = |idx: &usize| entries.entries[*idx].id.as_ref() == Some(wanted);
            let entry_idx = (0..entries.entries.len()).filter(has_id).nth(place).unwrap_or(0);
            let is_missing = matches!(error, MetricError::MissingHypothesis { .. });
            let error = entries.error(entry_idx, error);
            if is_missing {
                error.hint("`--subset` scores only what there is a hypothesis for")
            } else {
                error
            }
        })?;
        let hypothesis_idxs = paired.into_iter().copied().collect();
        Ok(Self { reference_idxs, hypothesis_idxs })
    }
}

/// The one text of each of these entries.
pub(super) fn single_texts<'a>(entries: &'a Entries, idxs: &[usize]) -> Result<Vec<&'a str>, FileError> {
    let text = |&entry_idx: &usize| match texts_of(entries, entry_idx)?[..] {
        [text] => Ok(text),
        ref texts => Err(entries.error(entry_idx, format!("expected one text, got {}", texts.len()))),
    };
    idxs.iter().map(text).collect()
}

/// The texts of each of these entries: at least one, none of them empty.
pub(super) fn reference_texts<'a>(
    entries: &'a Entries,
    idxs: &[usize],
) -> Result<Vec<Vec<&'a str>>, FileError> {
    let texts = |&entry_idx: &usize| {
        let texts = texts_of(entries, entry_idx)?;
        if texts.is_empty() {
            return Err(entries.error(entry_idx, "expected at least one reference, got an empty list"));
        }
        if texts.iter().any(|text| text.trim().is_empty()) {
            return Err(entries.error(entry_idx, "the reference is empty: nothing can be scored against it"));
        }
        Ok(texts)
    };
    idxs.iter().map(texts).collect()
}

fn texts_of(entries: &Entries, entry_idx: usize) -> Result<Vec<&str>, FileError> {
    entries.entries[entry_idx].texts().ok_or_else(|| {
        entries
            .error(entry_idx, "expected a `text` or a list `texts`, got neither")
            .hint("a text is read from `text` or `caption`, several from `texts` or `captions`, answers from `answer` or `answers`")
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn pair(references: &str, hypotheses: &str, is_subset: bool) -> Result<Vec<(usize, usize)>, String> {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            Entries::read(&path).unwrap()
        };
        let ending = |text: &str| if text.starts_with('{') { "jsonl" } else { "txt" };
        let references = read(&format!("ref.{}", ending(references)), references);
        let hypotheses = read(&format!("hyp.{}", ending(hypotheses)), hypotheses);
        let pairs = Pairs::new(&references, &hypotheses, is_subset);
        let pairs =
            pairs.map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))?;
        Ok(pairs.reference_idxs.into_iter().zip(pairs.hypothesis_idxs).collect())
    }

    #[test]
    fn entries_pair_by_id_or_by_order() {
        let (a, b) = ("{\"id\":\"a\"}\n", "{\"id\":\"b\"}\n");
        assert_eq!(pair(&format!("{a}{b}"), &format!("{b}{a}"), false), Ok(vec![(0, 1), (1, 0)]));
        assert_eq!(pair("x\ny", "1\n2", false), Ok(vec![(0, 0), (1, 1)]));
        assert_eq!(pair(&format!("{a}{b}"), b, true), Ok(vec![(1, 0)]));
    }

    #[test]
    fn what_does_not_pair_up_is_refused_with_file_and_line() {
        let (a, b, c) = ("{\"id\":\"a\"}\n", "{\"id\":\"b\"}\n", "{\"id\":\"c\"}\n");
        for (references, hypotheses, message) in [
            (
                "x\ny".to_owned(),
                "1".to_owned(),
                "ref.txt line 2: lists of different length: expected 2 hypotheses, one for each line of ref.txt, got 1",
            ),
            (
                "x".to_owned(),
                "1\n2\n3".to_owned(),
                "hyp.txt line 2: lists of different length: expected 1 hypotheses, one for each line of ref.txt, got 3",
            ),
            (
                format!("{a}{b}"),
                format!("{a}{b}{c}"),
                "hyp.jsonl line 3: unknown id \"c\": a hypothesis has it, no reference does",
            ),
            (
                format!("{a}{b}"),
                a.to_owned(),
                "ref.jsonl line 2: no hypothesis for id \"b\": expected one for each of 2 references, got 1",
            ),
            (
                format!("{a}{b}"),
                format!("{a}{b}{a}"),
                "hyp.jsonl line 3: id \"a\" stands twice among the hypotheses: expected every id once",
            ),
            (
                format!("{a}{b}{b}"),
                format!("{a}{b}"),
                "ref.jsonl line 3: id \"b\" stands twice among the references: expected every id once",
            ),
            (a.to_owned(), "x".to_owned(), "hyp.txt: the entries have no ids, those of ref.jsonl have"),
        ] {
            assert_eq!(pair(&references, &hypotheses, false), Err(message.to_owned()));
        }
    }
}
