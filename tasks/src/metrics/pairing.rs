//! Puts hypotheses in the order of their references by id, so that none is scored against another's reference.

use std::collections::HashMap;

use super::error::MetricError;

/// The hypotheses in the order of `reference_ids`.
///
/// # Errors
/// [`MetricError::UnknownId`] for a hypothesis without a reference, [`MetricError::MissingHypothesis`] for the reverse,
/// [`MetricError::DuplicateId`] for an id that stands twice on one side, [`MetricError::Empty`] without references.
pub fn pair_by_id<'a, H>(
    reference_ids: &[impl AsRef<str>],
    hypotheses: &'a [(impl AsRef<str>, H)],
) -> Result<Vec<&'a H>, MetricError> {
    if reference_ids.is_empty() {
        return Err(MetricError::Empty { what: "reference" });
    }
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(reference_ids.len());
    for (place, id) in reference_ids.iter().enumerate() {
        if places.insert(id.as_ref(), place).is_some() {
            return Err(MetricError::DuplicateId { id: id.as_ref().to_owned(), what: "references" });
        }
    }
    let mut paired: Vec<Option<&H>> = vec![None; reference_ids.len()];
    for (id, hypothesis) in hypotheses {
        let id = id.as_ref();
        let Some(&place) = places.get(id) else {
            return Err(MetricError::UnknownId { id: id.to_owned(), hint: near_miss_hint(id, &places) });
        };
        if paired[place].replace(hypothesis).is_some() {
            return Err(MetricError::DuplicateId { id: id.to_owned(), what: "hypotheses" });
        }
    }
    let missing = |place: usize| MetricError::MissingHypothesis {
        id: reference_ids[place].as_ref().to_owned(),
        n_references: reference_ids.len(),
        n_hypotheses: hypotheses.len(),
    };
    paired
        .into_iter()
        .enumerate()
        .map(|(place, hypothesis)| hypothesis.ok_or_else(|| missing(place)))
        .collect()
}

/// Ids that differ only in case, white space or a file name's ending are most likely meant to be the same.
fn near_miss_hint(id: &str, places: &HashMap<&str, usize>) -> String {
    let key = |id: &str| id.trim().rsplit_once('.').map_or(id.trim(), |(stem, _)| stem).to_lowercase();
    let wanted = key(id);
    let near = places.iter().filter(|(known, _)| key(known) == wanted).min_by_key(|&(_, &place)| place);
    near.map_or(String::new(), |(known, _)| format!("\nhint: there is a reference for {known:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hypotheses_follow_the_references() {
        let hypotheses = [("b", "second"), ("a", "first")];
        assert_eq!(pair_by_id(&["a", "b"], &hypotheses), Ok(vec![&"first", &"second"]));
    }

    #[test]
    fn ids_that_do_not_pair_up_are_named() {
        let message = |references: &[&str], hypotheses: &[(&str, u8)]| {
            pair_by_id(references, hypotheses).unwrap_err().to_string()
        };
        assert_eq!(
            message(&["a"], &[("a", 1), ("c", 2)]),
            "unknown id \"c\": a hypothesis has it, no reference does"
        );
        assert_eq!(
            message(&["dog-1"], &[("Dog-1.wav", 1)]),
            "unknown id \"Dog-1.wav\": a hypothesis has it, no reference does\nhint: there is a reference for \"dog-1\""
        );
        assert_eq!(
            message(&["a", "b"], &[("a", 1)]),
            "no hypothesis for id \"b\": expected one for each of 2 references, got 1"
        );
        assert_eq!(
            message(&["a"], &[("a", 1), ("a", 1)]),
            "id \"a\" stands twice among the hypotheses: expected every id once"
        );
        assert_eq!(
            message(&["a", "a"], &[]),
            "id \"a\" stands twice among the references: expected every id once"
        );
        assert_eq!(message(&[], &[]), "nothing to score: expected at least one reference, got none");
    }
}
