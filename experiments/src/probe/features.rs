//! Frozen features of samples: what a run's encoders give for them.

use triptych_encoders::Modality;
use triptych_tasks::heads::linear_probe::Features;

use super::Progress;
use super::error::ProbeFailure;
use super::samples::{Request, first_text, things};
use crate::evaluate::Inference;
use crate::run::TrainError;
use crate::run::data::Data;
use crate::run::trained::TrainedRun;

/// Features of the samples of a corpus.
pub(super) struct Table {
    /// The samples' places in the corpus, rising.
    entries: Vec<usize>,
    /// `[n, d]`
    values: Vec<f32>,
    pub(super) d: usize,
}

impl Table {
    /// Reads the samples and gives them to the encoder, each once.
    ///
    /// # Errors
    /// A sample that cannot be read, and features that are no finite numbers.
    pub(super) fn read(
        run: &TrainedRun,
        data: &Data,
        request: &Request,
        mut entries: Vec<usize>,
        progress: &mut Progress<'_>,
    ) -> miette::Result<Self> {
        entries.sort_unstable();
        entries.dedup();
        let inference = run.inference();
        let mut table = Self { values: Vec::new(), d: 0, entries: Vec::new() };
        let total = entries.len();
        let what = format!("{}s", things(request.modality));
        let mut take = |batch: &[usize], rows: Vec<Vec<f32>>| -> Result<(), ProbeFailure> {
            for (&idx, row) in batch.iter().zip(rows) {
                table.push(data, request, idx, &row)?;
            }
            progress(table.entries.len(), total, &what);
            Ok(())
        };
        if request.modality == Modality::Text {
            for batch in entries.chunks(run.config.evaluate.batch_size) {
                let texts =
                    batch.iter().map(|&idx| first_text(&data.corpus.entries()[idx])).collect::<Vec<_>>();
                take(batch, inference.read_out(&inference.read(&texts), request.readout))?;
            }
        } else {
            for batch in data.evaluation(&run.config, entries).map_err(TrainError::from)? {
                let batch = batch.map_err(TrainError::from)?;
                take(&batch.entries, read_batch(&inference, request, &batch.batch))?;
            }
        }
        Ok(table)
    }

    fn push(&mut self, data: &Data, request: &Request, idx: usize, row: &[f32]) -> Result<(), ProbeFailure> {
        if let Some(column) = row.iter().position(|value| !value.is_finite()) {
            return Err(ProbeFailure::NotFinite {
                modality: request.modality.name(),
                features: request.readout.name(),
                value: row[column],
                id: data.corpus.entries()[idx].id.clone(),
                column,
            });
        }
        self.d = row.len();
        self.entries.push(idx);
        self.values.extend_from_slice(row);
        Ok(())
    }

    /// `[n, d]`: the features of some of the samples, in their order.
    ///
    /// # Panics
    /// When one of them was not read.
    pub(super) fn of(&self, entries: &[usize]) -> Vec<f32> {
        let features = Features { values: &self.values, d: self.d };
        let row = |idx: &usize| {
            let place = self.entries.binary_search(idx).expect("a sample that was read");
            features.row(place).iter().copied()
        };
        entries.iter().flat_map(row).collect()
    }
}

fn read_batch(
    inference: &Inference<'_>,
    request: &Request,
    batch: &triptych_datasets::batch::HostBatch,
) -> Vec<Vec<f32>> {
    let encoded = match request.modality {
        Modality::Audio => inference.listen(batch),
        _ => inference.see(batch),
    };
    inference.read_out(&encoded, request.readout)
}
