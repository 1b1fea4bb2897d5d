//! A run's folder to what its report shows.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use triptych_datasets::audio::{self, AudioPipeline};
use triptych_datasets::corpora::ImportError;
use triptych_datasets::image::{decode, encode_png};
use triptych_datasets::shard::Corpus;

use crate::configuration::{ExperimentConfig, Resolved};
use crate::evaluate::{ClassificationPrediction, Item, Predictions, ScoreRow, confusions};
use crate::machine;
use crate::probe::Probes;
use crate::report::{
    AnswerItem, CaptionItem, ClassTable, Fact, Gallery, ItemScore, LedgerRow, Media, NextStep, ReportInputs,
    RunFacts, SearchExample, SearchQuery, SearchResult, Series, Stage, TranscriptItem, TriedStrength,
};
use crate::run::{TrainError, read_metrics};
use crate::workflow::Stages;

/// Gathers what the report of the run in `run` shows.
///
/// # Errors
/// When the corpus or the predictions cannot be read.
pub(crate) fn inputs(
    resolved: &Resolved<ExperimentConfig>,
    run: &Path,
    corpus: &Corpus,
    mut scores: Vec<ScoreRow>,
    n_parameters: usize,
) -> Result<ReportInputs, TrainError> {
    let config = &resolved.value;
    let predictions = Predictions::read(run)?;
    let probes = Probes::read(run)?;
    scores.extend(probes.0.iter().flat_map(|probe| probe.scores.iter().cloned()));
    let album = Album::new(corpus);
    let stages = Stages::read(run);
    let metrics = read_metrics(&run.join("metrics.jsonl")).unwrap_or_default();
    let name = run.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (losses, progress) = curves(&metrics);
    let is_synthetic =
        corpus.entries().iter().any(|entry| entry.tags.get("synthetic").is_some_and(|t| t == "yes"));
    let mut notes = Vec::new();
    if is_synthetic {
        notes.push(
            "Synthetic speech: every recording of this corpus was spoken by a program, none by a person."
                .to_owned(),
        );
    }
    notes.push(
        "Intervals are 95% percentile bootstraps over samples. WER and CER are computed after the `basic` normaliser \
         (version 1, after Whisper's); captions are compared after Penn Treebank tokenisation in lower case; ties in \
         retrieval take the middle rank; items of one concept are right answers to each other."
            .to_owned(),
    );
    if !predictions.answers.is_empty() {
        notes.push(
            "Answers: what guessing scores is the usual answer in training to the same question, without a look at what \
             it is about. Intervals resample all questions about one picture or recording together."
                .to_owned(),
        );
    }
    Ok(ReportInputs {
        run: RunFacts {
            name,
            title: config.title.clone(),
            summary: summary(config, corpus),
            facts: vec![
                Fact { label: "parameters".into(), value: format!("{:.2} M", n_parameters as f64 / 1e6) },
                Fact { label: "steps".into(), value: config.train.steps.to_string() },
                Fact { label: "batch".into(), value: config.data.batch_size.to_string() },
                Fact { label: "version".into(), value: env!("CARGO_PKG_VERSION").into() },
            ],
        },
        headline: Vec::new(),
        machine: machine::describe(&stages.device),
        stages: [("prepare", stages.prepare_s), ("train", stages.train_s), ("evaluate", stages.evaluate_s)]
            .into_iter()
            .map(|(name, seconds)| Stage { name: name.to_owned(), seconds })
            .collect(),
        peak_memory_bytes: stages.peak_memory_bytes,
        config_toml: resolved.toml.clone(),
        losses,
        progress,
        classes: classes(&predictions, &probes),
        captions: captions(&predictions, &album, config.evaluate.gallery)?,
        answers: answers(&predictions, &album, config.evaluate.gallery)?,
        transcripts: transcripts(&predictions, &album, config.evaluate.gallery)?,
        searches: searches(&predictions, &album)?,
        scores,
        ledger: corpus
            .licences()
            .iter()
            .map(|licence| LedgerRow {
                part: licence.part.clone(),
                source: licence.source.clone(),
                version: licence.version.clone(),
                licence: licence.licence.clone(),
                attribution: licence.attribution.clone(),
            })
            .collect(),
        notes,
        next_steps: next_steps(config, run),
    })
}

fn summary(config: &ExperimentConfig, corpus: &Corpus) -> String {
    let count = |has: fn(&triptych_datasets::shard::Entry) -> bool| {
        corpus.entries().iter().filter(|e| has(e)).count()
    };
    let (knows, does) = match (&config.model.vision, &config.model.audio) {
        (Some(_), Some(_)) => (
            "text, pictures and sound",
            "captions pictures, transcribes speech and finds either by the other or by text",
        ),
        (Some(_), None) => ("text and pictures", "captions pictures and finds them by text"),
        (None, Some(_)) => ("text and sound", "transcribes speech and finds it by text"),
        (None, None) => ("text", "embeds texts"),
    };
    format!(
        "One model of {knows}, trained from random weights on the corpus `{}` ({} pictures, {} recordings). It {does}. \
         Every figure is measured on hold-outs that training never saw: {}.",
        corpus.name(),
        count(|entry| entry.image.is_some()),
        count(|entry| entry.audio.is_some()),
        unique(config.evaluate.holdouts.iter().map(|holdout| holdout.name.as_str())).join(", "),
    )
}

fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

fn next_steps(config: &ExperimentConfig, run: &Path) -> Vec<NextStep> {
    let (has_images, has_sounds) = (config.model.vision.is_some(), config.model.audio.is_some());
    let (run, more_steps) = (run.display(), 3 * config.train.steps);
    [
        (has_images, format!("triptych search {run} 'a red fruit'"), "finds pictures by your own words"),
        (has_images, format!("triptych caption {run} PICTURE.png"), "says what a picture shows"),
        (
            !config.answered().is_empty(),
            format!("triptych answer {run} FILE 'what is it?'"),
            "answers your own questions",
        ),
        (has_sounds, format!("triptych transcribe {run} SPEECH.wav"), "writes down what a recording says"),
        (
            true,
            format!("triptych config explain {run}/config.toml"),
            "shows every setting and where it comes from",
        ),
        (
            true,
            format!("triptych train {run}/config.toml --set train.steps={more_steps} --out {run}-longer"),
            "trains longer",
        ),
    ]
    .into_iter()
    .filter(|(is_possible, ..)| *is_possible)
    .map(|(_, command, purpose)| NextStep { command, purpose: purpose.to_owned() })
    .collect()
}

/// Losses by objective, and the other quantities of the log.
fn curves(metrics: &[serde_json::Value]) -> (Vec<Series>, Vec<Series>) {
    let mut losses = BTreeMap::<String, Vec<(f64, f64)>>::new();
    let mut measured = BTreeMap::<String, Vec<(f64, f64)>>::new();
    let mut others = [
        ("learning rate", "", "lr"),
        ("throughput", "samples/s", "samples_per_s"),
        ("gradient norm", "", "grad_norm"),
    ]
    .map(|(name, unit, key)| {
        (Series { name: name.to_owned(), unit: unit.to_owned(), points: Vec::new() }, key)
    });
    for record in metrics {
        let Some(step) = record["step"].as_f64() else { continue };
        for (name, loss) in record["losses"].as_object().into_iter().flatten() {
            losses.entry(name.clone()).or_default().push((step, loss.as_f64().unwrap_or(f64::NAN)));
        }
        for (key, about) in [("factors", "factor on"), ("conflicts", "cosine of gradients,")] {
            for (name, value) in record[key].as_object().into_iter().flatten() {
                let points = measured.entry(format!("{about} {name}")).or_default();
                points.push((step, value.as_f64().unwrap_or(f64::NAN)));
            }
        }
        for (series, key) in &mut others {
            series.points.push((step, record[*key].as_f64().unwrap_or(f64::NAN)));
        }
    }
    let series = |(name, points)| Series { name, unit: String::new(), points };
    let others = others.into_iter().map(|(series, _)| series).chain(measured.into_iter().map(series));
    (losses.into_iter().map(series).collect(), others.collect())
}

/// Pictures and sounds of a corpus by sample id.
struct Album<'a> {
    corpus: &'a Corpus,
    places: HashMap<&'a str, usize>,
}

impl<'a> Album<'a> {
    fn new(corpus: &'a Corpus) -> Self {
        let places =
            corpus.entries().iter().enumerate().map(|(idx, entry)| (entry.id.as_str(), idx)).collect();
        Self { corpus, places }
    }

    /// The picture as a PNG; `None` where the sample has none.
    fn png(&self, id: &str) -> Result<Option<Media>, TrainError> {
        let Some(&idx) = self.places.get(id) else { return Ok(None) };
        let Some((bytes, extension)) = self.corpus.image_bytes(idx).map_err(ImportError::from)? else {
            return Ok(None);
        };
        if extension == "png" {
            return Ok(Some(Media::png(bytes)));
        }
        let failed = |source| ImportError::Image { place: id.to_owned(), source };
        let pixels = decode(bytes, extension).map_err(failed)?;
        Ok(Some(Media::png(encode_png(&pixels).map_err(failed)?)))
    }

    /// The sound as a WAV; `None` where the sample has none.
    fn wav(&self, id: &str) -> Result<Option<Media>, TrainError> {
        let Some(&idx) = self.places.get(id) else { return Ok(None) };
        let Some((bytes, extension)) = self.corpus.audio_bytes(idx).map_err(ImportError::from)? else {
            return Ok(None);
        };
        if extension == "wav" {
            return Ok(Some(Media::wav(bytes)));
        }
        let failed = |source| ImportError::Audio { place: id.to_owned(), source };
        let samples = AudioPipeline::new(&Default::default()).decode(bytes, extension).map_err(failed)?;
        let waveform = audio::Waveform { samples, rate_hz: audio::RATE_HZ };
        Ok(Some(Media::wav(audio::encode_wav(&waveform).map_err(failed)?)))
    }

    fn tag(&self, id: &str, key: &str) -> String {
        let entry = self.places.get(id).map(|&idx| &self.corpus.entries()[idx]);
        entry.and_then(|entry| entry.tags.get(key)).cloned().unwrap_or_default()
    }

    /// The first text of a sample.
    fn text(&self, id: &str) -> String {
        let entry = self.places.get(id).map(|&idx| &self.corpus.entries()[idx]);
        entry.and_then(|entry| entry.texts.first()).cloned().unwrap_or_default()
    }
}

/// What was told apart by names, then by probes.
fn classes(predictions: &Predictions, probes: &Probes) -> Vec<ClassTable> {
    let table = |task: &str, told: &ClassificationPrediction, remark: String| ClassTable {
        task: task.to_owned(),
        holdout: told.holdout.clone(),
        query: told.query.clone(),
        target: told.label.strip_prefix("tag:").unwrap_or(&told.label).to_owned(),
        remark,
        classes: told.classes.clone(),
        confusions: confusions(&told.samples),
        strengths: Vec::new(),
    };
    let named = predictions.classifications.iter().map(|told| {
        let phrases = told.templates.join(" / ");
        table("zero-shot", told, format!("{} classes, by the phrases {phrases}", told.classes.len()))
    });
    let probed = probes.0.iter().flat_map(|probe| {
        probe.tests.iter().enumerate().map(move |(place, told)| {
            let mut table = table("probe", told, probe.remark());
            // they are the same for all tests of a probe
            let tried = probe.validation.iter().flat_map(|validation| &validation.tried);
            table.strengths = tried
                .filter(|_| place == 0)
                .map(|tried| TriedStrength {
                    c: tried.c,
                    accuracy: tried.accuracy,
                    loss: tried.loss,
                    is_chosen: tried.c == probe.c,
                })
                .collect();
            table
        })
    });
    named.chain(probed).collect()
}

/// At most `n` right and `n` wrong ones of every hold-out, evenly over the list.
fn spread<'a, T>(items: &'a [T], holdout: fn(&T) -> &str, is_right: fn(&T) -> bool, n: usize) -> Vec<&'a T> {
    let mut classes = BTreeMap::<(&str, bool), Vec<&T>>::new();
    for item in items {
        classes.entry((holdout(item), is_right(item))).or_default().push(item);
    }
    let pick = |class: Vec<&'a T>| {
        let n = n.min(class.len());
        (0..n).map(|place| class[place * class.len() / n]).collect::<Vec<_>>()
    };
    classes.into_values().flat_map(pick).collect()
}

fn captions(
    predictions: &Predictions,
    album: &Album<'_>,
    n: usize,
) -> Result<Gallery<CaptionItem>, TrainError> {
    let chosen = spread(&predictions.captions, |caption| &caption.holdout, |caption| caption.exact, n);
    let mut items = Vec::with_capacity(chosen.len());
    for caption in chosen {
        let Some(image) = album.png(&caption.id)? else { continue };
        items.push(CaptionItem {
            image,
            hypothesis: caption.hypothesis.clone(),
            references: caption.references.clone(),
            holdout: caption.holdout.clone(),
            correct: caption.exact,
            score: None,
        });
    }
    Ok(Gallery { items, total: predictions.captions.len() })
}

fn answers(
    predictions: &Predictions,
    album: &Album<'_>,
    n: usize,
) -> Result<Gallery<AnswerItem>, TrainError> {
    let chosen = spread(&predictions.answers, |answer| &answer.holdout, |answer| answer.exact, n);
    let mut items = Vec::with_capacity(chosen.len());
    for answer in chosen {
        let (image, audio) = match &answer.about {
            Item::Image(id) => (album.png(id)?, None),
            Item::Speech(id) => (None, album.wav(id)?),
            Item::Text(_) => (None, None),
        };
        let mut counts = BTreeMap::<&str, usize>::new();
        answer.references.iter().for_each(|reference| *counts.entry(reference).or_default() += 1);
        let mut references = counts.into_iter().map(|(answer, n)| (answer.to_owned(), n)).collect::<Vec<_>>();
        references.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        items.push(AnswerItem {
            image,
            audio,
            question: answer.question.clone(),
            hypothesis: answer.hypothesis.clone(),
            references,
            holdout: answer.holdout.clone(),
            correct: answer.exact,
            score: answer.accuracy.map(|share| ItemScore { name: "VQA".to_owned(), value: 100.0 * share }),
        });
    }
    Ok(Gallery { items, total: predictions.answers.len() })
}

fn transcripts(
    predictions: &Predictions,
    album: &Album<'_>,
    n: usize,
) -> Result<Gallery<TranscriptItem>, TrainError> {
    let chosen =
        spread(&predictions.transcripts, |item| &item.holdout, |item| item.errors == 0, n.div_ceil(2));
    let mut items = Vec::with_capacity(chosen.len());
    for transcript in chosen {
        let Some(audio) = album.wav(&transcript.id)? else { continue };
        items.push(TranscriptItem {
            audio,
            hypothesis: transcript.hypothesis.clone(),
            reference: transcript.reference.clone(),
            holdout: transcript.holdout.clone(),
            voice: album.tag(&transcript.id, "voice"),
            errors: transcript.errors,
            synthetic: album.tag(&transcript.id, "synthetic") == "yes",
        });
    }
    Ok(Gallery { items, total: predictions.transcripts.len() })
}

fn searches(predictions: &Predictions, album: &Album<'_>) -> Result<Gallery<SearchExample>, TrainError> {
    let mut items = Vec::with_capacity(predictions.searches.len());
    for search in &predictions.searches {
        let query = match &search.query {
            Item::Text(text) => SearchQuery::Text(text.clone()),
            Item::Image(id) => match album.png(id)? {
                Some(image) => SearchQuery::Image { image, text: album.text(id) },
                None => continue,
            },
            Item::Speech(id) => match album.wav(id)? {
                Some(audio) => SearchQuery::Speech {
                    audio,
                    text: album.text(id),
                    synthetic: album.tag(id, "synthetic") == "yes",
                },
                None => continue,
            },
        };
        let mut results = Vec::with_capacity(search.results.len());
        for found in &search.results {
            let (image, caption) = match &found.item {
                Item::Text(text) => (None, text.clone()),
                Item::Image(id) => (album.png(id)?, album.text(id)),
                Item::Speech(id) => (None, album.text(id)),
            };
            results.push(SearchResult {
                image,
                caption,
                similarity: f64::from(found.similarity),
                correct: found.correct,
            });
        }
        items.push(SearchExample { query, results, holdout: search.holdout.clone() });
    }
    Ok(Gallery { total: items.len(), items })
}
