//! `triptych search`: finds pictures, recordings or texts by words, by a recording, or by a picture.

mod query;
mod things;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::ValueEnum;
use miette::IntoDiagnostic;
use serde::Serialize;
use triptych_datasets::loader::Selection;
use triptych_datasets::sample::Split;
use triptych_tasks::heads::pair::Pair;

use self::query::Query;
pub(super) use self::query::embed_query;
use self::things::{Sought, Things};
use super::options::Work;
use crate::diagnostic::{UsageError, print};
use crate::evaluate::{Inference, Judge};
use crate::run::trained::TrainedRun;

/// Find pictures, recordings or texts by words, by a recording or by a picture
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych search runs/quickstart 'red heart'
  triptych search runs/quickstart question.wav --top 3 --json
  triptych search runs/quickstart cat.png --split all
  triptych search runs/quickstart 'red heart' --find audio
  triptych search runs/mine cat.png --find text --rerank 20")]
pub(crate) struct Args {
    /// The run whose model and corpus to use
    run: PathBuf,
    /// Words, or the path of an audio file or a picture
    query: String,
    /// What to find; if not given, pictures where the model sees, else recordings
    #[arg(long, value_enum, value_name = "KIND")]
    find: Option<Sought>,
    /// How many to show
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    /// Put so many of the best into the order of the matching head, which looks at query and finding together
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rerank: Option<u32>,
    /// Which of the run's samples to search
    #[arg(long, value_enum, default_value_t = Part::Test)]
    split: Part,
    /// Print a JSON list of objects
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) work: Work,
}

/// A part of a corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Part {
    Test,
    Validation,
    Train,
    All,
}

impl Part {
    pub(super) fn selection(self) -> Selection {
        match self {
            Part::Test => Selection::of_split(Split::Test),
            Part::Validation => Selection::of_split(Split::Validation),
            Part::Train => Selection::of_split(Split::Train),
            Part::All => Selection::default(),
        }
    }
}

/// Something that was found.
#[derive(Serialize)]
struct Found<'a> {
    rank: usize,
    /// Cosine similarity to the query.
    similarity: f32,
    /// Probability that it belongs to the query, by the matching head.
    #[serde(skip_serializing_if = "Option::is_none")]
    matching: Option<f32>,
    caption: &'a str,
    id: &'a str,
    /// Where it came from.
    source: &'a str,
    split: Split,
}

/// A place in the corpus, how alike it is, and the odds that it belongs to the query.
struct Candidate {
    place: usize,
    similarity: f32,
    logit: Option<f32>,
}

pub(crate) fn run(args: Args) -> miette::Result<()> {
    let run = TrainedRun::open(&args.run, args.work.device)?;
    let sought = args.find.unwrap_or_else(|| Sought::usual(&run));
    run.require(sought.modality())?;
    let inference = run.inference();
    let query = Query::read(&run, &inference, &args.query)?;
    if args.rerank.is_some() {
        check_judge(&run, &query, sought, &args)?;
    }
    let data = run.data()?;
    let things = Things::of(sought, &run, &data, args.split)?;
    let embeddings = things.embed(&inference, args.work.quiet)?;
    let embedded = query.embedding(&inference);
    let candidates = things.places().iter().zip(&embeddings).map(|(&place, embedding)| Candidate {
        place,
        similarity: embedded.iter().zip(embedding).map(|(a, b)| a * b).sum(),
        logit: None,
    });
    let mut found = candidates.collect::<Vec<_>>();
    found.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(a.place.cmp(&b.place)));
    if let Some(n) = args.rerank {
        let n = found.len().min(n as usize);
        rerank(&run, &inference, &query, &things, &mut found[..n])?;
    }
    found.truncate(args.top as usize);
    let entries = data.corpus.entries();
    let found = found.iter().enumerate().map(|(rank, candidate)| {
        let entry = &entries[candidate.place];
        Found {
            rank: rank + 1,
            similarity: candidate.similarity,
            matching: candidate.logit.map(|logit| 1.0 / (1.0 + (-logit).exp())),
            caption: entry.texts.first().map_or("", String::as_str),
            id: &entry.id,
            source: &entry.source,
            split: entry.split,
        }
    });
    let found = found.collect::<Vec<_>>();
    if args.json {
        return print(&format!("{}\n", serde_json::to_string_pretty(&found).into_diagnostic()?));
    }
    print(&table(&found))
}

/// Whether the run has learned to judge such pairs.
fn check_judge(run: &TrainedRun, query: &Query, sought: Sought, args: &Args) -> Result<(), UsageError> {
    let (asked, sought) = (query.encoded.modality, sought.modality());
    let Some(pair) = Pair::of(asked, sought) else {
        return Err(UsageError {
            message: format!("`--rerank` judges pairs of two kinds, got {0} and {0}", asked.name()),
            hint: Some("search by something else, or without `--rerank`".to_owned()),
        });
    };
    if run.model.matching.is_some() && run.config.judged().contains(&pair) {
        return Ok(());
    }
    Err(UsageError {
        message: format!(
            "the model of {} has not learned to judge pairs of {} and {}, which `--rerank` asks for",
            args.run.display(),
            asked.name(),
            sought.name()
        ),
        hint: Some(format!(
            "train one with `model.heads.matching = true` and the objective `matching_{}`",
            pair.name()
        )),
    })
}

/// Puts the best into the order of the matching head.
fn rerank(
    run: &TrainedRun,
    inference: &Inference<'_>,
    query: &Query,
    things: &Things<'_>,
    best: &mut [Candidate],
) -> miette::Result<()> {
    let mut judge = Judge::new(&run.model, run.config.judged());
    judge.keep([query.item.name().to_owned()], &query.encoded);
    let places = best.iter().map(|candidate| candidate.place).collect::<Vec<_>>();
    things.encoded(inference, &places, |places, encoded| {
        judge.keep(places.iter().map(|&place| things.item(place).name().to_owned()), encoded);
    })?;
    let items = places.iter().map(|&place| things.item(place)).collect::<Vec<_>>();
    let logits = judge.logits(&query.item, &items.iter().collect::<Vec<_>>()).unwrap_or_default();
    for (candidate, logit) in best.iter_mut().zip(logits) {
        candidate.logit = Some(logit);
    }
    let logit = |candidate: &Candidate| candidate.logit.unwrap_or(f32::NEG_INFINITY);
    best.sort_by(|a, b| logit(b).total_cmp(&logit(a)));
    Ok(())
}

/// One line each: similarity, with a judge the probability of a match, caption, sample.
fn table(found: &[Found<'_>]) -> String {
    let width = found.iter().map(|found| found.caption.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for Found { rank, similarity, matching, caption, id, .. } in found {
        let matching = matching.map(|matching| format!("  {matching:.3}")).unwrap_or_default();
        // writing to a string cannot fail
        let _ = writeln!(text, "{rank:>3}  {similarity:.3}{matching}  {caption:width$}  {id}");
    }
    text
}
