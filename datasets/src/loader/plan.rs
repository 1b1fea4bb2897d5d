//! Which groups make up which batch, and which of their samples stand for them: pure functions of the seed.

use std::collections::HashMap;

use super::lengths::{Budget, LengthSchedule};
use super::measure::Lengths;
use super::rows::{Place, RowSchedule, TooFew};
use super::{LoaderConfig, LoaderError};
use crate::draw::Draw;
use crate::shard::Corpus;
use crate::text::Tokenizer;

/// The samples of a corpus that a loader uses, by stream and group, and the order of their batches.
pub(super) struct Plan {
    /// One list a stream.
    streams: Vec<Vec<Group>>,
    schedule: Schedule,
    seed: u64,
    rank: u64,
    /// Rows of a batch of one rank, where all batches have the same.
    batch_size: u64,
}

enum Schedule {
    Rows(RowSchedule),
    Lengths(LengthSchedule),
}

/// The members of one group, by their numbers in the corpus.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub name: String,
    pub images: Vec<usize>,
    pub audios: Vec<usize>,
    /// The member whose text stands for the group.
    pub text: Option<usize>,
}

/// A row of a batch: a group in an epoch of its stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub group: &'a Group,
    pub epoch: u64,
}

impl Plan {
    /// # Errors
    /// A stream with too few groups, or with one that no batch holds.
    pub(super) fn new(
        corpus: &Corpus,
        tokenizer: &Tokenizer,
        config: &LoaderConfig,
    ) -> Result<Self, LoaderError> {
        let (mut streams, mut n_selected) = (Vec::new(), Vec::new());
        for stream_idx in 0..config.streams.len().max(1) {
            let (groups, n) = groups(corpus, config, stream_idx);
            streams.push(groups);
            n_selected.push(n);
        }
        let weights: Vec<f64> = match config.streams.as_slice() {
            [] => vec![1.0],
            streams => streams.iter().map(|stream| stream.weight).collect(),
        };
        let too_few = |TooFew { stream_idx, expected }| LoaderError::TooFewGroups {
            expected: expected as usize,
            got: streams[stream_idx].len(),
            n_selected: n_selected[stream_idx],
        };
        let schedule = match config.length_of() {
            None => {
                let n_groups: Vec<usize> = streams.iter().map(Vec::len).collect();
                let n_rows = (config.batch_size * config.n_ranks) as u64;
                Schedule::Rows(RowSchedule::new(&n_groups, &weights, config.seed, n_rows).map_err(too_few)?)
            }
            Some(length_of) => {
                let measured = Lengths::new(corpus, tokenizer, config, length_of);
                let lengths: Vec<Vec<u64>> =
                    streams.iter().map(|groups| measured.of_groups(groups)).collect();
                let budget =
                    Budget { length: measured.budget(), n_rows: config.batch_size, n_ranks: config.n_ranks };
                for (groups, lengths) in streams.iter().zip(&lengths) {
                    measured.check(groups, lengths)?;
                }
                Schedule::Lengths(
                    LengthSchedule::new(&lengths, &weights, config.seed, budget).map_err(too_few)?,
                )
            }
        };
        Ok(Self {
            streams,
            schedule,
            seed: config.seed,
            rank: config.rank as u64,
            batch_size: config.batch_size as u64,
        })
    }

    /// Groups of all streams.
    pub(super) fn n_groups(&self) -> usize {
        self.streams.iter().map(Vec::len).sum()
    }

    /// Batches in which about as many groups pass as there are; the same for every rank.
    pub(super) fn batches_per_epoch(&self) -> u64 {
        let n_batches = match &self.schedule {
            Schedule::Rows(schedule) => schedule.batches_per_epoch(),
            Schedule::Lengths(schedule) => schedule.batches_per_epoch(),
        };
        n_batches.max(1)
    }

    /// The rows of a batch of this rank.
    pub(super) fn batch(&self, batch_idx: u64) -> Vec<Row<'_>> {
        let places = match &self.schedule {
            Schedule::Rows(schedule) => {
                let from = self.rank * self.batch_size;
                schedule.rows(batch_idx, from, from + self.batch_size)
            }
            Schedule::Lengths(schedule) => schedule.rows(batch_idx, self.rank),
        };
        let row = |Place { stream_idx, group_idx, epoch }| Row {
            group: &self.streams[stream_idx][group_idx],
            epoch,
        };
        places.into_iter().map(row).collect()
    }

    /// The randomness of one thing in one epoch.
    pub(super) fn draw(&self, epoch: u64, id: &str, purpose: &str) -> Draw {
        Draw::new(self.seed, epoch, id, purpose)
    }

    /// The randomness of one thing that the rows of a batch of this rank share.
    pub(super) fn draw_of_batch(&self, batch_idx: u64, purpose: &str) -> Draw {
        Draw::new(self.seed, batch_idx, &format!("rank {}", self.rank), purpose)
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

/// The groups of a stream, in the order of their first members, and how many samples were selected.
fn groups(corpus: &Corpus, config: &LoaderConfig, stream_idx: usize) -> (Vec<Group>, usize) {
    let stream = config.streams.get(stream_idx);
    let mut groups: Vec<Group> = Vec::new();
    let mut by_name: HashMap<&str, usize> = HashMap::new();
    let mut n_selected = 0;
    for (idx, entry) in corpus.entries().iter().enumerate() {
        if !config.selects(entry) || stream.is_some_and(|stream| !stream.select.matches(entry)) {
            continue;
        }
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
    (groups, n_selected)
}
