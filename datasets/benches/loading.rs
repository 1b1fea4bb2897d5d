//! Samples a second from tar shards to batches of pictures and captions.
//! `cargo bench -p triptych-datasets --bench loading -- TARS N_WORKERS N_PASSES`
//!
//! `TARS` is a folder of WebDataset shards with members `.jpg` and `.txt`. They are made into a corpus beside it once; a
//! line of CSV a pass says how long it took. Decoded pictures are not kept, so that every pass decodes all of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use triptych_datasets::image::ImageTransform;
use triptych_datasets::loader::{LoaderConfig, TextOptions, TrainLoader};
use triptych_datasets::sample::Sample;
use triptych_datasets::shard::{Corpus, ShardWriter, archive_samples};
use triptych_datasets::text::{Tokenizer, TokenizerKind};

const BATCH_SIZE: usize = 64;

/// The program's own, with the program's option that a freed batch's pages stay for the next.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
/// `mi_option_purge_delay` of mimalloc.h.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // SAFETY: options may be set at any time, and this one exists in every mimalloc of the pinned version
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) };
    // cargo adds `--bench`
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [tars, n_workers, n_passes] = arguments.as_slice() else {
        eprintln!("usage: cargo bench -p triptych-datasets --bench loading -- TARS N_WORKERS N_PASSES");
        return Ok(());
    };
    let corpus = Arc::new(corpus(Path::new(tars))?);
    let texts: Vec<&String> = corpus.entries().iter().flat_map(|entry| &entry.texts).collect();
    let tokenizer = Tokenizer::train(TokenizerKind::Bpe, &texts, 512)?;
    let config = LoaderConfig {
        text: Some(TextOptions::new(32)),
        image: Some(ImageTransform::new(224)),
        workers: n_workers.parse()?,
        cache_bytes: 0,
        ..LoaderConfig::new(BATCH_SIZE)
    };
    let started = Instant::now();
    let mut loader = TrainLoader::start(corpus, Arc::new(tokenizer), &config, 0)?;
    let mut last_s = 0.0;
    for pass in 0..n_passes.parse()? {
        let (mut n_samples, mut sum) = (0, 0.0);
        for _ in 0..loader.batches_per_epoch() {
            let batch = loader.next_batch()?;
            n_samples += batch.ids.len();
            // each batch is looked at, as the peer's are
            sum += batch.image.iter().map(|image| image.pixels[0]).sum::<f32>();
        }
        let now_s = started.elapsed().as_secs_f64();
        println!("triptych,{n_workers},{pass},{n_samples},{:.4},{sum:.3}", now_s - last_s);
        last_s = now_s;
    }
    Ok(())
}

fn corpus(tars: &Path) -> Result<Corpus, Box<dyn std::error::Error>> {
    let dir = tars.with_extension("corpus");
    if let Ok(corpus) = Corpus::open(&dir) {
        return Ok(corpus);
    }
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(tars)?.map(|item| item.map(|item| item.path())).collect::<Result<_, _>>()?;
    paths.sort();
    let mut writer = ShardWriter::create(&dir, "photos")?;
    for path in paths {
        for archived in archive_samples(&path)? {
            let archived = archived?;
            let member = |extension: &str| archived.members.iter().find(|media| media.extension == extension);
            let text = member("txt").map(|media| String::from_utf8_lossy(&media.bytes).into_owned());
            writer.push(Sample {
                id: archived.key.clone(),
                source: path.display().to_string(),
                group: archived.key.clone(),
                image: member("jpg").cloned(),
                texts: text.into_iter().collect(),
                ..Sample::default()
            })?;
        }
    }
    Ok(writer.finish(&[])?)
}
