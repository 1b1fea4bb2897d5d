//! `triptych data features`: what a model would see or hear of a file, as numbers.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use miette::{Diagnostic, IntoDiagnostic};
use serde_json::json;
use triptych_datasets::audio::{AudioError, AudioPipeline, AudioTransform, Features, SAMPLES_PER_FRAME};
use triptych_datasets::image::{Filter, Fit, ImageError, ImageTransform, decode};
use triptych_datasets::npy;

use crate::cli::options::Overrides;
use crate::configuration::experiment;
use crate::diagnostic::{UsageError, print};

/// Longer files are refused before they are read.
const MAX_FILE_BYTES: u64 = 4 << 30;
/// A recording is not cut where no experiment says so.
const WHOLE_S: f64 = 3600.0;
/// What most pre-trained vision models read.
const USUAL_SIDE: usize = 224;

/// Write what a model would see or hear of a file as a NumPy array
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  triptych data features log-mel hello.wav --out hello.npy
  triptych data features fbank hello.flac --mels 128 --out hello.npy
  triptych data features image cat.jpg --side 224 --fit shorter-side --out cat.npy
  triptych data features image cat.jpg --config quickstart --out cat.npy --json

Of sound 32-bit floats [n_frames, n_mels], a frame every 10 ms; of pictures [height, width, 3], from -1 to 1 where no
experiment says otherwise. Nothing is changed at random.")]
pub(crate) struct Args {
    /// What to compute
    #[arg(value_enum)]
    kind: Kind,
    /// A picture, a recording, or a video for its sound
    input: PathBuf,
    /// Where the array goes
    #[arg(long, value_name = "FILE.npy")]
    out: PathBuf,
    /// Mel bands in a frame [default: 80]
    #[arg(long, value_name = "BANDS")]
    mels: Option<usize>,
    /// Height and width of the picture in pixels [default: 224]
    #[arg(long, value_name = "PIXELS")]
    side: Option<usize>,
    /// What makes up the pixels of the new size [default: bicubic]
    #[arg(long, value_enum, value_name = "FILTER")]
    resize: Option<Resize>,
    /// How a picture becomes a square [default: centre-square]
    #[arg(long, value_enum, value_name = "HOW")]
    fit: Option<FitChoice>,
    /// Take everything from this experiment: a TOML file, or the name of a built-in config
    #[arg(long, value_name = "EXPERIMENT", conflicts_with_all = ["mels", "side", "resize", "fit"])]
    config: Option<String>,
    #[command(flatten)]
    overrides: Overrides,
    /// Print a JSON object with shape, least, greatest and mean value
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Whisper's log-mel frames
    LogMel,
    /// Kaldi's log filterbank energies
    Fbank,
    /// The waveform, at mean 0 and variance 1, 160 samples a frame
    Waveform,
    /// A picture's pixels
    Image,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Resize {
    Box,
    Bilinear,
    Bicubic,
    Lanczos,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FitChoice {
    /// The largest square in the middle is cut out, then resized
    CentreSquare,
    /// Resized by its shorter side, then cut, as torchvision and CLIP do
    ShorterSide,
    /// Both sides on their own, distorted
    Squash,
}

/// A file that gives no features.
#[derive(Debug, thiserror::Error, Diagnostic)]
enum FeaturesError {
    #[error("cannot read {}: {problem}", path.display())]
    Read { path: PathBuf, problem: io::Error },
    #[error("cannot write {}: {problem}", path.display())]
    #[diagnostic(help("the folder must exist and be writable"))]
    Write { path: PathBuf, problem: io::Error },
    #[error("{}: {problem}", path.display())]
    Picture { path: PathBuf, problem: ImageError },
    #[error("{}: {problem}", path.display())]
    Sound { path: PathBuf, problem: AudioError },
}

/// Numbers with their shape.
struct Computed {
    shape: Vec<usize>,
    values: Vec<f32>,
}

pub(crate) fn run(args: &Args) -> miette::Result<()> {
    let transforms = Transforms::of(args)?;
    let bytes = read(&args.input)?;
    let extension = args.input.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let computed = match args.kind {
        Kind::Image => picture(&bytes, &extension, &transforms.image)
            .map_err(|problem| FeaturesError::Picture { path: args.input.clone(), problem })?,
        Kind::LogMel | Kind::Fbank | Kind::Waveform => sound(&bytes, &extension, &transforms.audio)
            .map_err(|problem| FeaturesError::Sound { path: args.input.clone(), problem })?,
    };
    write(&args.out, &computed)
        .map_err(|problem| FeaturesError::Write { path: args.out.clone(), problem })?;
    tell(args, &computed)
}

/// How an experiment, or the options, make a picture and a sound ready.
struct Transforms {
    image: ImageTransform,
    audio: AudioTransform,
}

impl Transforms {
    fn of(args: &Args) -> miette::Result<Self> {
        let transforms = match &args.config {
            Some(config) => Self::of_experiment(config, args)?,
            None => Self::of_options(args)?,
        };
        let checked = match args.kind {
            Kind::Image => transforms.image.check(),
            Kind::LogMel | Kind::Fbank | Kind::Waveform => transforms.audio.check(),
        };
        checked.map_err(|message| UsageError { message, hint: None })?;
        Ok(transforms)
    }

    fn of_experiment(config: &str, args: &Args) -> miette::Result<Self> {
        let resolved = experiment(config, &args.overrides.set)?;
        let data = resolved.value.data;
        let asked = args.kind.features();
        if let Some(asked) = asked
            && asked != data.audio.features
        {
            let (asked, found) = (Kind::of(asked).name(), Kind::of(data.audio.features).name());
            return Err(UsageError {
                message: format!("expected `{found}`, which the models of {config} hear, got `{asked}`"),
                hint: Some(format!("`triptych data features {found} ... --config {config}`")),
            }
            .into());
        }
        Ok(Self { image: data.image, audio: data.audio })
    }

    fn of_options(args: &Args) -> Result<Self, UsageError> {
        let foreign = match args.kind {
            Kind::Image => vec![("--mels", args.mels.is_some())],
            Kind::LogMel | Kind::Fbank | Kind::Waveform => vec![
                ("--side", args.side.is_some()),
                ("--resize", args.resize.is_some()),
                ("--fit", args.fit.is_some()),
            ],
        };
        if let Some((option, _)) = foreign.iter().find(|(_, is_given)| *is_given) {
            return Err(UsageError {
                message: format!("{option} has no meaning for `{}`", args.kind.name()),
                hint: None,
            });
        }
        if !args.overrides.set.is_empty() {
            return Err(UsageError {
                message: "--set changes an experiment, and there is none".to_owned(),
                hint: Some("name one by --config".to_owned()),
            });
        }
        let image = ImageTransform {
            filter: args.resize.map_or(Filter::default(), Resize::filter),
            fit: args.fit.map_or(Fit::default(), FitChoice::fit),
            ..ImageTransform::new(args.side.unwrap_or(USUAL_SIDE))
        };
        let plain = AudioTransform {
            features: args.kind.features().unwrap_or_default(),
            max_s: WHOLE_S,
            ..AudioTransform::default()
        };
        let usual = if args.kind == Kind::Waveform { SAMPLES_PER_FRAME } else { plain.n_mels };
        let audio = AudioTransform { n_mels: args.mels.unwrap_or(usual), ..plain };
        Ok(Self { image, audio })
    }
}

impl Kind {
    fn features(self) -> Option<Features> {
        match self {
            Self::LogMel => Some(Features::LogMel),
            Self::Fbank => Some(Features::Fbank),
            Self::Waveform => Some(Features::Waveform),
            Self::Image => None,
        }
    }

    fn of(features: Features) -> Self {
        match features {
            Features::LogMel => Self::LogMel,
            Features::Fbank => Self::Fbank,
            Features::Waveform => Self::Waveform,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::LogMel => "log-mel",
            Self::Fbank => "fbank",
            Self::Waveform => "waveform",
            Self::Image => "image",
        }
    }
}

impl Resize {
    fn filter(self) -> Filter {
        match self {
            Self::Box => Filter::Box,
            Self::Bilinear => Filter::Bilinear,
            Self::Bicubic => Filter::Bicubic,
            Self::Lanczos => Filter::Lanczos,
        }
    }
}

impl FitChoice {
    fn fit(self) -> Fit {
        match self {
            Self::CentreSquare => Fit::CentreSquare,
            Self::ShorterSide => Fit::ShorterSide,
            Self::Squash => Fit::Squash,
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, FeaturesError> {
    let failed = |problem| FeaturesError::Read { path: path.to_owned(), problem };
    let mut bytes = Vec::new();
    let n_read = File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if n_read as u64 > MAX_FILE_BYTES {
        let message = format!("expected at most {MAX_FILE_BYTES} bytes, got more");
        return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, message)));
    }
    Ok(bytes)
}

fn picture(bytes: &[u8], extension: &str, transform: &ImageTransform) -> Result<Computed, ImageError> {
    let values = transform.apply(&decode(bytes, extension)?, None);
    Ok(Computed { shape: vec![transform.side, transform.side, 3], values })
}

fn sound(bytes: &[u8], extension: &str, transform: &AudioTransform) -> Result<Computed, AudioError> {
    let pipeline = AudioPipeline::new(transform);
    let frames = pipeline.frames(pipeline.decode(bytes, extension)?, None);
    Ok(Computed { shape: vec![frames.n_frames, frames.n_mels], values: frames.values })
}

/// Beside its place first, so that a crash leaves no half of an array there.
fn write(path: &Path, computed: &Computed) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let written = File::create(&part)
        .and_then(|file| npy::write_f32(BufWriter::new(file), &computed.shape, &computed.values))
        .and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        // the first problem is the one to tell
        let _ = fs::remove_file(&part);
    }
    written
}

fn tell(args: &Args, computed: &Computed) -> miette::Result<()> {
    let Computed { shape, values } = computed;
    let least = values.iter().copied().fold(f32::INFINITY, f32::min);
    let greatest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len().max(1) as f64;
    if args.json {
        let summary = json!({
            "file": args.input.to_string_lossy(),
            "features": args.kind.name(),
            "out": args.out.to_string_lossy(),
            "shape": shape,
            "min": least,
            "max": greatest,
            "mean": mean,
        });
        return print(&format!("{}\n", serde_json::to_string_pretty(&summary).into_diagnostic()?));
    }
    print(&format!(
        "{}: {} {shape:?} from {least:.4} to {greatest:.4}, mean {mean:.4}\n",
        args.out.display(),
        args.kind.name()
    ))
}
