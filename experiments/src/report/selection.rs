//! Which examples a report shows, where it cannot show them all, and which figures stand at its head.

use crate::evaluate::ScoreRow;

use super::inputs::Headline;
use super::numbers;

/// Takes at most `limit` items, in turn from every group, in the order given; the result keeps that order.
pub(super) fn evenly<T, K: PartialEq>(items: &[T], limit: usize, group: impl Fn(&T) -> K) -> Vec<&T> {
    let mut groups: Vec<(K, Vec<usize>)> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let key = group(item);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, members)) => members.push(index),
            None => groups.push((key, vec![index])),
        }
    }
    let mut turns: Vec<(usize, usize)> = groups
        .iter()
        .flat_map(|(_, members)| members.iter().enumerate().map(|(turn, index)| (turn, *index)))
        .collect();
    turns.sort_unstable();
    let mut kept: Vec<usize> = turns.into_iter().take(limit).map(|(_, index)| index).collect();
    kept.sort_unstable();
    kept.into_iter().map(|index| &items[index]).collect()
}

/// The metrics that speak for a task, best first.
const LEADING: [(&str, &[&str]); 3] =
    [("retrieval", &["R@1"]), ("caption", &["exact", "CIDEr-D"]), ("asr", &["WER"])];

/// The most key figures that are chosen.
const MAX_HEADLINES: usize = 8;

/// Key figures for a run that names none: each task's leading metric, spread evenly over tasks and directions.
pub(super) fn headline(scores: &[ScoreRow]) -> Vec<Headline> {
    let leads = |row: &&ScoreRow| match LEADING.iter().find(|(task, _)| *task == row.task) {
        Some((_, names)) => {
            let present =
                |name: &str| scores.iter().any(|other| other.task == row.task && other.name == name);
            names.iter().find(|name| present(name)).is_some_and(|name| *name == row.name)
        }
        None => {
            scores.iter().find(|other| other.task == row.task).is_some_and(|first| first.name == row.name)
        }
    };
    let leading: Vec<&ScoreRow> = scores.iter().filter(leads).collect();
    evenly(&leading, MAX_HEADLINES, |row| (row.task.clone(), row.holdout.clone()))
        .into_iter()
        .map(|row| {
            let direction = row.direction();
            let subject = if direction.is_empty() { numbers::task(&row.task) } else { direction };
            Headline { label: subject, score: (*row).clone() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_is_shown_before_any_is_shown_twice() {
        let items = ["a1", "a2", "a3", "b1", "c1", "c2"];
        let first = |item: &&str| item.chars().next();
        assert_eq!(evenly(&items, 4, first), [&"a1", &"a2", &"b1", &"c1"]);
        assert_eq!(evenly(&items, 99, first).len(), items.len());
        assert!(evenly(&items, 0, first).is_empty());
    }
}
