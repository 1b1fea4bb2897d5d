//! Which examples a report shows, where it cannot show them all, and which figures stand at its head.

use crate::evaluate::ScoreRow;

use super::inputs::Headline;
use super::numbers;

/// Takes at most `limit` items, in turn from every group, each group in the order given.
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
    turns.into_iter().take(limit).map(|(_, index)| &items[index]).collect()
}

/// The metrics that speak for a task, best first.
const LEADING: [(&str, &[&str]); 4] = [
    ("retrieval", &["R@1"]),
    ("caption", &["exact", "CIDEr-D"]),
    ("asr", &["WER"]),
    ("vqa", &["VQA", "exact answer"]),
];

/// The most key figures that are chosen.
const MAX_HEADLINES: usize = 8;

/// Key figures for a run that names none: each task's leading metric, tasks and hold-outs in turn.
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
    // hold-outs in turn within a task, then tasks in turn; shown in the order of the scores
    let spread = evenly(&leading, leading.len(), |row| row.holdout.clone());
    let chosen = evenly(&spread, MAX_HEADLINES, |row| row.task.clone());
    let is_chosen = |row: &&&ScoreRow| chosen.iter().any(|kept| std::ptr::eq(***kept, **row));
    leading
        .iter()
        .filter(is_chosen)
        .map(|row| {
            let direction = row.direction();
            let subject = if direction.is_empty() { numbers::task(&row.task) } else { direction };
            Headline { label: subject, score: (*row).clone() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{super::tables::tests::score, *};

    #[test]
    fn key_figures_cover_every_task_and_leave_minor_metrics_out() {
        let mut scores = Vec::new();
        for holdout in ["style", "voice:slt", "voice:awb", "concepts", "known", "voice:slt x style"] {
            scores.push(score("retrieval", holdout, "R@5", 50.0));
            scores.push(score("retrieval", holdout, "R@1", 20.0));
            scores.push(score("asr", holdout, "CER", 10.0));
            scores.push(score("asr", holdout, "WER", 30.0));
        }
        scores.push(score("caption", "style", "CIDEr-D", 3.0));
        let chosen = headline(&scores);
        assert_eq!(chosen.len(), MAX_HEADLINES);
        for (task, name, n) in [("retrieval", "R@1", 4), ("asr", "WER", 3), ("caption", "CIDEr-D", 1)] {
            let fits = |card: &&Headline| card.score.task == task && card.score.name == name;
            assert_eq!(chosen.iter().filter(fits).count(), n, "{task}");
        }
    }

    #[test]
    fn every_group_is_shown_before_any_is_shown_twice() {
        let items = ["a1", "a2", "a3", "b1", "c1", "c2"];
        let first = |item: &&str| item.chars().next();
        assert_eq!(evenly(&items, 4, first), [&"a1", &"b1", &"c1", &"a2"]);
        assert_eq!(evenly(&items, 99, first).len(), items.len());
        assert!(evenly(&items, 0, first).is_empty());
    }
}
