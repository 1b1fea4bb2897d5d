//! Duplicates: planted ones are found, different things are not taken for them.

use image::codecs::jpeg::JpegEncoder;
use triptych_datasets::audio::{Waveform, change_speed, decode, encode_wav, resample};
use triptych_datasets::corpora::emoji::{EmojiOptions, import};
use triptych_datasets::draw::Draw;
use triptych_datasets::image::{CropBox, Pixels, crop_resize, decode as decode_image, encode_png};
use triptych_datasets::sample::{Question, Sample, Split};
use triptych_datasets::shard::Corpus;

use super::{audio_sample, ids, image_sample, ledger, options, recipe, run, text_sample, write_raw};
use crate::fixture::{picture, tone};

/// The bundled drawings and recordings of some concepts.
fn emoji(dir: &std::path::Path, n_known: usize, voices: &[&str]) -> Corpus {
    let options = EmojiOptions {
        n_known: Some(n_known),
        n_unknown: Some(0),
        voices: Some(voices.iter().map(|voice| (*voice).to_owned()).collect()),
        ..EmojiOptions::default()
    };
    import(&options, dir, &|_, _, _| {}).unwrap_or_else(|e| panic!("{e}"))
}

fn jpeg(pixels: &Pixels, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (width, height) = (pixels.width as u32, pixels.height as u32);
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode(&pixels.rgb, width, height, image::ExtendedColorType::Rgb8)
        .expect("memory takes it");
    bytes
}

fn resized(pixels: &Pixels, side: usize) -> Pixels {
    let whole = CropBox { left: 0.0, top: 0.0, width: pixels.width as f64, height: pixels.height as f64 };
    crop_resize(pixels, whole, side, side)
}

/// Which of the planted samples (`…-again…`) went, and which others went too.
fn found(dir: &std::path::Path) -> (usize, Vec<String>) {
    let ledger = ledger(&dir.join("out"));
    let (planted, others): (Vec<_>, Vec<_>) = ledger.into_iter().partition(|line| line.id.contains("-again"));
    (planted.len(), others.into_iter().map(|line| format!("{} {}", line.id, line.reason)).collect())
}

#[test]
fn resized_and_recompressed_drawings_are_found_and_other_drawings_stay() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let corpus = emoji(&dir.path().join("emoji"), 40, &[]);
    let mut samples = Vec::new();
    let mut planted = Vec::new();
    for idx in 0..corpus.len() {
        let sample = Sample { split: Split::Train, ..corpus.read(idx).expect("it is there") };
        let original = sample.image.clone().expect("it is a drawing");
        let pixels = decode_image(&original.bytes, "png").expect("it is a picture");
        let again = [
            jpeg(&pixels, 60),
            encode_png(&resized(&pixels, 64)).expect("it fits"),
            jpeg(&resized(&pixels, 150), 80),
        ];
        for (n, bytes) in again.into_iter().enumerate() {
            let extension = if n == 1 { "png" } else { "jpg" };
            planted.push(image_sample(&format!("{idx}-again{n}"), bytes, extension, Split::Train));
        }
        samples.push(sample);
    }
    let (n_originals, n_planted) = (samples.len(), planted.len());
    samples.extend(planted);
    write_raw(dir.path(), samples);
    run(&recipe(dir.path(), "[deduplicate]\n"), &super::Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let (n_found, others) = found(dir.path());
    let recall = n_found as f64 / n_planted as f64;
    let precision = n_found as f64 / (n_found + others.len()) as f64;
    println!("{n_found} of {n_planted} planted, {} of {n_originals} others: {others:#?}", others.len());
    assert!(recall >= 0.95, "recall {recall}");
    assert!(precision >= 0.95, "precision {precision}: {others:#?}");
}

#[test]
fn noisy_quiet_and_shifted_recordings_are_found_and_other_recordings_stay() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let corpus = emoji(&dir.path().join("emoji"), 60, &["kal16", "slt"]);
    let mut samples = Vec::new();
    let mut planted = Vec::new();
    for idx in 0..corpus.len() {
        let sample = corpus.read(idx).expect("it is there");
        let Some(audio) = sample.audio.clone() else { continue };
        let waveform = decode(&audio.bytes, "wav", 60.0).expect("it is a sound");
        let power = waveform.samples.iter().map(|x| x * x).sum::<f32>() / waveform.samples.len() as f32;
        // 20 dB below the speech
        let mut draw = Draw::new(5, 0, &sample.id, "noise");
        let noisy =
            waveform.samples.iter().map(|x| x * 0.5 + draw.normal_pair().0 * power.sqrt() * 0.05).collect();
        let mut late = vec![0.0; 1200];
        late.extend(&waveform.samples);
        let low = resample(&waveform.samples, 16_000, 11_025).expect("rates are plain");
        for (n, (samples, rate_hz)) in
            [(noisy, 16_000), (late, 16_000), (low, 11_025)].into_iter().enumerate()
        {
            let bytes = encode_wav(&Waveform { samples, rate_hz }).expect("it is short");
            planted.push(audio_sample(&format!("{idx}-again{n}"), bytes, "wav", Split::Train));
        }
        samples.push(Sample { split: Split::Train, ..sample });
    }
    let (n_originals, n_planted) = (samples.len(), planted.len());
    samples.extend(planted);
    write_raw(dir.path(), samples.into_iter().filter(|sample| sample.audio.is_some()).collect());
    let stages = "[normalise]\n[deduplicate]\n";
    run(&recipe(dir.path(), stages), &super::Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let (n_found, others) = found(dir.path());
    let recall = n_found as f64 / n_planted as f64;
    let precision = n_found as f64 / (n_found + others.len()) as f64;
    println!("{n_found} of {n_planted} planted, {} of {n_originals} others: {others:#?}", others.len());
    assert!(recall >= 0.8, "recall {recall}");
    assert!(precision >= 0.95, "precision {precision}: {others:#?}");
}

/// Concepts, styles and voices that nothing was chosen by: what holds for those above holds for these.
fn held_out(dir: &std::path::Path) -> Corpus {
    let options = EmojiOptions {
        n_known: Some(0),
        n_unknown: Some(40),
        voices: Some(vec!["awb".to_owned(), "rms".to_owned()]),
        ..EmojiOptions::default()
    };
    import(&options, dir, &|_, _, _| {}).unwrap_or_else(|e| panic!("{e}"))
}

fn brightened(pixels: &Pixels, gain: f32, offset: f32) -> Pixels {
    let mut new = pixels.clone();
    new.rgb.iter_mut().for_each(|value| *value = (f32::from(*value) * gain + offset).round() as u8);
    new
}

#[test]
fn copies_of_drawings_and_recordings_that_nothing_was_chosen_by_are_found() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let corpus = held_out(&dir.path().join("emoji"));
    let (mut samples, mut pictures, mut sounds) = (Vec::new(), Vec::new(), Vec::new());
    for idx in 0..corpus.len() {
        let sample = Sample { split: Split::Train, ..corpus.read(idx).expect("it is there") };
        if let Some(original) = &sample.image {
            let pixels = decode_image(&original.bytes, "png").expect("it is a picture");
            let again = [
                jpeg(&pixels, 75),
                jpeg(&resized(&pixels, 110), 85),
                jpeg(&brightened(&pixels, 0.94, 0.0), 90),
                jpeg(&brightened(&pixels, 0.9, 14.0), 90),
            ];
            let planted = again.into_iter().enumerate();
            pictures.extend(
                planted.map(|(n, b)| image_sample(&format!("{idx}-again{n}"), b, "jpg", Split::Train)),
            );
        }
        if let Some(original) = &sample.audio {
            let Waveform { samples, rate_hz } = decode(&original.bytes, "wav", 60.0).expect("it is a sound");
            let quiet = samples.iter().map(|x| x * 0.2).collect();
            let faster = change_speed(&samples, 1.03);
            let low = resample(&samples, rate_hz, 8_000).expect("rates are plain");
            for (n, (samples, rate_hz)) in
                [(quiet, rate_hz), (faster, rate_hz), (low, 8_000)].into_iter().enumerate()
            {
                let bytes = encode_wav(&Waveform { samples, rate_hz }).expect("it is short");
                sounds.push(audio_sample(&format!("{idx}-again{n}"), bytes, "wav", Split::Train));
            }
        }
        samples.push(sample);
    }
    let (originals, dirs) = (samples, ["pictures", "sounds"].map(|name| dir.path().join(name)));
    for (planted, dir) in [pictures, sounds].into_iter().zip(dirs) {
        std::fs::create_dir(&dir).expect("the folder is writable");
        let (n_planted, is_picture) = (planted.len(), planted[0].image.is_some());
        let kept = originals.iter().filter(|sample| sample.image.is_some() == is_picture).cloned();
        write_raw(&dir, kept.chain(planted).collect());
        let stages = "[normalise]\n[deduplicate]\n";
        run(&recipe(&dir, stages), &super::Options::default()).unwrap_or_else(|e| panic!("{e}"));
        let (n_found, others) = found(&dir);
        let recall = n_found as f64 / n_planted as f64;
        let precision = n_found as f64 / (n_found + others.len()) as f64;
        println!("{n_found} of {n_planted} planted; {others:#?}");
        assert!(recall >= 0.95, "recall {recall}, of pictures: {is_picture}");
        assert!(precision >= 0.95, "precision {precision}: {others:#?}");
    }
}

/// Sentences that share words and forms, as captions do.
fn sentences() -> Vec<String> {
    let things =
        ["a dog", "two children", "an old man", "a red car", "the football team", "a woman in a blue dress"];
    let deeds =
        ["runs along the beach", "waits at a crossing", "is seen from above", "stands beside a large tree"];
    let ends =
        ["on a sunny afternoon", "while it rains", "in front of a brick building", "with snow on the ground"];
    let mut sentences = Vec::new();
    for (a, thing) in things.iter().enumerate() {
        for (b, deed) in deeds.iter().enumerate() {
            sentences.push(format!("{thing} {deed} {}", ends[(a + b) % 4]));
        }
    }
    sentences
}

#[test]
fn edited_texts_are_found_and_like_ones_stay() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut samples = Vec::new();
    let mut planted = Vec::new();
    for (idx, sentence) in sentences().into_iter().enumerate() {
        let long = format!("{sentence}, as it was told by those who were there at number {idx} that day");
        planted.push(text_sample(&format!("{idx}-again0"), &long.to_uppercase()));
        planted.push(text_sample(&format!("{idx}-again1"), &format!("{long}!")));
        planted.push(text_sample(&format!("{idx}-again2"), &long.replacen("told", "said", 1)));
        samples.push(text_sample(&format!("text-{idx}"), &long));
        samples.push(text_sample(&format!("short-{idx}"), &sentence));
    }
    let n_planted = planted.len();
    samples.extend(planted);
    write_raw(dir.path(), samples);
    let made = run(&recipe(dir.path(), "[deduplicate]\n"), &options()).unwrap_or_else(|e| panic!("{e}"));
    let (n_found, others) = found(dir.path());
    assert_eq!(n_found, n_planted);
    assert!(others.is_empty(), "{others:#?}");
    assert_eq!(made.report.stages[2].counts["clusters by text"], 24);
}

#[test]
fn across_splits_the_test_split_wins_and_captions_are_no_duplicates() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let called = |sample: Sample, text: &str| Sample { texts: vec![text.to_owned()], ..sample };
    let same = picture(1, 1);
    let with_sound = |sample: Sample, n| Sample { audio: crate::fixture::media(tone(n, 0), "wav"), ..sample };
    write_raw(
        dir.path(),
        vec![
            called(image_sample("train", same.clone(), "png", Split::Train), "a thing"),
            called(image_sample("validation", same.clone(), "png", Split::Validation), "a thing"),
            called(image_sample("test", same.clone(), "png", Split::Test), "a thing"),
            called(image_sample("test-again", same.clone(), "png", Split::Test), "another name"),
            called(image_sample("other", picture(4, 2), "png", Split::Train), "a thing"),
            with_sound(image_sample("leak-with-sound", same, "png", Split::Train), 3),
            with_sound(image_sample("said-a", picture(5, 0), "png", Split::Train), 1),
            with_sound(image_sample("said-b", picture(5, 0), "png", Split::Train), 6),
            with_sound(image_sample("said-a-again", picture(5, 0), "png", Split::Train), 1),
        ],
    );
    let made = run(&recipe(dir.path(), "[deduplicate]\n"), &options()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(ids(&made.corpus), ["test", "other", "said-a", "said-b"]);
    assert_eq!(
        super::opened(&made.corpus).entries()[0].texts,
        ["a thing", "another name"],
        "captions of its own split"
    );
    let ledger = ledger(&dir.path().join("out"));
    let reason = |id: &str| ledger.iter().find(|line| line.id == id).map(|line| line.reason.clone());
    assert_eq!(reason("train").as_deref(), Some("its picture is also in the test split, as \"test\""));
    assert_eq!(reason("test-again").as_deref(), Some("the same as \"test\""));
}

#[test]
fn what_is_asked_of_copies_is_asked_of_the_one_that_stays() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let asking = |id: &str, split, questions: &[(&str, &str)]| {
        let question = |(question, answer): &(&str, &str)| Question {
            question: (*question).to_owned(),
            answers: vec![(*answer).to_owned(), " ".to_owned(), "write to ann@example.org".to_owned()],
        };
        let questions = questions.iter().map(question).collect();
        Sample { questions, ..image_sample(id, picture(1, 1), "png", split) }
    };
    write_raw(
        dir.path(),
        vec![
            asking("one", Split::Train, &[("what  is it?", "a thing")]),
            asking("two", Split::Train, &[("what is it?", "a thing"), ("is it red?", "no")]),
            asking("three", Split::Train, &[("  ", "nobody asked")]),
        ],
    );
    let made = run(&recipe(dir.path(), "[normalise]\n[deduplicate]\n[anonymise]\n[tokenize]\n"), &options());
    let made = made.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(ids(&made.corpus), ["one"]);
    let questions = super::opened(&made.corpus).entries()[0].questions.clone();
    let asked = questions.iter().map(|asked| asked.question.as_str()).collect::<Vec<_>>();
    assert_eq!(asked, ["what is it?", "is it red?"]);
    assert_eq!(questions[1].answers[0], "no");
    assert!(questions.iter().all(|asked| asked.answers.len() == 2), "{questions:?}");
    assert!(questions.iter().all(|asked| !asked.answers[1].contains("ann@")), "{questions:?}");
    let taken = made.report.stages.iter().filter_map(|stage| stage.counts.get("questions taken over"));
    assert_eq!(taken.sum::<u64>(), 1);
}

#[test]
fn a_thousand_copies_are_one_and_take_no_time() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let copy = |n: usize| image_sample(&format!("copy-{n}"), picture(1, 1), "png", Split::Train);
    write_raw(dir.path(), (0..1000).map(copy).collect());
    let made = run(&recipe(dir.path(), "[deduplicate]\nmerge_texts = false\n"), &super::Options::default());
    assert_eq!(made.unwrap_or_else(|e| panic!("{e}")).corpus.len(), 1);
}
