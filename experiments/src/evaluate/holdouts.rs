//! Scores and predictions on every hold-out of an experiment.

use std::collections::BTreeMap;

use triptych_datasets::loader::Selection;
use triptych_datasets::shard::Corpus;
use triptych_encoders::Modality;
use triptych_tasks::metrics::{
    Answers, Bootstrap, Captions, Clusters, MetricError, Normalizer, Resampling, Score, WordErrors,
};

use super::ScoreRow;
use super::answers::{Given, Habits, asked, questions};
use super::inference::Perceived;
use super::judge::Judge;
use super::predictions::{
    AnswerPrediction, CaptionPrediction, Item, Predictions, SearchPrediction, TranscriptPrediction,
};
use super::retrieval::{Comparison, Side};
use crate::configuration::{EvaluateConfig, Holdout};

/// Results shown of a search.
const SHOWN: usize = 5;

/// What the model made of the corpus, by place in it.
#[derive(Default)]
pub(crate) struct Perceptions {
    /// Pictures.
    pub(crate) images: BTreeMap<usize, Perceived>,
    /// Sounds.
    pub(crate) sounds: BTreeMap<usize, Perceived>,
    /// Answers to the questions about pictures, in the order of an entry's questions.
    pub(crate) image_answers: BTreeMap<usize, Vec<Given>>,
    /// Answers to the questions about sounds.
    pub(crate) sound_answers: BTreeMap<usize, Vec<Given>>,
    /// Embeddings of the first text of every group.
    pub(crate) texts: BTreeMap<String, Vec<f32>>,
}

/// Measures the hold-outs one after the other; where there is a judge, with what it finds best among the best too.
///
/// # Errors
/// When a figure is undefined: a NaN among the similarities, a hold-out without a sample.
pub(crate) fn measure(
    corpus: &Corpus,
    perceptions: &Perceptions,
    judge: Option<&Judge<'_>>,
    config: &EvaluateConfig,
) -> Result<(Vec<ScoreRow>, Predictions), MetricError> {
    let mut measured = Measured {
        corpus,
        perceptions,
        judge,
        config,
        rows: Vec::new(),
        predictions: Predictions::default(),
    };
    for holdout in &config.holdouts {
        measured.holdout(holdout)?;
    }
    Ok((measured.rows, measured.predictions))
}

/// The entries of the corpus that a hold-out's pictures and sounds are. Where these are not compared with each other they
/// are compared with their texts, and those without a text are left out.
pub(crate) fn members(corpus: &Corpus, holdout: &Holdout) -> (Vec<usize>, Vec<usize>) {
    let select = |selection: Option<&triptych_datasets::loader::Selection>,
                  has: fn(&triptych_datasets::shard::Entry) -> bool| {
        let Some(selection) = selection else { return Vec::new() };
        let entries = corpus.entries().iter().enumerate();
        entries.filter(|(_, entry)| has(entry) && selection.matches(entry)).map(|(idx, _)| idx).collect()
    };
    let mut images: Vec<usize> = select(holdout.images.as_ref(), |entry| entry.image.is_some());
    let mut sounds: Vec<usize> = select(holdout.sounds.as_ref(), |entry| entry.audio.is_some());
    if images.is_empty() || sounds.is_empty() {
        let has_text = |idx: &usize| !corpus.entries()[*idx].texts.is_empty();
        images.retain(has_text);
        sounds.retain(has_text);
    }
    (images, sounds)
}

struct Measured<'a> {
    corpus: &'a Corpus,
    perceptions: &'a Perceptions,
    judge: Option<&'a Judge<'a>>,
    config: &'a EvaluateConfig,
    rows: Vec<ScoreRow>,
    predictions: Predictions,
}

impl<'a> Measured<'a> {
    fn holdout(&mut self, holdout: &Holdout) -> Result<(), MetricError> {
        let (images, sounds) = members(self.corpus, holdout);
        let image = self.side("image", &images, &self.perceptions.images, Item::Image);
        let speech = self.side("speech", &sounds, &self.perceptions.sounds, Item::Speech);
        let crossed = !images.is_empty() && !sounds.is_empty();
        let text = self.texts(images.iter().chain(&sounds).filter(|_| !crossed));
        let mut pairs = Vec::new();
        // with both, the hold-out is about the crossing: each with the texts is another hold-out's
        if crossed {
            pairs.extend([(&speech, &image), (&image, &speech)]);
        } else {
            for side in [&image, &speech] {
                if !side.items.is_empty() {
                    pairs.extend([(side, &text), (&text, side)]);
                }
            }
        }
        for (query, target) in pairs {
            self.retrieval(&holdout.name, query, target)?;
        }
        if !crossed && !images.is_empty() {
            self.captions(&holdout.name, &images)?;
        }
        if !crossed && !sounds.is_empty() {
            self.transcripts(&holdout.name, &sounds)?;
        }
        if !crossed {
            self.answers(holdout, holdout.images.as_ref(), Modality::Image)?;
            self.answers(holdout, holdout.sounds.as_ref(), Modality::Audio)?;
        }
        Ok(())
    }

    /// Beside each figure stands what the usual answers of training score.
    fn answers(
        &mut self,
        holdout: &Holdout,
        selection: Option<&Selection>,
        modality: Modality,
    ) -> Result<(), MetricError> {
        let (given, query, item): (_, _, fn(String) -> Item) = match modality {
            Modality::Audio => (&self.perceptions.sound_answers, "speech", Item::Speech),
            _ => (&self.perceptions.image_answers, "image", Item::Image),
        };
        let entries = self.corpus.entries();
        let members = asked(self.corpus, selection, modality)
            .into_iter()
            .filter_map(|idx| given.get(&idx).map(|given| (idx, given)));
        let members = members.flat_map(|(idx, given)| {
            questions(&entries[idx]).zip(given).map(move |(asked, given)| (idx, asked, given))
        });
        let members = members.collect::<Vec<_>>();
        if members.is_empty() {
            return Ok(());
        }
        let hypotheses = members.iter().map(|(_, _, given)| given.answer.as_str()).collect::<Vec<_>>();
        let references = members.iter().map(|(_, asked, _)| asked.answers.as_slice()).collect::<Vec<_>>();
        let answers = Answers::new(&hypotheses, &references)?;
        let habits = Habits::of(self.corpus, modality);
        let usual = members.iter().map(|(_, asked, _)| habits.answer(&asked.question));
        let usual = usual.collect::<Option<Vec<_>>>();
        let usual = usual.map(|usual| Answers::new(&usual, &references)).transpose()?;
        let usual = usual.map(|usual| usual.figures());
        // what is asked about one picture goes right and wrong together
        let clusters = members.iter().map(|(idx, _, _)| *idx).collect::<Vec<_>>();
        let resampling = Resampling { clusters: Some(Clusters::new(&clusters)), ..self.resampling() };
        for (place, score) in answers.scores(&resampling)?.into_iter().enumerate() {
            let chance = usual.as_ref().map(|figures| figures[place].value());
            self.push("vqa", &holdout.name, (Some(query), Some("answer")), score, chance);
        }
        for (place, (idx, asked, given)) in members.into_iter().enumerate() {
            self.predictions.answers.push(AnswerPrediction {
                holdout: holdout.name.clone(),
                about: item(entries[idx].id.clone()),
                question: asked.question.clone(),
                hypothesis: given.answer.clone(),
                confidence: given.confidence,
                references: asked.answers.clone(),
                accuracy: answers.has_accuracy().then(|| answers.accuracies()[place]),
                exact: answers.exact_matches()[place],
            });
        }
        Ok(())
    }

    fn side(
        &self,
        modality: &'static str,
        members: &[usize],
        perceived: &'a BTreeMap<usize, Perceived>,
        item: fn(String) -> Item,
    ) -> Side<'a> {
        let entries = self.corpus.entries();
        Side {
            modality,
            items: members.iter().map(|&idx| item(entries[idx].id.clone())).collect(),
            groups: members.iter().map(|&idx| entries[idx].group.as_str()).collect(),
            embeddings: members.iter().map(|idx| perceived[idx].embedding.as_slice()).collect(),
        }
    }

    /// One text a group, in the order of the groups' names.
    fn texts<'m>(&self, members: impl Iterator<Item = &'m usize>) -> Side<'a> {
        let entries = self.corpus.entries();
        let groups = members.map(|&idx| (entries[idx].group.as_str(), entries[idx].texts[0].clone()));
        let groups = groups.collect::<BTreeMap<_, _>>();
        Side {
            modality: "text",
            embeddings: groups.keys().map(|&group| self.perceptions.texts[group].as_slice()).collect(),
            items: groups.values().cloned().map(Item::Text).collect(),
            groups: groups.into_keys().collect(),
        }
    }

    fn resampling(&self) -> Resampling {
        Resampling { bootstrap: Bootstrap { n_resamples: self.config.resamples, seed: 0 }, clusters: None }
    }

    fn retrieval(&mut self, holdout: &str, query: &Side<'_>, target: &Side<'_>) -> Result<(), MetricError> {
        let comparison = Comparison::new(query, target);
        let ranks = comparison.ranks()?;
        for score in ranks.scores(&self.resampling())? {
            let chance = match score.name.as_str() {
                "R@1" => Some(100.0 * ranks.chance_recall(1)?),
                "R@5" => Some(100.0 * ranks.chance_recall(5)?),
                "R@10" => Some(100.0 * ranks.chance_recall(10)?),
                _ => None,
            };
            let direction = (Some(query.modality), Some(target.modality));
            self.push("retrieval", holdout, direction, score, chance);
        }
        let reranked = self.judge.and_then(|judge| {
            comparison.reranked(self.config.rerank, |query_idx, targets| {
                let targets = targets.iter().map(|&idx| &target.items[idx]).collect::<Vec<_>>();
                judge.logits(&query.items[query_idx], &targets)
            })
        });
        if let Some(reranked) = reranked {
            for mut score in reranked.ranks()?.scores(&self.resampling())? {
                score.name = format!("{} (re-ranked)", score.name);
                self.push("retrieval", holdout, (Some(query.modality), Some(target.modality)), score, None);
            }
        }
        let n = query.items.len();
        let n_shown = self.config.gallery.min(n);
        for place in 0..n_shown {
            let query_idx = place * n / n_shown;
            self.predictions.searches.push(SearchPrediction {
                holdout: holdout.to_owned(),
                query: query.items[query_idx].clone(),
                results: comparison.best(query_idx, target, SHOWN),
                rank: ranks.queries()[query_idx].best,
            });
        }
        Ok(())
    }

    fn captions(&mut self, holdout: &str, members: &[usize]) -> Result<(), MetricError> {
        let entries = self.corpus.entries();
        let hypotheses =
            members.iter().map(|idx| self.perceptions.images[idx].written.as_str()).collect::<Vec<_>>();
        let references = members.iter().map(|&idx| entries[idx].texts.clone()).collect::<Vec<_>>();
        let captions = Captions::new(&hypotheses, &references)?;
        let exact = captions.exact_matches();
        for score in captions.scores(None, &self.resampling())? {
            self.push("caption", holdout, (Some("image"), Some("text")), score, None);
        }
        for (place, &idx) in members.iter().enumerate() {
            let perceived = &self.perceptions.images[&idx];
            self.predictions.captions.push(CaptionPrediction {
                holdout: holdout.to_owned(),
                id: entries[idx].id.clone(),
                hypothesis: perceived.written.clone(),
                confidence: perceived.confidence,
                references: references[place].clone(),
                exact: exact[place],
            });
        }
        Ok(())
    }

    fn transcripts(&mut self, holdout: &str, members: &[usize]) -> Result<(), MetricError> {
        let entries = self.corpus.entries();
        let perceived = members.iter().map(|idx| &self.perceptions.sounds[idx]).collect::<Vec<_>>();
        let references = members.iter().map(|&idx| entries[idx].texts[0].as_str()).collect::<Vec<_>>();
        let written = perceived.iter().map(|perceived| perceived.written.as_str()).collect::<Vec<_>>();
        let errors = WordErrors::new(Normalizer::Basic, &references, &written)?;
        for score in errors.scores(&self.resampling())? {
            self.push("asr", holdout, (Some("speech"), Some("text")), score, None);
        }
        let by_ctc =
            perceived.iter().map(|perceived| perceived.by_ctc.as_deref()).collect::<Option<Vec<_>>>();
        if let Some(by_ctc) = &by_ctc {
            for mut score in
                WordErrors::new(Normalizer::Basic, &references, by_ctc)?.scores(&self.resampling())?
            {
                if score.name == "WER" || score.name == "CER" {
                    score.name = format!("{} (CTC)", score.name);
                    self.push("asr", holdout, (Some("speech"), Some("text")), score, None);
                }
            }
        }
        for (place, &idx) in members.iter().enumerate() {
            self.predictions.transcripts.push(TranscriptPrediction {
                holdout: holdout.to_owned(),
                id: entries[idx].id.clone(),
                hypothesis: perceived[place].written.clone(),
                by_ctc: perceived[place].by_ctc.clone(),
                reference: references[place].to_owned(),
                errors: errors.words()[place].n_edits() as usize,
            });
        }
        Ok(())
    }

    fn push(
        &mut self,
        task: &str,
        holdout: &str,
        direction: (Option<&str>, Option<&str>),
        score: Score,
        chance: Option<f64>,
    ) {
        self.rows.push(ScoreRow::new(task, holdout, direction, score, chance));
    }
}
