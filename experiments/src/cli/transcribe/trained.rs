//! Recordings written down by the model of a run.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use triptych_datasets::audio::AudioPipeline;
use triptych_encoders::Modality;
use triptych_tasks::decode::ctc::TimedWord;
use triptych_tasks::decode::{BeamSearch, Text};

use super::Args;
use crate::cli::listening::Listener;
use crate::cli::outcomes::Outcomes;
use crate::diagnostic::UsageError;
use crate::evaluate::{
    Inference, InferenceError, LongLabels, Manner, batch_of_recordings, long_labels, read_recording,
};
use crate::run::trained::TrainedRun;

/// Log-mel frames are 10 ms apart.
const FRAME_S: f64 = 0.01;
/// Texts that a search by CTC keeps if nothing else is said.
const CTC_BEAMS: usize = 32;

/// A transcript, however it was found.
struct Transcript {
    ids: Vec<u32>,
    confidence: f64,
    score: f64,
}

pub(super) fn run(args: &Args) -> miette::Result<()> {
    let run = TrainedRun::open(&args.run, args.compute.device)?;
    run.require(Modality::Audio)?;
    let is_by_ctc = args.listening.is_by_ctc();
    if let Some(weight) = args.ctc_weight.filter(|weight| !(0.0..=1.0).contains(weight)) {
        let message = format!("--ctc-weight: expected 0 to 1, got {weight}");
        return Err(UsageError { message, hint: None }.into());
    }
    let needs_ctc = is_by_ctc || args.timestamps || args.ctc_weight.is_some();
    if needs_ctc && run.model.ctc.is_none() {
        let message = format!("the model of {} has no CTC head", args.run.display());
        return Err(UsageError { message, hint: None }.into());
    }
    for (option, value) in [("--beam", args.beam.unwrap_or(1)), ("--n-best", args.n_best)] {
        if value == 0 {
            return Err(
                UsageError { message: format!("{option}: expected at least 1, got 0"), hint: None }.into()
            );
        }
    }
    let listener = args.listening.open(&run.tokenizer)?;
    let inference = run.inference();
    let pipeline = AudioPipeline::new(&run.config.data.audio);
    let max_s = run.config.data.audio.max_s;
    let per_token = run.config.model.audio.as_ref().map_or(1, |audio| audio.frames_per_token());
    let token_s = per_token as f64 * FRAME_S;
    let n_beams =
        args.beam.unwrap_or(if is_by_ctc { CTC_BEAMS } else { run.config.evaluate.n_beams }.max(args.n_best));
    let search = BeamSearch { n_best: args.n_best, ..BeamSearch::new(n_beams) };
    let mut outcomes = Outcomes::new(args.json);
    let n_tokens = run.tokenizer.n_tokens();
    let transcriber = Transcriber { args, run: &run, inference: &inference, listener, n_beams, token_s };
    for paths in args.recordings.chunks(run.config.evaluate.batch_size) {
        let (mut usable, mut recordings) = (Vec::new(), Vec::new());
        for path in paths {
            match read_recording(path, &pipeline) {
                Ok(recording) if recording.duration_s > max_s && is_by_ctc => {
                    let sizes = [per_token, n_tokens];
                    match long_labels(&inference, path, &pipeline, max_s, sizes) {
                        Ok(LongLabels { labels, duration_s }) => {
                            transcriber.tell(path, [duration_s; 2], Some(&labels), None, &mut outcomes)?;
                        }
                        Err(error) => outcomes.failed(path, &error),
                    }
                }
                Ok(recording) => {
                    if recording.duration_s > max_s {
                        let duration_s = recording.duration_s;
                        let advice = match run.model.ctc {
                            Some(_) => "; with --ctc it hears all of it",
                            None => "",
                        };
                        eprintln!(
                            "warning: {}: the model hears the first {max_s} s of {duration_s:.1} s{advice}",
                            path.display()
                        );
                    }
                    usable.push((path, recording.duration_s));
                    recordings.push(recording);
                }
                Err(error) => outcomes.failed(path, &error),
            }
        }
        let Some(batch) = batch_of_recordings(recordings) else { continue };
        let heard = inference.hear(&batch);
        let written = match args.ctc_weight {
            _ if is_by_ctc => Vec::new(),
            Some(weight) => inference.write_jointly(&heard, weight, &search)?,
            None => inference.write(
                std::slice::from_ref(&heard.encoded),
                &[""; 0],
                &Manner::Search(search),
                None,
            )?,
        };
        let mut written = written.into_iter();
        for (row, (path, duration_s)) in usable.into_iter().enumerate() {
            let labels = heard.labels.as_ref().map(|rows| rows[row].as_slice());
            let heard_s = [duration_s, duration_s.min(max_s)];
            transcriber.tell(path, heard_s, labels, written.next(), &mut outcomes)?;
        }
    }
    outcomes.conclude()
}

/// What a recording's transcripts are made and told with.
struct Transcriber<'a> {
    args: &'a Args,
    run: &'a TrainedRun,
    inference: &'a Inference<'a>,
    listener: Listener,
    n_beams: usize,
    /// Of a token of CTC.
    token_s: f64,
}

impl Transcriber<'_> {
    /// Tells what a recording says, of its length and how much of that was heard, by its label scores or as it was written
    /// token by token.
    fn tell(
        &self,
        path: &Path,
        [duration_s, heard_s]: [f64; 2],
        labels: Option<&[f32]>,
        written: Option<Vec<Text>>,
        outcomes: &mut Outcomes,
    ) -> miette::Result<()> {
        let Self { args, run, inference, listener, n_beams, token_s } = self;
        let transcripts = match (written, labels) {
            (Some(texts), _) => Ok(texts
                .into_iter()
                .map(|text| Transcript {
                    confidence: f64::from(text.confidence()),
                    score: text.score,
                    ids: text.ids,
                })
                .collect::<Vec<_>>()),
            (None, Some(labels)) => listener.search(labels, *n_beams, args.n_best).map(|found| {
                let n_frames = (labels.len() / run.tokenizer.n_tokens()) as f64;
                found
                    .into_iter()
                    .map(|text| Transcript {
                        confidence: text.acoustic / n_frames,
                        score: text.score,
                        ids: text.ids,
                    })
                    .collect()
            }),
            (None, None) => Ok(Vec::new()),
        };
        let transcripts = match transcripts {
            Ok(transcripts) => transcripts,
            Err(error) => {
                outcomes.failed(path, &InferenceError::from(error));
                return Ok(());
            }
        };
        let by_ctc =
            labels.map(|labels| inference.best_path(labels)).transpose().map_err(InferenceError::from)?;
        let by_ctc = by_ctc.map(|decoded| run.tokenizer.decode(&decoded.ids));
        let alternatives = transcripts.iter().map(|transcript| {
            let timed = labels.filter(|_| args.timestamps);
            let timed =
                timed.and_then(|labels| timed_words(path, listener, labels, &transcript.ids, *token_s));
            (transcript, run.tokenizer.decode(&transcript.ids), timed)
        });
        let alternatives = alternatives.collect::<Vec<_>>();
        let described = |(transcript, text, timed): &(&Transcript, String, Option<Vec<TimedWord>>)| {
            let mut described =
                json!({"text": text, "confidence": transcript.confidence, "score": transcript.score});
            if args.timestamps {
                described["words"] = words_json(timed.as_deref());
            }
            described
        };
        for (transcript, text, timed) in alternatives.iter().take(if args.json { 1 } else { args.n_best }) {
            let mut details = json!({
                "confidence": transcript.confidence,
                "by_ctc": by_ctc,
                "duration_s": duration_s,
                "heard_s": heard_s,
            });
            if args.timestamps {
                details["words"] = words_json(timed.as_deref());
            }
            if args.n_best > 1 {
                details["n_best"] = alternatives.iter().map(described).collect();
            }
            let lines = timed.as_deref().filter(|_| !args.json).map(lines).unwrap_or_default();
            outcomes.done(path, &format!("{text}{lines}"), details)?;
        }
        Ok(())
    }
}

/// When the words of a transcript are said. A text that has no alignment is told with a warning: it is still what was written.
fn timed_words(
    path: &Path,
    listener: &Listener,
    labels: &[f32],
    ids: &[u32],
    token_s: f64,
) -> Option<Vec<TimedWord>> {
    listener
        .time(labels, ids, token_s)
        .inspect_err(|error| eprintln!("warning: {}: no timestamps: {error}", path.display()))
        .ok()
}

/// `null` where there is no alignment.
fn words_json(timed: Option<&[TimedWord]>) -> Value {
    let word = |word: &TimedWord| {
        json!({
            "text": word.text, "start_s": word.start_s, "end_s": word.end_s, "confidence": word.confidence,
        })
    };
    timed.map_or(Value::Null, |words| words.iter().map(word).collect())
}

/// A line a word.
fn lines(words: &[TimedWord]) -> String {
    words.iter().fold(String::new(), |mut lines, word| {
        // writing into a string cannot fail
        let _ = write!(lines, "\n{:8.2} {:8.2}  {}", word.start_s, word.end_s, word.text);
        lines
    })
}
