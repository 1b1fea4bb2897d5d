//! A small Whisper in the published layout against `transformers`; `whisper_model.py` made it.

use std::path::Path;

use burn::prelude::*;
use serde::Deserialize;
use triptych_datasets::audio::AudioPipeline;
use triptych_datasets::audio::AudioTransform;
use triptych_datasets::text::PublishedTokenizer;
use triptych_encoders::pretrained::ModelFolder;
use triptych_encoders::pretrained::families::WhisperFamily;
use triptych_tasks::decode::whisper::{
    LongForm, WhisperRecording, WhisperRules, WhisperTask, WhisperVocabulary, WindowPlace, WindowSearch,
    Windows,
};

use crate::golden;

/// Sums in another order, in float32, of values of about 1; the front end's included.
const TOLERANCE: f32 = 2e-5;

#[derive(Deserialize)]
struct Golden {
    language: String,
    /// Every 150th token of the encoder.
    encoded: Vec<f32>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    language: Option<String>,
    task: String,
    has_timestamps: bool,
    prompt: Option<String>,
    /// Of the first window, without the end mark.
    tokens: Vec<u32>,
}

#[test]
fn a_published_whisper_hears_and_writes_what_transformers_does() {
    let expected: Golden = golden("whisper_model/expected.json");
    let device = Device::flex();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/whisper_model");
    let folder = ModelFolder::open(&path).expect("a published model");
    let (config, model) = folder.load::<WhisperFamily>(&device).unwrap_or_else(|error| panic!("{error}"));
    let tokenizer =
        PublishedTokenizer::open(&folder.tokenizer_file().expect("it is there")).expect("a tokenizer");
    let settings = folder.settings("generation_config.json").expect("readable").expect("it is there");
    let vocabulary = WhisperVocabulary::read(&tokenizer, &settings, config.n_vocab).expect("Whisper's");
    assert_eq!(vocabulary.languages().keys().collect::<Vec<_>>(), ["de", "en", "zh"]);

    let bytes = std::fs::read(path.join("sound.wav")).expect("the golden file");
    let samples = AudioPipeline::new(&AudioTransform::default()).decode(&bytes, "wav").expect("a sound");
    let recording = WhisperRecording::new(&model, &config, &samples, &device).expect("windows of 30 s");
    assert_eq!(recording.n_frames(), 50);
    let window = recording.encode(WindowPlace { first_frame: 0, n_frames: 50 });
    let encoded = window.tokens.clone().into_data().iter::<f32>().collect::<Vec<_>>();
    let every_150th = encoded.chunks_exact(8).step_by(150).flatten();
    for (i, (got, expected)) in every_150th.zip(&expected.encoded).enumerate() {
        assert!((got - expected).abs() < TOLERANCE, "value {i}: expected {expected}, got {got}");
    }
    let languages = recording.languages(&vocabulary).expect("there is sound");
    assert_eq!(languages[0].0, expected.language);
    assert!((languages.iter().map(|(_, p)| p).sum::<f64>() - 1.0).abs() < 1e-6);

    let search = WindowSearch { temperatures: vec![0.0], ..WindowSearch::default() };
    let decode = |ids: &[u32]| tokenizer.decode(ids);
    for case in &expected.cases {
        let language = case.language.as_ref().unwrap_or(&languages[0].0);
        let task = if case.task == "translate" { WhisperTask::Translate } else { WhisperTask::Transcribe };
        let tokens = vocabulary.tokens(Some(language), task).expect("it knows both");
        let rules = WhisperRules {
            tokens: &tokens,
            max_initial_timestamp: vocabulary.max_initial_timestamp,
            has_timestamps: case.has_timestamps,
        };
        let prompt = case.prompt.iter().flat_map(|prompt| tokenizer.encode_plain(prompt).expect("text"));
        let prompt = prompt.collect::<Vec<_>>();
        let state = recording.start(&window);
        let result =
            search.attempt(&recording, state, &prompt, &rules, decode, "0", 0.0).expect("finite scores");
        assert_eq!(result.tokens, case.tokens, "{language} {}", case.task);
    }

    // the whole recording, which ends within the window, and beams
    let tokens = vocabulary.tokens(Some("en"), WhisperTask::Transcribe).expect("it knows both");
    for n_beams in [1, 3] {
        let search = WindowSearch { n_beams, ..search.clone() };
        let form = LongForm { search, ..LongForm::default() };
        let found = form.run(&recording, &tokens, decode).expect("finite scores");
        assert!(!found.segments.is_empty() && found.segments.iter().all(|segment| segment.first_frame == 0));
    }
}

#[test]
fn languages_and_tasks_that_a_model_does_not_have_are_named() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/whisper_model");
    let folder = ModelFolder::open(&path).expect("a published model");
    let tokenizer =
        PublishedTokenizer::open(&folder.tokenizer_file().expect("it is there")).expect("a tokenizer");
    let settings = folder.settings("generation_config.json").expect("readable").expect("it is there");
    let read = |n_vocab| WhisperVocabulary::read(&tokenizer, &settings, n_vocab);
    let vocabulary = read(1772).expect("Whisper's");
    let unknown = vocabulary.tokens(Some("xx"), WhisperTask::Transcribe).expect_err("unknown").to_string();
    assert_eq!(unknown, "there is no language `xx` in this model, expected one of de, en, zh");
    assert!(read(1771).expect_err("too small").to_string().contains("has 1771 tokens: expected 1772"));
    // `config.json` says nothing of languages, and so small a vocabulary is one for English alone
    let english =
        WhisperVocabulary::read(&tokenizer, &folder.config().expect("it is there"), 1772).expect("Whisper's");
    english.tokens(Some("en"), WhisperTask::Transcribe).expect("all that it knows");
    let got = |language, task| english.tokens(language, task).expect_err("English alone").to_string();
    assert!(got(Some("de"), WhisperTask::Transcribe).ends_with("got the language `de`"));
    assert!(got(None, WhisperTask::Translate).ends_with("got a translation"));
}
