//! What is searched: the pictures, the recordings or the texts of a run's corpus.

use std::collections::HashSet;

use clap::ValueEnum;
use triptych_encoders::{Modality, TokenSequence};

use super::Part;
use crate::diagnostic::UsageError;
use crate::evaluate::{Inference, Item};
use crate::progress::Progress;
use crate::run::TrainError;
use crate::run::data::Data;
use crate::run::trained::TrainedRun;

/// What to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Sought {
    Image,
    Audio,
    Text,
}

impl Sought {
    /// What a model finds that is not told: pictures where it sees, else recordings, else texts.
    pub(super) fn usual(run: &TrainedRun) -> Self {
        let order = [Self::Image, Self::Audio, Self::Text];
        order.into_iter().find(|sought| run.model.knows(sought.modality())).unwrap_or(Self::Text)
    }

    pub(super) fn modality(self) -> Modality {
        match self {
            Self::Image => Modality::Image,
            Self::Audio => Modality::Audio,
            Self::Text => Modality::Text,
        }
    }

    fn named(self) -> &'static str {
        match self {
            Self::Image => "pictures",
            Self::Audio => "recordings",
            Self::Text => "texts",
        }
    }
}

/// Things of one kind, by the places of their samples in the corpus.
pub(super) struct Things<'a> {
    sought: Sought,
    run: &'a TrainedRun,
    data: &'a Data,
    places: Vec<usize>,
}

impl<'a> Things<'a> {
    /// Those of a part of the corpus; of equal texts the first.
    ///
    /// # Errors
    /// A part without any.
    pub(super) fn of(
        sought: Sought,
        run: &'a TrainedRun,
        data: &'a Data,
        part: Part,
    ) -> Result<Self, UsageError> {
        let entries = data.corpus.entries();
        let mut seen = HashSet::new();
        let mut is_one = |idx: usize| match sought {
            Sought::Image => entries[idx].image.is_some(),
            Sought::Audio => entries[idx].audio.is_some(),
            Sought::Text => entries[idx].texts.first().is_some_and(|text| seen.insert(text.as_str())),
        };
        let of_part = data.corpus.select(&part.selection());
        let places = of_part.into_iter().filter(|&idx| is_one(idx)).collect::<Vec<_>>();
        if places.is_empty() {
            let n_all = (0..entries.len()).filter(|&idx| is_one(idx)).count();
            let (what, dir) = (sought.named(), data.corpus.dir().display());
            return Err(UsageError {
                message: format!("the corpus {dir} has no {what} in that split"),
                hint: (n_all > 0).then(|| format!("`--split all` searches all {n_all}")),
            });
        }
        Ok(Self { sought, run, data, places })
    }

    /// Places in the corpus.
    pub(super) fn places(&self) -> &[usize] {
        &self.places
    }

    /// As a judge knows it.
    pub(super) fn item(&self, place: usize) -> Item {
        let entry = &self.data.corpus.entries()[place];
        match self.sought {
            Sought::Image => Item::Image(entry.id.clone()),
            Sought::Audio => Item::Speech(entry.id.clone()),
            Sought::Text => Item::Text(entry.texts[0].clone()),
        }
    }

    /// Embeddings of all of them.
    ///
    /// # Errors
    /// When one cannot be read.
    pub(super) fn embed(
        &self,
        inference: &Inference<'_>,
        is_quiet: bool,
    ) -> Result<Vec<Vec<f32>>, TrainError> {
        let what = self.sought.named();
        let mut progress = Progress::new("looking", self.places.len() as u64, what, is_quiet);
        let mut embeddings = Vec::with_capacity(self.places.len());
        self.encoded(inference, &self.places, |_, encoded| {
            embeddings.extend(inference.embed(encoded));
            progress.set(embeddings.len() as u64, "");
        })?;
        progress.finish(&format!("{} {what}", self.places.len()));
        Ok(embeddings)
    }

    /// Gives some of them encoded, in batches, with their places.
    ///
    /// # Errors
    /// When one cannot be read.
    pub(super) fn encoded(
        &self,
        inference: &Inference<'_>,
        places: &[usize],
        mut take: impl FnMut(&[usize], &TokenSequence),
    ) -> Result<(), TrainError> {
        let config = &self.run.config;
        if self.sought == Sought::Text {
            let entries = self.data.corpus.entries();
            for places in places.chunks(config.evaluate.batch_size) {
                let texts = places.iter().map(|&idx| entries[idx].texts[0].as_str()).collect::<Vec<_>>();
                take(places, &inference.read(&texts));
            }
            return Ok(());
        }
        for batch in self.data.evaluation(config, places.to_vec())? {
            let batch = batch?;
            let encoded = match self.sought {
                Sought::Audio => inference.hear(&batch.batch).encoded,
                _ => inference.see(&batch.batch),
            };
            take(&batch.entries, &encoded);
        }
        Ok(())
    }
}
