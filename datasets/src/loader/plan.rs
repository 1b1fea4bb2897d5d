//! Which groups make up which batch, and which of their samples stand for them: pure functions of the seed.

use std::collections::HashMap;

use super::LoaderConfig;
use crate::draw::{Draw, Permutation};
use crate::shard::Corpus;

/// The samples of a corpus that a loader uses, by group.
pub(super) struct Plan {
    pub groups: Vec<Group>,
    pub n_selected: usize,
    seed: u64,
    batch_size: usize,
}

/// The members of one group, by their numbers in the corpus.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub name: String,
    pub images: Vec<usize>,
    pub audios: Vec<usize>,
    /// The member whose first text stands for the group.
    pub text: Option<usize>,
}

impl Plan {
    pub(super) fn new(corpus: &Corpus, config: &LoaderConfig) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        let mut by_name: HashMap<&str, usize> = HashMap::new();
        let mut n_selected = 0;
        for (idx, entry) in corpus.entries().iter().enumerate().filter(|(_, entry)| config.selects(entry)) {
            n_selected += 1;
            let group_idx = *by_name.entry(&entry.group).or_insert(groups.len());
            if group_idx == groups.len() {
                groups.push(Group { name: entry.group.clone(), ..Group::default() });
            }
            let group = &mut groups[group_idx];
            if entry.image.is_some() {
                group.images.push(idx);
            }
            if entry.audio.is_some() {
                group.audios.push(idx);
            }
            if group.text.is_none() && !entry.texts.is_empty() {
                group.text = Some(idx);
            }
        }
        Self { groups, n_selected, seed: config.seed, batch_size: config.batch_size }
    }

    /// Only full batches count.
    pub(super) fn batches_per_epoch(&self) -> u64 {
        (self.groups.len() / self.batch_size) as u64
    }

    /// The epoch of a batch, and its groups.
    pub(super) fn batch(&self, batch_idx: u64) -> (u64, Vec<&Group>) {
        let n_batches = self.batches_per_epoch();
        let (epoch, place) = (batch_idx / n_batches, batch_idx % n_batches);
        let order = Permutation::new(self.groups.len() as u64, self.seed, epoch);
        let first = place * self.batch_size as u64;
        let rows = first..first + self.batch_size as u64;
        (epoch, rows.map(|position| &self.groups[order.at(position) as usize]).collect())
    }

    /// The randomness of one thing in one epoch.
    pub(super) fn draw(&self, epoch: u64, id: &str, purpose: &str) -> Draw {
        Draw::new(self.seed, epoch, id, purpose)
    }

    /// The members of a group in the order in which they are tried.
    pub(super) fn candidates(
        &self,
        epoch: u64,
        group: &Group,
        members: &[usize],
        purpose: &str,
    ) -> Vec<usize> {
        if members.is_empty() {
            return Vec::new();
        }
        let mut draw = self.draw(epoch, &group.name, purpose);
        let mut order = members.to_vec();
        for i in 0..order.len() - 1 {
            let other = i + draw.below(order.len() - i);
            order.swap(i, other);
        }
        order
    }
}
