//! Recordings written down by a published Whisper model.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use burn::prelude::*;
use serde_json::{Value, json};
use triptych_datasets::audio::{AudioPipeline, AudioTransform, RATE_HZ};
use triptych_datasets::text::PublishedTokenizer;
use triptych_encoders::pretrained::ModelFolder;
use triptych_encoders::pretrained::families::{Family, Whisper, WhisperConfig, WhisperFamily};
use triptych_tasks::decode::whisper::{
    LongForm, Recognition, WhisperRecording, WhisperVocabulary, WindowSearch,
};

use super::Args;
use crate::cli::model::report;
use crate::cli::outcomes::Outcomes;
use crate::diagnostic::UsageError;
use crate::progress::Progress;

/// Mel frames are 10 ms apart.
const FRAME_S: f64 = 0.01;

/// The model with what belongs to it.
struct Recogniser {
    config: WhisperConfig,
    model: Whisper,
    tokenizer: PublishedTokenizer,
    vocabulary: WhisperVocabulary,
    device: Device,
}

/// What a recording says.
struct Heard {
    recognition: Recognition,
    duration_s: f64,
    language: Option<String>,
    /// Where the language was not given.
    language_probability: Option<f64>,
}

impl Recogniser {
    fn open(path: &Path, device: Device) -> miette::Result<Self> {
        let folder = ModelFolder::open(path).map_err(|error| report(error.into()))?;
        let family = folder.family().map_err(|error| report(error.into()))?;
        if family.name != WhisperFamily::NAME {
            let (path, name, about) = (path.display(), family.name, family.about);
            return Err(UsageError {
                message: format!(
                    "{path}: expected a Whisper model, which writes speech down, got {name} ({about})"
                ),
                hint: Some(
                    "`triptych embed --model DIR` makes vectors with models of the other kinds".to_owned(),
                ),
            }
            .into());
        }
        let file = folder.tokenizer_file().map_err(|error| report(error.into()))?;
        let (config, model) = folder.load::<WhisperFamily>(&device).map_err(report)?;
        let model = model.for_decoding();
        let tokenizer = PublishedTokenizer::open(&file).map_err(|error| miette::miette!("{error}"))?;
        let settings = match folder.settings("generation_config.json") {
            Ok(Some(settings)) => Ok(settings),
            // older models have it all in one file
            Ok(None) => folder.config(),
            Err(error) => Err(error),
        };
        let settings = settings.map_err(|error| report(error.into()))?;
        let vocabulary = WhisperVocabulary::read(&tokenizer, &settings, config.n_vocab)
            .map_err(|error| miette::miette!("{}: {error}", path.display()))?;
        Ok(Self { config, model, tokenizer, vocabulary, device })
    }

    /// The tokens that the first window reads as if they had been said before.
    fn prompt(&self, prompt: Option<&str>) -> miette::Result<Vec<u32>> {
        let Some(prompt) = prompt else { return Ok(Vec::new()) };
        let ids = self.tokenizer.encode_plain(&format!(" {}", prompt.trim()));
        let ids = ids.map_err(|error| miette::miette!("{error}"))?;
        if ids.iter().any(|&id| id >= self.vocabulary.end()) {
            let message = format!("--prompt: expected words, got a mark of the model among them: {prompt:?}");
            return Err(UsageError { message, hint: None }.into());
        }
        Ok(ids)
    }

    fn hear(
        &self,
        path: &Path,
        form: &LongForm,
        args: &Args,
        is_quiet: bool,
    ) -> Result<Heard, Box<dyn Error>> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let pipeline = AudioPipeline::new(&AudioTransform::default());
        let bytes = fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
        let samples = pipeline.decode(&bytes, &extension)?;
        let duration_s = samples.len() as f64 / f64::from(RATE_HZ);
        let recording = WhisperRecording::new(&self.model, &self.config, &samples, &self.device)?;
        let mut language = args.published.language.clone();
        let mut language_probability = None;
        if language.is_none()
            && let Some((code, probability)) = self.detect(&recording)?
        {
            (language, language_probability) = (Some(code), Some(probability));
        }
        let tokens = self.vocabulary.tokens(language.as_deref(), args.published.task.task())?;
        let decode = |ids: &[u32]| self.tokenizer.decode(ids);
        let mut progress = Progress::new("transcribe", duration_s as u64, "seconds", is_quiet);
        let name = path.display().to_string();
        let reaches = |frame_idx: usize| progress.set((frame_idx as f64 * FRAME_S) as u64, &name);
        let recognition = form.run_watched(&recording, &tokens, decode, reaches)?;
        progress.finish(&name);
        Ok(Heard { recognition, duration_s, language, language_probability })
    }

    /// The likeliest language, of a model that tells some apart.
    fn detect(&self, recording: &WhisperRecording<'_>) -> Result<Option<(String, f64)>, Box<dyn Error>> {
        if self.vocabulary.languages().is_empty() {
            return Ok(None);
        }
        Ok(recording.languages(&self.vocabulary)?.into_iter().next())
    }
}

pub(super) fn run(args: &Args, model: &Path) -> miette::Result<()> {
    let options = &args.published;
    if args.beam == Some(0) {
        let message = "--beam: expected at least 1, got 0".to_owned();
        return Err(UsageError { message, hint: None }.into());
    }
    if let Some(heat) = options.temperatures.iter().find(|heat| !(heat.is_finite() && **heat >= 0.0)) {
        let message = format!("--temperatures: expected numbers of at least 0, got {heat}");
        return Err(UsageError { message, hint: None }.into());
    }
    let recogniser = Recogniser::open(model, args.compute.device.open()?)?;
    // before the first recording is heard: that may take long
    let asked = recogniser.vocabulary.tokens(options.language.as_deref(), options.task.task());
    asked.map_err(|error| UsageError { message: error.to_string(), hint: None })?;
    let form = LongForm {
        search: WindowSearch {
            temperatures: options.temperatures.clone(),
            n_beams: args.beam.unwrap_or(1),
            seed: options.seed,
            ..WindowSearch::default()
        },
        is_conditioned: !options.separate_windows,
        initial_prompt: recogniser.prompt(options.prompt.as_deref())?,
        max_initial_timestamp: recogniser.vocabulary.max_initial_timestamp,
    };
    let mut outcomes = Outcomes::new(args.json);
    let recordings: Vec<&PathBuf> = std::iter::once(&args.run).chain(&args.recordings).collect();
    let is_quiet = !std::io::stderr().is_terminal();
    for path in recordings {
        match recogniser.hear(path, &form, args, is_quiet) {
            Ok(heard) => {
                let text = heard.recognition.text();
                let lines =
                    if args.timestamps && !args.json { lines(&heard.recognition) } else { String::new() };
                outcomes.done(path, &format!("{}{lines}", text.trim()), details(&heard, args))?;
            }
            Err(error) => outcomes.failed(path, &*error),
        }
    }
    outcomes.conclude()
}

fn details(heard: &Heard, args: &Args) -> Value {
    let segments = heard.recognition.segments.iter().filter(|segment| !segment.text.is_empty());
    let segments = segments.map(|segment| {
        json!({
            "start_s": segment.start_s,
            "end_s": segment.end_s,
            "text": segment.text.trim(),
            "tokens": segment.tokens,
            "temperature": segment.temperature,
            "mean_log_probability": segment.mean_log_probability,
            "compression_ratio": segment.compression_ratio,
            "no_speech": segment.no_speech,
        })
    });
    json!({
        "language": heard.language,
        "language_probability": heard.language_probability,
        "task": args.published.task.name(),
        "duration_s": heard.duration_s,
        "segments": segments.collect::<Vec<_>>(),
    })
}

/// A line a segment.
fn lines(recognition: &Recognition) -> String {
    let segments = recognition.segments.iter().filter(|segment| !segment.text.is_empty());
    segments.fold(String::new(), |mut lines, segment| {
        // writing into a string cannot fail
        let _ = write!(lines, "\n{:8.2} {:8.2}  {}", segment.start_s, segment.end_s, segment.text.trim());
        lines
    })
}
