//! Questions about pictures and sounds: from a manifest to shards, through a preparation, to batches.

use std::sync::Arc;

use serde_json::json;
use triptych_datasets::audio::AudioTransform;
use triptych_datasets::batch::{HostBatch, TextBatch};
use triptych_datasets::image::ImageTransform;
use triptych_datasets::loader::{EvalLoader, LoaderConfig, TextOptions, TrainLoader};
use triptych_datasets::sample::{Question, Sample, Split};
use triptych_datasets::shard::Corpus;
use triptych_datasets::text::{Tokenizer, TokenizerKind};

use crate::fixture::{samples, write};
use crate::intake::{Bench, picture, tone};

fn question(question: &str, answers: &[&str]) -> Question {
    Question {
        question: question.to_owned(),
        answers: answers.iter().map(|&answer| answer.to_owned()).collect(),
    }
}

#[test]
fn a_manifest_brings_questions_one_or_several_a_line() {
    let bench = Bench::new();
    bench.put("a.png", picture(1, 0)).put("b.wav", tone(1, 0));
    let lines = [
        json!({"id": "one", "image": "a.png", "question": " what is it? ", "answer": "a thing"}),
        json!({"id": "ten", "image": "a.png", "question": "how many?", "answers": ["2", "two", 2, " ", "2"]}),
        json!({"id": "list", "audio": "b.wav", "question": "who?", "answer": 7, "questions": [
            {"question": "what?", "answers": ["a tone", "a tone"]}, {"question": "loud?", "answer": "yes"}
        ]}),
        json!({"id": "plain", "image": "a.png", "text": "a thing"}),
    ];
    bench.put("manifest.jsonl", lines.map(|line| line.to_string()).join("\n"));
    let imported = bench.import("manifest");
    imported.assert_clean();
    assert_eq!(imported.sample("one").questions, [question("what is it?", &["a thing"])]);
    assert_eq!(imported.sample("ten").questions, [question("how many?", &["2", "two", "2", "2"])]);
    let list =
        [question("who?", &["7"]), question("what?", &["a tone", "a tone"]), question("loud?", &["yes"])];
    assert_eq!(imported.sample("list").questions, list);
    // a sample that is not asked about is stored as it always was
    let stored = Corpus::open(bench.out()).expect("it was just written");
    let json = |id: &str| {
        let entry = stored.entries().iter().find(|entry| entry.id == id).expect("it was imported");
        serde_json::to_string(entry).expect("plain data")
    };
    assert!(!json("plain").contains("questions") && json("one").contains("questions"));
}

#[test]
fn each_wrong_question_is_named_and_the_rest_goes_on() {
    let bench = Bench::new();
    bench.put("a.png", picture(1, 0));
    let lines = [
        ("{\"image\": \"a.png\", \"question\": \"what?\"}", "expected an `answer` or `answers` to it"),
        ("{\"image\": \"a.png\", \"answer\": \"it\"}", "expected the `question` that they answer"),
        ("{\"image\": \"a.png\", \"question\": \" \", \"answer\": \"it\"}", "question 1: expected words"),
        (
            "{\"image\": \"a.png\", \"question\": \"what?\", \"answers\": [\" \"]}",
            "expected words and an answer",
        ),
        (
            "{\"image\": \"a.png\", \"question\": [\"what?\"], \"answer\": \"it\"}",
            "`question`: expected a text",
        ),
        (
            "{\"image\": \"a.png\", \"question\": \"what?\", \"answers\": \"it\"}",
            "`answers`: expected a list",
        ),
        (
            "{\"image\": \"a.png\", \"question\": \"what?\", \"answers\": [{}]}",
            "`answers`: expected a list of texts",
        ),
        ("{\"image\": \"a.png\", \"questions\": {}}", "`questions`: expected a list of objects"),
        ("{\"image\": \"a.png\", \"questions\": [\"what?\"]}", "`questions[0]`: expected an object"),
        (
            "{\"image\": \"a.png\", \"questions\": [{\"ask\": \"\"}]}",
            "unknown key `ask`, expected question, answer",
        ),
        ("{\"image\": \"a.png\", \"questions\": [{}]}", "`questions[0]`: expected a question, got none"),
        ("{\"text\": \"a\", \"question\": \"what?\", \"answer\": \"it\"}", "expected a picture or a sound"),
        ("{\"image\": \"a.png\", \"questions\": []}", ""),
    ];
    bench.put("manifest.jsonl", lines.map(|(line, _)| line).join("\n"));
    let imported = bench.import("manifest");
    assert_eq!((imported.samples.len(), imported.summary.n_failed), (1, 12));
    for (idx, (_, expected)) in lines.iter().enumerate().take(12) {
        let got = imported.reason(idx as u64 + 1);
        assert!(got.contains(expected), "line {}: {got}", idx + 1);
    }
}

#[test]
fn pictures_of_coco_take_the_questions_of_vqa_with_them() {
    let bench = Bench::new();
    let name = |id: u32| format!("COCO_train2014_{id:012}.jpg");
    let images = [1, 2, 3].map(|id| json!({"id": id, "file_name": name(id)}));
    let captions = json!({"images": images, "annotations": [{"image_id": 1, "caption": "one"}]});
    bench.put("annotations/captions_train2014.json", captions.to_string());
    for id in 1..4 {
        bench.put(&format!("train2014/{}", name(id)), picture(id as usize, 0));
    }
    let asked = json!({"task_type": "Open-Ended", "questions": [
        {"image_id": 1, "question": "what?", "question_id": 10},
        {"image_id": 2, "question": "how many?", "question_id": 20},
        {"image_id": 2, "question": "which?", "question_id": 21},
        {"image_id": 2, "question": "unanswered?", "question_id": 22},
        {"image_id": "2", "question": "broken", "question_id": 23},
    ]});
    let answers =
        |answer: &str| (1..=10).map(|id| json!({"answer": answer, "answer_id": id})).collect::<Vec<_>>();
    let annotations = json!({"annotations": [
        {"question_id": 10, "image_id": 1, "answers": answers("one"), "answer_type": "other"},
        {"question_id": 21, "answers": answers("that")},
        {"question_id": 20, "answers": answers("2")},
        {"question_id": 23, "answers": 5},
    ]});
    // an older version, and the same with choices, beside them
    for (prefix, asked) in [("OpenEnded_mscoco", "{]"), ("v2_MultipleChoice_mscoco", "{]")] {
        bench.put(&format!("vqa/{prefix}_train2014_questions.json"), asked);
    }
    bench.put("vqa/v2_OpenEnded_mscoco_train2014_questions.json", asked.to_string());
    bench.put("vqa/v2_mscoco_train2014_annotations.json", annotations.to_string());
    let imported = bench.import("coco");
    assert_eq!(imported.ids(), ["COCO_train2014_000000000001", "COCO_train2014_000000000002"]);
    assert_eq!(imported.samples[0].questions, [question("what?", &["one"; 10])]);
    assert_eq!(
        imported.samples[1].questions,
        [question("how many?", &["2"; 10]), question("which?", &["that"; 10])]
    );
    assert!(imported.samples[1].texts.is_empty());
    let reasons =
        imported.ledger.iter().map(|row| row["reason"].as_str().expect("words")).collect::<Vec<_>>();
    assert_eq!(reasons.len(), 4, "{reasons:?}");
    for expected in [
        "expected a `question_id`, and `answers`",
        "question 22: expected words and an annotation with answers",
        "expected a `question_id`, an `image_id` and a `question`",
        "expected at least one annotation of it",
    ] {
        assert!(reasons.iter().any(|reason| reason.contains(expected)), "{expected}: {reasons:?}");
    }
    bench.put("vqa/v2_OpenEnded_mscoco_train2014_questions.json", &asked.to_string()[..90]);
    let cut = bench.import("coco");
    assert_eq!(cut.ids(), ["COCO_train2014_000000000001"]);
    assert!(
        cut.ledger.iter().any(|row| row["reason"].as_str().is_some_and(|r| r.contains("a document of VQA")))
    );
}

#[test]
fn tables_about_pictures_may_ask() {
    let bench = Bench::new();
    bench.put("a.png", picture(1, 0)).put("b.png", picture(2, 0)).put("q/c.png", picture(3, 0));
    bench.put(
        "metadata.csv",
        "file_name,text,question,answer\na.png,a thing,what?,thing\na.png,,how many?,1\nb.png,b,,\nb.png,,why?,\n",
    );
    let line =
        json!({"file_name": "c.png", "question": "what?", "answers": ["it", "it", "that"], "hue": "red"});
    bench.put("q/metadata.jsonl", line.to_string());
    let imported = bench.import("images");
    assert_eq!(
        imported.sample("a").questions,
        [question("what?", &["thing"]), question("how many?", &["1"])]
    );
    assert_eq!(imported.sample("a").texts, ["a thing"]);
    assert!(imported.sample("b").questions.is_empty());
    assert_eq!(imported.sample("q/c").questions, [question("what?", &["it", "it", "that"])]);
    assert_eq!(imported.sample("q/c").tags["hue"], "red");
    assert!(imported.ledger.len() == 1 && imported.reason(5).contains("expected an answer to the question"));
}

/// Every picture is asked for its colour, and every sound for its voice, by the sample's own tags.
fn asked() -> Vec<Sample> {
    let mut samples = samples(9);
    for sample in &mut samples {
        let colour = sample.tags.get("colour").cloned();
        let voice = sample.tags.get("voice").cloned();
        sample.questions.extend(colour.map(|colour| question("a hue", &[colour.as_str(), "gray"])));
        sample.questions.extend(voice.map(|voice| question("a voice", &[voice.as_str()])));
        sample.split = Split::Train;
    }
    samples
}

fn tokenizer() -> Arc<Tokenizer> {
    let texts = ["thing number 0123456789", "a hue red green blue gray", "a voice"];
    Arc::new(Tokenizer::train(TokenizerKind::Characters, &texts, 0).expect("the texts are plain"))
}

fn config() -> LoaderConfig {
    LoaderConfig {
        seed: 3,
        text: Some(TextOptions::new(12)),
        image: Some(ImageTransform::new(16)),
        audio: Some(AudioTransform { n_mels: 40, max_s: 0.13, ..Default::default() }),
        sounds_per_row: 2,
        ..LoaderConfig::new(4)
    }
}

fn read(tokenizer: &Tokenizer, batch: &TextBatch) -> Vec<String> {
    let rows = batch.ids.chunks(batch.n_tokens).zip(&batch.lengths);
    rows.map(|(ids, &length)| tokenizer.decode(&ids[..length])).collect()
}

fn corpus_of(samples: Vec<Sample>) -> Arc<Corpus> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    Arc::new(write(dir.path(), samples))
}

#[test]
fn a_batch_asks_about_the_very_pictures_and_sounds_that_it_holds() {
    let (corpus, tokenizer) = (corpus_of(asked()), tokenizer());
    let stream = |workers: usize| {
        let config = LoaderConfig { workers, ..config() };
        let mut loader = TrainLoader::start(corpus.clone(), tokenizer.clone(), &config, 0).expect("sound");
        (0..24).map(|_| loader.next_batch().expect("all can be read")).collect::<Vec<HostBatch>>()
    };
    let batches = stream(0);
    assert_eq!(batches, stream(3));
    let mut answers = Vec::new();
    for batch in &batches {
        let (asked, image) = (batch.image_questions.as_ref().expect("all are asked"), batch.image.as_ref());
        let image = image.expect("most have pictures");
        assert_eq!((&asked.questions.rows, &asked.answers.rows), (&image.rows, &image.rows));
        assert!(read(&tokenizer, &asked.questions).iter().all(|asked| asked == "a hue"));
        let size = image.height * image.width * 3;
        for (answer, pixels) in read(&tokenizer, &asked.answers).iter().zip(image.pixels.chunks(size)) {
            // the colour is what the drawn pixels lack most
            let lacks = |channel: usize| pixels.iter().skip(channel).step_by(3).sum::<f32>();
            let least = (0..3).min_by(|&a, &b| lacks(a).total_cmp(&lacks(b))).expect("three channels");
            assert!(answer == "gray" || answer == crate::fixture::COLOURS[least], "{answer} of {least}");
            answers.push(answer.clone());
        }
        let asked = batch.audio_questions.as_ref().expect("all are asked");
        let audio = batch.audio.as_ref().expect("most have sounds");
        let mut rows = audio.rows.clone();
        rows.dedup();
        assert_eq!(asked.questions.rows, rows);
        assert!(read(&tokenizer, &asked.answers).iter().all(|answer| answer.starts_with("voice")));
    }
    let n_gray = answers.iter().filter(|answer| *answer == "gray").count();
    assert!((answers.len() / 4..answers.len() * 3 / 4).contains(&n_gray), "{n_gray} of {}", answers.len());
    // questions change nothing else
    let plain = corpus_of(asked().into_iter().map(|s| Sample { questions: Vec::new(), ..s }).collect());
    let mut loader = TrainLoader::start(plain.clone(), tokenizer.clone(), &config(), 0).expect("sound");
    for batch in batches {
        let bare = HostBatch { image_questions: None, audio_questions: None, ..batch };
        assert_eq!(loader.next_batch().expect("all can be read"), bare);
    }
    let mut evaluated = EvalLoader::start(corpus, tokenizer, &config(), vec![0, 1]).expect("they are there");
    let batch = evaluated.next().expect("two samples").expect("they can be read").batch;
    assert_eq!((batch.image_questions, batch.audio_questions), (None, None));
}
