//! Models beside the one that learns: a frozen teacher, and the learner's own slow average with a queue of what it saw.

use burn::prelude::*;

use crate::heads::pair::Pair;
use crate::model::Model;

/// Models beside the one that learns, on its device without autodiff.
#[derive(Clone, Copy, Debug, Default)]
pub struct Companions<'a> {
    /// A trained model to learn from.
    pub teacher: Option<&'a Model>,
    /// The learner's own average with its queue.
    pub momentum: Option<&'a Momentum>,
}

/// The average of the learner's weights that momentum contrast compares with.
#[derive(Debug)]
pub struct Momentum {
    /// The average, on a device without autodiff.
    pub model: Model,
    /// Earlier embeddings, in the order of [`Pair::ALL`].
    pub queues: [Queue; 3],
}

impl Momentum {
    /// An average that starts at `model`, with empty queues of these lengths, in the order of [`Pair::ALL`].
    pub fn new(model: Model, n_queued: [usize; 3]) -> Self {
        Self { model, queues: n_queued.map(Queue::new) }
    }

    /// Takes what a step embedded into the queues.
    pub fn push(&mut self, entries: Vec<(Pair, Entries)>) {
        for (pair, entries) in entries {
            self.queues[pair.idx()].push(entries);
        }
    }
}

/// Pairs of embeddings with the groups that they belong to.
#[derive(Clone, Debug)]
pub struct Entries {
    /// `[n, d]` of each side
    pub sides: [Tensor<2>; 2],
    /// `[n]`: equal for samples of one group
    pub groups: Vec<u64>,
}

/// The newest pairs of embeddings of earlier steps.
#[derive(Clone, Debug)]
pub struct Queue {
    n_most: usize,
    entries: Option<Entries>,
}

impl Queue {
    fn new(n_most: usize) -> Self {
        Self { n_most, entries: None }
    }

    /// What is in it, the newest first.
    pub fn entries(&self) -> Option<&Entries> {
        self.entries.as_ref()
    }

    /// The longest that it gets.
    pub fn n_most(&self) -> usize {
        self.n_most
    }

    /// Puts pairs in front; the oldest fall out behind.
    pub fn push(&mut self, new: Entries) {
        let Entries { mut sides, mut groups } = new;
        if let Some(old) = self.entries.take() {
            let mut old_sides = old.sides.into_iter();
            sides = sides.map(|side| Tensor::cat([side].into_iter().chain(old_sides.next()).collect(), 0));
            groups.extend(old.groups);
        }
        let n = groups.len().min(self.n_most);
        groups.truncate(n);
        if n > 0 {
            self.entries = Some(Entries { sides: sides.map(|side| side.narrow(0, 0, n)), groups });
        }
    }
}

/// A number for a group's name, the same in every run.
pub(super) fn group_number(name: &str) -> u64 {
    let hash = blake3::hash(name.as_bytes());
    hash.as_bytes()[..8].iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(groups: &[u64]) -> Entries {
        let values = groups.iter().map(|&group| group as f32).collect::<Vec<_>>();
        let side = Tensor::from_data(TensorData::new(values, [groups.len(), 1]), &Device::flex());
        Entries { sides: [side.clone(), side * 10.0], groups: groups.to_vec() }
    }

    #[test]
    fn a_queue_keeps_the_newest_and_the_sides_together() {
        let mut queue = Queue::new(5);
        assert!(queue.entries().is_none());
        for groups in [&[1, 2][..], &[3, 4], &[5, 6]] {
            queue.push(entries(groups));
        }
        let Entries { sides, groups } = queue.entries().expect("something was put in").clone();
        assert_eq!(groups, [5, 6, 3, 4, 1]);
        let expected =
            [1.0, 10.0].map(|factor| groups.iter().map(|&g| g as f32 * factor).collect::<Vec<_>>());
        assert_eq!(sides.map(|side| side.into_data().iter::<f32>().collect::<Vec<_>>()), expected);
    }

    #[test]
    fn a_queue_of_no_length_stays_empty() {
        let mut queue = Queue::new(0);
        queue.push(entries(&[1, 2]));
        assert!(queue.entries().is_none());
    }
}
