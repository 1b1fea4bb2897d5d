//! Preparing corpora by recipes.

mod anonymise;
mod duplicates;
mod killed;
mod recipes;
mod resume;
mod slices;
mod stages;

use std::ops::ControlFlow;
use std::path::Path;

use triptych_datasets::pipeline::{Dropped, Options, PipelineError, Prepared, Recipe, prepare};
use triptych_datasets::sample::{Media, Sample, Split};
use triptych_datasets::shard::{Corpus, CorpusStream, ShardWriter};

/// The recipe in TOML of a corpus `raw` below a folder, with these stages.
pub(super) fn recipe(dir: &Path, stages: &str) -> Recipe {
    let text = format!(
        "name = \"clean\"\nsources = {:?}\nout = {:?}\n{stages}",
        dir.join("raw").display().to_string(),
        dir.join("out").display().to_string()
    );
    Recipe::parse(&text, Path::new("test.toml")).unwrap_or_else(|e| panic!("{e}"))
}

/// Prepares without anyone watching.
pub(super) fn run(recipe: &Recipe, options: &Options) -> Result<Prepared, PipelineError> {
    prepare(recipe, options, None, &|_| ControlFlow::Continue(()))
}

/// Chunks of five samples, so that there are several.
pub(super) fn options() -> Options {
    Options { chunk_samples: 5, ..Options::default() }
}

pub(super) fn write_raw(dir: &Path, samples: Vec<Sample>) -> Corpus {
    write_corpus(&dir.join("raw"), samples)
}

pub(super) fn write_corpus(dir: &Path, samples: Vec<Sample>) -> Corpus {
    let mut writer = ShardWriter::create(dir, "raw").expect("it is writable");
    for sample in samples {
        writer.push(sample).expect("it is well formed");
    }
    writer.finish(&crate::fixture::licences()).expect("it is writable")
}

pub(super) fn text_sample(id: &str, text: &str) -> Sample {
    Sample { id: id.to_owned(), source: "test".to_owned(), texts: vec![text.to_owned()], ..Sample::default() }
}

pub(super) fn image_sample(id: &str, bytes: Vec<u8>, extension: &str, split: Split) -> Sample {
    let image = Some(Media { bytes, extension: extension.to_owned() });
    Sample { image, split, ..text_sample(id, &format!("picture {id}")) }
}

pub(super) fn audio_sample(id: &str, bytes: Vec<u8>, extension: &str, split: Split) -> Sample {
    let audio = Some(Media { bytes, extension: extension.to_owned() });
    Sample { audio, split, ..text_sample(id, &format!("sound {id}")) }
}

pub(super) fn ids(corpus: &CorpusStream) -> Vec<String> {
    opened(corpus).entries().iter().map(|entry| entry.id.clone()).collect()
}

/// With its samples in memory.
pub(super) fn opened(corpus: &CorpusStream) -> Corpus {
    Corpus::open(corpus.dir()).unwrap_or_else(|e| panic!("{e}"))
}

pub(super) fn ledger(dir: &Path) -> Vec<Dropped> {
    let text = std::fs::read_to_string(dir.join("ledger.jsonl")).expect("there is a ledger");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// CRC-32 as PNG has it.
pub(super) fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}
