//! `emoji`: the corpus that ships inside the program. 892 things, each drawn in up to six styles and said by 18
//! synthetic voices.
//!
//! Splits: a sample is for testing if its style (`twemoji`), its voice (`slt`, `scotland-m3`, `joe`) or its concept
//! (90 of them, `known` = `no`) is held out, else for training. There is no validation split: choosing a model by one
//! of the test sets would spoil it.
//!
//! Tags: `concept`, `known` (`yes`, `no`), `keywords`, `emoji`, `category`; `style` for drawings; `voice` and
//! `synthetic` = `yes` for recordings. Texts: the concept's name, then other captions. Group: the concept.
//!
//! Caveats: the speech is synthetic; `noto-v1` and `noto` are two editions of one design and close to each other;
//! captions are CLDR's short names, lower case, without sentences.

mod bundle;
mod source;

use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::intake::summary::Tally;
use super::intake::{Summary, parse_options};
use super::{ImportError, Importer, Progress, Request};
use crate::audio::{RATE_HZ, Waveform, decode, encode_wav};
use crate::image::{encode_png, render_svg};
use crate::sample::{Media, Sample, Split};
use crate::shard::{Corpus, CorpusStream, FORMAT_VERSION, ShardWriter};
use bundle::{STYLES, Style, VOICES, Voice};
use source::{Concept, Drawing, Recording};

const NAME: &str = "emoji";
/// What is made from the same bundle changed when this does.
const IMPORT_VERSION: u32 = 1;
/// Drawings rendered between two calls of the progress callback.
const DRAWINGS_AT_ONCE: usize = 64;
/// No voice says everything in longer than this.
const MAX_VOICE_S: f64 = 7200.0;

/// What is taken from the bundle; the default is everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmojiOptions {
    /// Height and width of the rendered drawings in pixels.
    pub side: usize,
    /// Styles by name; `None` takes all.
    pub styles: Option<Vec<String>>,
    /// Voices by name; `None` takes all.
    pub voices: Option<Vec<String>>,
    /// Only the first so many of the known concepts.
    pub n_known: Option<usize>,
    /// Only the first so many of the concepts that are never trained on.
    pub n_unknown: Option<usize>,
}

impl Default for EmojiOptions {
    fn default() -> Self {
        Self { side: 96, styles: None, voices: None, n_known: None, n_unknown: None }
    }
}

/// The names of the styles with whether each is held out from training.
pub fn styles() -> impl Iterator<Item = (&'static str, bool)> {
    STYLES.iter().map(|style| (style.name, style.is_held_out))
}

/// The names of the voices with whether each is held out from training.
pub fn voices() -> impl Iterator<Item = (&'static str, bool)> {
    VOICES.iter().map(|voice| (voice.name, voice.is_held_out))
}

/// The importer.
pub struct Emoji;

impl Importer for Emoji {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "892 things drawn in six styles and said by 18 synthetic voices; ships inside the program"
    }

    fn import(&self, request: &Request<'_>) -> Result<Summary, ImportError> {
        if let Some(path) = request.source {
            return Err(ImportError::NeedlessSource { corpus: NAME, source_path: path.to_owned() });
        }
        let options = parse_options(NAME, request.options)?;
        let mut summary = Summary { format: NAME.to_owned(), is_new: true, ..Summary::default() };
        if request.is_dry_run {
            for sample in plan(&options)? {
                summary.add(&Tally::of(&sample, None));
                summary.show(&sample, None);
            }
            return Ok(summary);
        }
        let recipe = recipe(&options)?;
        summary.is_new = CorpusStream::open(request.out).map_or(true, |corpus| corpus.recipe() != recipe);
        let corpus = import(&options, request.out, request.progress)?;
        if request.is_verified {
            corpus.verify()?;
        }
        corpus.entries().iter().for_each(|entry| summary.add(&Tally::of_entry(entry)));
        summary.content_hash = Some(corpus.content_hash().to_owned());
        summary.out = Some(request.out.to_owned());
        Ok(summary)
    }
}

/// The samples without their pictures and sounds.
fn plan(options: &EmojiOptions) -> Result<Vec<Sample>, ImportError> {
    let concepts = source::concepts(bundle::CONCEPTS, options.n_known, options.n_unknown)?;
    let empty = |extension: &str| Some(Media { bytes: Vec::new(), extension: extension.to_owned() });
    let mut samples = Vec::new();
    for style in chosen("styles", STYLES, |style| style.name, &options.styles)? {
        for drawing in source::drawings(style, &concepts)? {
            let place = format!("drawings/{}.jsonl.zst line {}", style.name, drawing.line);
            let sample = concept_sample(drawing.concept, style.name, style.is_held_out, place);
            samples.push(Sample { image: empty("png"), ..sample });
        }
    }
    for voice in chosen("voices", VOICES, |voice| voice.name, &options.voices)? {
        for recording in source::recordings(voice, &concepts)? {
            let place = format!("speech/{}.tsv line {}", voice.name, recording.line);
            let sample = concept_sample(recording.concept, voice.name, voice.is_held_out, place);
            samples.push(Sample { audio: empty("wav"), ..sample });
        }
    }
    Ok(samples)
}

/// Renders and cuts the bundle into a folder, or opens what lies there if it was made from the same bundle with the
/// same options.
///
/// # Errors
/// An unknown style or voice, a side outside 8 to 1024, a folder that cannot be written.
pub fn import(options: &EmojiOptions, dir: &Path, progress: Progress<'_>) -> Result<Corpus, ImportError> {
    let styles = chosen("styles", STYLES, |style| style.name, &options.styles)?;
    let voices = chosen("voices", VOICES, |voice| voice.name, &options.voices)?;
    if !(8..=1024).contains(&options.side) {
        return Err(wrong_option(format!("side: expected 8 to 1024 pixels, got {}", options.side)));
    }
    let recipe = recipe(options)?;
    if let Ok(corpus) = Corpus::open(dir)
        && corpus.recipe() == recipe
    {
        progress(corpus.len(), corpus.len(), "already prepared");
        return Ok(corpus);
    }

    let concepts = source::concepts(bundle::CONCEPTS, options.n_known, options.n_unknown)?;
    let licences = source::licences(bundle::LICENCES)?;
    let drawings = styles
        .iter()
        .map(|style| Ok((*style, source::drawings(style, &concepts)?)))
        .collect::<Result<Vec<_>, ImportError>>()?;
    let recordings = voices
        .iter()
        .map(|voice| Ok((*voice, source::recordings(voice, &concepts)?)))
        .collect::<Result<Vec<_>, ImportError>>()?;
    let n_samples = drawings.iter().map(|(_, list)| list.len()).sum::<usize>()
        + recordings.iter().map(|(_, list)| list.len()).sum::<usize>();

    let mut writer = ShardWriter::create(dir, NAME)?.with_recipe(&recipe);
    let mut n_done = 0;
    let mut push_all = |samples: Vec<Result<Sample, ImportError>>, what: &str| {
        for sample in samples {
            writer.push(sample?)?;
            n_done += 1;
        }
        progress(n_done, n_samples, what);
        Ok::<(), ImportError>(())
    };
    for (style, drawings) in &drawings {
        let what = format!("drawing {}", style.name);
        for some in drawings.chunks(DRAWINGS_AT_ONCE) {
            let render = |drawing: &Drawing<'_>| drawing_sample(style, drawing, options.side);
            push_all(some.par_iter().map(render).collect(), &what)?;
        }
    }
    // a voice is some 80 MB while it is decoded, so as many at once as there are threads, and no more than 4
    for some in recordings.chunks(rayon::current_num_threads().clamp(1, 4)) {
        let decoded: Vec<_> = some.par_iter().map(|(voice, _)| decode_voice(voice)).collect();
        for ((voice, recordings), samples) in some.iter().zip(decoded) {
            let samples = samples?;
            let what = format!("cutting {}", voice.name);
            for some in recordings.chunks(DRAWINGS_AT_ONCE) {
                let cut = |recording: &Recording<'_>| recording_sample(voice, recording, &samples);
                push_all(some.iter().map(cut).collect(), &what)?;
            }
        }
    }
    Ok(writer.finish(&licences)?)
}

fn recipe(options: &EmojiOptions) -> Result<String, ImportError> {
    let options = serde_json::to_string(options).map_err(|e| wrong_option(e.to_string()))?;
    let text = format!("{NAME} {IMPORT_VERSION} {FORMAT_VERSION} {} {options}", bundle::hash());
    Ok(blake3::hash(text.as_bytes()).to_hex().to_string())
}

fn wrong_option(problem: String) -> ImportError {
    ImportError::Options { corpus: NAME, problem }
}

fn chosen<T>(
    option: &str,
    all: &'static [T],
    name: impl Fn(&T) -> &'static str,
    wanted: &Option<Vec<String>>,
) -> Result<Vec<&'static T>, ImportError> {
    let Some(wanted) = wanted else { return Ok(all.iter().collect()) };
    for got in wanted {
        if !all.iter().any(|item| name(item) == got) {
            let known: Vec<_> = all.iter().map(&name).collect();
            return Err(wrong_option(format!(
                "{option}: expected some of {}, got {got:?}",
                known.join(", ")
            )));
        }
    }
    Ok(all.iter().filter(|item| wanted.iter().any(|got| got == name(item))).collect())
}

fn drawing_sample(style: &Style, drawing: &Drawing<'_>, side: usize) -> Result<Sample, ImportError> {
    let source = format!("drawings/{}.jsonl.zst line {}", style.name, drawing.line);
    let bytes = render_svg(drawing.svg.as_bytes(), side)
        .and_then(|pixels| encode_png(&pixels))
        .map_err(|e| ImportError::Image { place: source.clone(), source: e })?;
    let mut sample = concept_sample(drawing.concept, style.name, style.is_held_out, source);
    sample.image = Some(Media { bytes, extension: "png".to_owned() });
    sample.tags.insert("style".to_owned(), style.name.to_owned());
    Ok(sample)
}

fn decode_voice(voice: &Voice) -> Result<Vec<f32>, ImportError> {
    let place = format!("speech/{}.ogg", voice.name);
    let waveform = decode(voice.recordings, "ogg", MAX_VOICE_S)
        .map_err(|source| ImportError::Audio { place: place.clone(), source })?;
    if waveform.rate_hz != RATE_HZ {
        let problem = format!("expected {RATE_HZ} Hz, got {}", waveform.rate_hz);
        return Err(ImportError::Source { source_name: place, place: "header".to_owned(), problem });
    }
    Ok(waveform.samples)
}

fn recording_sample(
    voice: &Voice,
    recording: &Recording<'_>,
    samples: &[f32],
) -> Result<Sample, ImportError> {
    let source = format!("speech/{}.tsv line {}", voice.name, recording.line);
    let range = recording.start_samples..recording.start_samples.saturating_add(recording.n_samples);
    let clip = samples.get(range.clone()).ok_or_else(|| ImportError::Source {
        source_name: format!("speech/{}.tsv", voice.name),
        place: format!("line {}", recording.line),
        problem: format!("expected samples within {}, got {range:?}", samples.len()),
    })?;
    let bytes = encode_wav(&Waveform { samples: clip.to_vec(), rate_hz: RATE_HZ })
        .map_err(|e| ImportError::Audio { place: source.clone(), source: e })?;
    let mut sample = concept_sample(recording.concept, voice.name, voice.is_held_out, source);
    sample.audio = Some(Media { bytes, extension: "wav".to_owned() });
    sample.tags.insert("voice".to_owned(), voice.name.to_owned());
    sample.tags.insert("synthetic".to_owned(), "yes".to_owned());
    Ok(sample)
}

/// What a drawing and a recording of a concept share.
fn concept_sample(concept: &Concept, maker: &str, is_held_out: bool, source: String) -> Sample {
    let known = if concept.known { "yes" } else { "no" };
    let tags = [
        ("concept", concept.concept.clone()),
        ("known", known.to_owned()),
        ("keywords", concept.keywords.join(", ")),
        ("emoji", concept.emoji.clone()),
        ("category", concept.group.clone()),
    ];
    Sample {
        id: format!("{}/{maker}", concept.slug()),
        source,
        group: concept.concept.clone(),
        split: if is_held_out || !concept.known { Split::Test } else { Split::Train },
        image: None,
        audio: None,
        texts: concept.captions.clone(),
        questions: Vec::new(),
        tags: tags.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
    }
}
