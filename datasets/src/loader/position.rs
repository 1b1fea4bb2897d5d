//! Where a stream of batches stands.

use serde::{Deserialize, Serialize};

/// The next batch of a stream: all that is needed to go on with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoaderPosition {
    /// How many epochs lie behind.
    pub epoch: u64,
    /// How many batches of this one.
    pub batch: u64,
}

impl LoaderPosition {
    /// The position of a batch that is counted from the first epoch's first.
    ///
    /// # Panics
    /// If an epoch has no batch.
    pub fn of(batch_idx: u64, batches_per_epoch: u64) -> Self {
        Self { epoch: batch_idx / batches_per_epoch, batch: batch_idx % batches_per_epoch }
    }

    /// The number of the batch from the first epoch's first on.
    pub fn batch_idx(self, batches_per_epoch: u64) -> u64 {
        self.epoch * batches_per_epoch + self.batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_numbers_are_two_names_of_a_batch() {
        for batch_idx in [0, 6, 7, 8, 700] {
            assert_eq!(LoaderPosition::of(batch_idx, 7).batch_idx(7), batch_idx);
        }
        assert_eq!(LoaderPosition::of(15, 7), LoaderPosition { epoch: 2, batch: 1 });
    }
}
