//! `triptych probe`: how much of a class a linear layer can read off a run's frozen encoders.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use miette::IntoDiagnostic;
use triptych_encoders::Modality;

use super::options::Work;
use crate::configuration::Label;
use crate::diagnostic::{UsageError, print};
use crate::evaluate::Readout;
use crate::probe::{Amount, ProbeRecord, Probes, Request, has, probe, tags, text_summary};
use crate::progress::Progress;
use crate::run::data::Data;
use crate::run::folder::RunFolder;
use crate::run::trained::TrainedRun;
use crate::run::{TrainError, WriteError, write_atomically};

/// Fit a linear classifier to a run's frozen features, and measure it on the hold-outs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych probe runs/quickstart --label tag:category
  triptych probe runs/quickstart --label tag:category --features embedding --shots 16
  triptych probe runs/quickstart --label tag:style --train 'style=noto|fluent' --test 'split=test,style=noto|fluent'
  triptych probe runs/quickstart --modality audio --label tag:concept --test voice:slt --json

A condition is KEY=VALUE, several joined by commas, one or the other value by |; `split` is train for --train and test for
--test unless it says train, validation, test or all. The strength of regularisation is chosen on the validation split, else
by folds. The probe is kept in probes.json, which the report shows.")]
pub(crate) struct Args {
    /// The run's folder
    run: PathBuf,
    /// What a sample's class is: text, group or tag:NAME; that of the run's first `evaluate.classify` if not given
    #[arg(long, value_name = "LABEL")]
    label: Option<Label>,
    /// What is looked at; pictures, sounds or texts, the first that the run knows, if not given
    #[arg(long, value_enum)]
    modality: Option<Looked>,
    /// What is read off the encoder
    #[arg(long, value_enum, default_value_t = Readout::Encoder)]
    features: Readout,
    /// What the probe is fitted to, a condition; the whole training split if not given
    #[arg(long, value_name = "CONDITION")]
    train: Option<String>,
    /// What it is measured on, a hold-out or a condition; may be given several times; every hold-out if not given
    #[arg(long = "test", value_name = "HOLDOUT")]
    tests: Vec<String>,
    /// Fit to so many samples of every class, drawn at random
    #[arg(long, value_name = "N", conflicts_with = "fraction", value_parser = clap::value_parser!(u32).range(1..))]
    shots: Option<u32>,
    /// Fit to this share of every class, drawn at random
    #[arg(long, value_name = "SHARE", value_parser = share)]
    fraction: Option<f64>,
    /// Leave out classes of fewer training samples
    #[arg(long, value_name = "N", default_value_t = 1)]
    least: u32,
    /// Leave out samples that have no class
    #[arg(long)]
    skip_unlabelled: bool,
    /// Choose C by so many folds of the training samples, also where there is a validation split
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=100))]
    folds: Option<u32>,
    /// C, the inverse strength of regularisation; of several, joined by commas, the best is chosen
    #[arg(long, value_name = "C", value_delimiter = ',', value_parser = strength)]
    c: Vec<f64>,
    /// Decides what is drawn, and how folds are dealt; the run's own seed if not given
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// The folder whose probes.json it goes to; the run's own if not given
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) work: Work,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Looked {
    Image,
    Audio,
    Text,
}

impl Looked {
    fn modality(self) -> Modality {
        match self {
            Self::Image => Modality::Image,
            Self::Audio => Modality::Audio,
            Self::Text => Modality::Text,
        }
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| *share > 0.0 && *share <= 1.0);
    share.ok_or_else(|| "expected a share above 0 and up to 1".to_owned())
}

fn strength(text: &str) -> Result<f64, String> {
    let c = text.trim().parse::<f64>().ok().filter(|c| c.is_finite() && *c > 0.0);
    c.ok_or_else(|| "expected finite numbers above 0, such as 0.1 or 0.01,0.1,1".to_owned())
}

pub(crate) fn run(args: Args) -> miette::Result<()> {
    let run = TrainedRun::open(&args.run, args.work.device)?;
    let looked = args.modality.map(Looked::modality).or_else(|| {
        let known = [Modality::Image, Modality::Audio, Modality::Text];
        known.into_iter().find(|modality| run.model.knows(*modality))
    });
    let modality = looked.unwrap_or(Modality::Text);
    run.require(modality)?;
    let data = run.data()?;
    let request = Request {
        label: label(&args, &run, &data, modality)?,
        modality,
        readout: args.features,
        train: args.train.clone(),
        tests: args.tests.clone(),
        amount: match (args.shots, args.fraction) {
            (Some(n), _) => Amount::Shots(n as usize),
            (None, Some(share)) => Amount::Share(share),
            (None, None) => Amount::All,
        },
        least: args.least as usize,
        skips_unlabelled: args.skip_unlabelled,
        n_folds: args.folds.map(|n| n as usize),
        inverse_strengths: args.c.clone(),
        seed: args.seed.unwrap_or(run.config.seed),
    };
    let keeper = Keeper::open(&args)?;
    let mut bars = Bars { title: "", progress: None, is_quiet: args.work.quiet };
    let fitting = probe(&run, &data, &request, &mut |done, total, what| bars.set(done, total, what))?;
    bars.finish();
    for warning in &fitting.warnings {
        eprintln!("warning: {warning}");
    }
    keeper.keep(fitting.record.clone())?;
    if args.json {
        return print(&json(&fitting.record)?);
    }
    print(&text_summary(&fitting.record))
}

/// What was asked for, else what the run classifies by.
fn label(args: &Args, run: &TrainedRun, data: &Data, modality: Modality) -> Result<Label, UsageError> {
    let configured = || run.config.evaluate.classify.first().map(|task| task.label.clone());
    args.label.clone().or_else(configured).ok_or_else(|| {
        let entries = data.corpus.entries().iter().enumerate();
        let members = entries.filter(|(_, entry)| has(modality, entry)).map(|(idx, _)| idx);
        UsageError {
            message: "expected `--label`: what a sample's class is".to_owned(),
            hint: Some(tags(&data.corpus, &members.collect::<Vec<_>>())),
        }
    })
}

/// The record without every single sample.
fn json(record: &ProbeRecord) -> miette::Result<String> {
    let mut value = serde_json::to_value(record).into_diagnostic()?;
    for test in value["tests"].as_array_mut().into_iter().flatten() {
        let samples = test["samples"].take();
        let samples = serde_json::from_value::<Vec<_>>(samples).into_diagnostic()?;
        test["confusions"] = serde_json::to_value(crate::evaluate::confusions(&samples)).into_diagnostic()?;
        if let Some(test) = test.as_object_mut() {
            test.remove("samples");
            test.remove("templates");
        }
    }
    Ok(format!("{}\n", serde_json::to_string_pretty(&value).into_diagnostic()?))
}

/// Where the probe is kept. A run's folder is locked before the work, so that this is not done for nothing.
enum Keeper {
    Run(RunFolder),
    Folder(PathBuf),
}

impl Keeper {
    fn open(args: &Args) -> miette::Result<Self> {
        let keeper = match &args.out {
            None => Self::Run(RunFolder::open(&args.run).map_err(TrainError::from)?),
            Some(folder) => {
                std::fs::create_dir_all(folder).map_err(|source| WriteError {
                    path: folder.clone(),
                    source,
                    resume_step: None,
                })?;
                Self::Folder(folder.clone())
            }
        };
        // a file that is damaged is told before the work too
        Probes::read(keeper.folder())?;
        Ok(keeper)
    }

    fn folder(&self) -> &Path {
        match self {
            Self::Run(folder) => folder.path(),
            Self::Folder(folder) => folder,
        }
    }

    /// Adds it to what is there.
    fn keep(&self, record: ProbeRecord) -> miette::Result<()> {
        let mut probes = Probes::read(self.folder())?;
        probes.put(record);
        let json = probes.to_json();
        let path = self.folder().join(Probes::FILE);
        Ok(write_atomically(&path, |writer| writer.write_all(&json))?)
    }
}

/// A bar for each kind of work.
struct Bars {
    title: &'static str,
    progress: Option<Progress>,
    is_quiet: bool,
}

impl Bars {
    fn set(&mut self, done: usize, total: usize, what: &str) {
        let title = if what == "fits" { "fitting" } else { "looking" };
        if self.title != title {
            self.finish();
            (self.title, self.progress) =
                (title, Some(Progress::new(title, total as u64, what, self.is_quiet)));
        }
        if let Some(progress) = &mut self.progress {
            progress.set(done as u64, "");
        }
    }

    fn finish(&mut self) {
        if let Some(progress) = self.progress.take() {
            progress.finish("");
        }
    }
}
