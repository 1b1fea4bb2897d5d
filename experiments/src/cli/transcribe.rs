//! `triptych transcribe`: writes down what recordings say.

use std::path::PathBuf;

use serde_json::json;
use triptych_datasets::audio::AudioPipeline;
use triptych_encoders::Modality;

use super::options::Compute;
use super::outcomes::Outcomes;
use crate::evaluate::{batch_of_recordings, read_recording};
use crate::run::trained::TrainedRun;

/// Write down what recordings say
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych transcribe runs/quickstart hello.wav
  triptych transcribe runs/quickstart *.wav --json | jq -r '.[].text'")]
pub(crate) struct Args {
    /// The run whose model to use
    run: PathBuf,
    /// Recordings: wav, flac, mp3, ogg, m4a
    #[arg(required = true, value_name = "AUDIO")]
    recordings: Vec<PathBuf>,
    /// Print a JSON list of objects
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) compute: Compute,
}

pub(crate) fn run(args: Args) -> miette::Result<()> {
    let run = TrainedRun::open(&args.run, args.compute.device)?;
    run.require(Modality::Audio)?;
    let inference = run.inference();
    let pipeline = AudioPipeline::new(&run.config.data.audio);
    let max_s = run.config.data.audio.max_s;
    let mut outcomes = Outcomes::new(args.json);
    for paths in args.recordings.chunks(run.config.evaluate.batch_size) {
        let (mut usable, mut recordings) = (Vec::new(), Vec::new());
        for path in paths {
            match read_recording(path, &pipeline) {
                Ok(recording) => {
                    if recording.duration_s > max_s {
                        let duration_s = recording.duration_s;
                        eprintln!(
                            "warning: {}: the model hears the first {max_s} s of {duration_s:.1} s",
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
        for ((path, duration_s), perceived) in usable.into_iter().zip(inference.sounds(&batch)) {
            let details = json!({
                "confidence": perceived.confidence,
                "by_ctc": perceived.by_ctc,
                "duration_s": duration_s,
                "heard_s": duration_s.min(max_s),
            });
            outcomes.done(path, &perceived.written, details)?;
        }
    }
    outcomes.conclude()
}
