//! Captions, transcripts and searches of single files, good and bad.

use std::fs;
use std::path::Path;

use serde_json::Value;
use triptych_datasets::audio::{Waveform, decode_at_rate, encode_wav};
use triptych_datasets::shard::Corpus;

use crate::fixture::{Desk, stderr};

/// A picture and a recording of the run's corpus.
fn media(run: &Path) -> (Vec<u8>, Vec<u8>) {
    let corpus = Corpus::open(run.join("corpus")).unwrap();
    let find = |id_end: &str| corpus.entries().iter().position(|entry| entry.id.ends_with(id_end)).unwrap();
    let (png, _) = corpus.image_bytes(find("/twemoji")).unwrap().unwrap();
    let (wav, _) = corpus.audio_bytes(find("/slt")).unwrap().unwrap();
    (png.to_vec(), wav.to_vec())
}

fn json(text: &[u8]) -> Vec<Value> {
    serde_json::from_slice(text).unwrap()
}

#[test]
fn good_files_are_answered_and_bad_ones_named() {
    let desk = Desk::new();
    let run = desk.trained("run");
    let (png, wav) = media(&run);
    let write = |name: &str, bytes: &[u8]| fs::write(desk.path(name), bytes).unwrap();
    write("good.png", &png);
    write("renamed.jpg", &png);
    write("cut.png", &png[..png.len() / 2]);
    write("good.wav", &wav);
    write("renamed.mp3", &wav);
    write("header.wav", &wav[..44]);
    write("garbage.bin", &b"neither a picture nor a sound, but words".repeat(40));
    write("empty.png", b"");

    for (command, good, bad) in [
        (
            "caption",
            ["good.png", "renamed.jpg"],
            ["cut.png", "garbage.bin", "empty.png", "good.wav", "absent.png", "run"],
        ),
        (
            "transcribe",
            ["good.wav", "renamed.mp3"],
            ["header.wav", "garbage.bin", "empty.png", "good.png", "absent.wav", "run"],
        ),
    ] {
        desk.succeed(&[command, "run", good[0]]);
        // the bad ones between the good ones
        let files = [&good[..1], &bad[..], &good[1..]].concat();
        let output = desk.run(&[&[command, "run", "--json"], &files[..]].concat());
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{message}");
        let lines = message.lines().collect::<Vec<_>>();
        for (line, file) in lines.iter().zip(bad) {
            assert!(line.starts_with(&format!("error: {file}: ")), "{command}: {line}");
            assert!(line.len() > format!("error: {file}: ").len() + 10, "{command}: {line}");
        }
        assert_eq!(lines[bad.len()..], ["error: 6 of 8 files cannot be used; the reasons are above"]);
        let records = json(&output.stdout);
        let answered = records.iter().filter(|record| record["text"].is_string()).collect::<Vec<_>>();
        assert_eq!(answered.iter().map(|record| record["file"].as_str().unwrap()).collect::<Vec<_>>(), good);
        // the same content under another name
        assert_eq!(answered[0]["text"], answered[1]["text"]);
        assert!(answered[0]["confidence"].as_f64().unwrap() <= 0.0);
        assert_eq!(records.iter().filter(|record| record["problem"].is_string()).count(), bad.len());
    }
}

#[test]
fn pictures_are_found_by_words_speech_and_pictures() {
    let desk = Desk::new();
    let run = desk.trained("run");
    let (png, wav) = media(&run);
    fs::write(desk.path("query.png"), png).unwrap();
    fs::write(desk.path("query.wav"), wav).unwrap();
    for query in ["red heart", "query.png", "query.wav"] {
        let found =
            json(desk.succeed(&["search", "run", query, "--top", "3", "--json", "--quiet"]).as_bytes());
        assert_eq!(found.len(), 3, "{query}");
        let similarities =
            found.iter().map(|found| found["similarity"].as_f64().unwrap()).collect::<Vec<_>>();
        assert!(similarities.is_sorted_by(|a, b| a >= b), "{query}: {similarities:?}");
        assert!(found.iter().all(|found| found["split"] == "test" && found["caption"].is_string()));
        if query == "query.png" {
            // it is one of those searched
            assert!(similarities[0] > 0.999, "{similarities:?}");
        }
    }
    let text = desk.succeed(&["search", "run", "red heart", "--split", "all", "--top", "100", "--quiet"]);
    // eight concepts in three styles
    assert_eq!(text.lines().count(), 24);
    let message = desk.fail(1, &["search", "run", "absent.wav"]);
    assert!(message.starts_with("error: absent.wav: cannot be read: "), "{message}");
    let message = desk.fail(2, &["search", "run", " "]);
    assert!(
        message.starts_with("error: expected words or a file to search by, got \" \"\n  hint: "),
        "{message}"
    );
    let message = desk.fail(2, &["search", "run", "red heart", "--split", "validation"]);
    assert!(
        message.contains("has no pictures in that split\n  hint: `--split all` searches all 24"),
        "{message}"
    );
}

#[test]
fn recordings_and_texts_are_found_too_and_only_a_judge_ranks_again() {
    let desk = Desk::new();
    let run = desk.trained("run");
    let (png, wav) = media(&run);
    fs::write(desk.path("query.png"), png).unwrap();
    fs::write(desk.path("query.wav"), wav).unwrap();
    for (query, find, n, own) in [
        ("red heart", "audio", 10, false),
        ("query.wav", "audio", 10, true),
        ("query.png", "audio", 10, false),
        ("query.wav", "text", 8, false),
        ("query.png", "text", 8, false),
    ] {
        let arguments = ["search", "run", query, "--find", find, "--top", "99", "--json", "--quiet"];
        let found = json(desk.succeed(&arguments).as_bytes());
        assert_eq!(found.len(), n, "{query} among {find}: {found:?}");
        let similarities = found.iter().map(|found| found["similarity"].as_f64().unwrap());
        let similarities = similarities.collect::<Vec<_>>();
        assert!(similarities.is_sorted_by(|a, b| a >= b), "{query}: {similarities:?}");
        assert!(!own || similarities[0] > 0.999, "{query} among {find}: {similarities:?}");
        assert!(found.iter().all(|found| found["matching"].is_null()));
    }
    let message = desk.fail(2, &["search", "run", "red heart", "--rerank", "4"]);
    assert!(
        message.contains(
            "has not learned to judge pairs of text and image, which `--rerank` asks for\n  hint: "
        ) && message.contains("`model.heads.matching = true` and the objective `matching_image_text`"),
        "{message}"
    );
    let message = desk.fail(2, &["search", "run", "query.png", "--rerank", "4"]);
    assert!(message.contains("`--rerank` judges pairs of two kinds, got image and image"), "{message}");
    desk.fail(2, &["search", "run", "red heart", "--rerank", "0"]);
    let message = desk.fail(2, &["search", "run", "query.png", "--find", "audio", "--split", "validation"]);
    assert!(
        message.contains("has no recordings in that split\n  hint: `--split all` searches all "),
        "{message}"
    );
}

#[test]
fn a_judge_orders_the_best_and_says_how_sure_it_is() {
    let desk = Desk::new();
    desk.succeed(&[
        "train",
        "tiny.toml",
        "--out",
        "run",
        "--quiet",
        "--set",
        "model.heads.matching=true",
        "--set",
        "objectives.matching_image_text.weight=1.0",
    ]);
    let search = |options: &[&str]| {
        let arguments = ["search", "run", "red heart", "--split", "all", "--top", "24", "--json", "--quiet"];
        json(desk.succeed(&[&arguments[..], options].concat()).as_bytes())
    };
    let (plain, judged) = (search(&[]), search(&["--rerank", "7"]));
    let ids =
        |found: &[Value]| found.iter().map(|f| f["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let (mut first, mut again) = (ids(&plain[..7]), ids(&judged[..7]));
    // the rest stays where it was
    assert_eq!(ids(&plain[7..]), ids(&judged[7..]));
    first.sort();
    again.sort();
    assert_eq!(first, again);
    let odds = judged.iter().map(|found| found["matching"].as_f64()).collect::<Vec<_>>();
    assert!(odds[..7].iter().all(|odds| odds.is_some_and(|odds| (0.0..=1.0).contains(&odds))), "{odds:?}");
    assert!(odds[..7].is_sorted_by(|a, b| a >= b) && odds[7..].iter().all(Option::is_none), "{odds:?}");
    let message = desk.fail(2, &["search", "run", "red heart", "--find", "audio", "--rerank", "4"]);
    assert!(
        message.contains("pairs of text and audio") && message.contains("matching_audio_text"),
        "{message}"
    );
}

#[test]
fn a_run_that_is_not_there_or_not_trained_is_told() {
    let desk = Desk::new();
    fs::create_dir(desk.path("empty")).unwrap();
    for arguments in
        [["caption", "empty", "a.png"], ["transcribe", "empty", "a.wav"], ["search", "absent", "cat"]]
    {
        let message = desk.fail(1, &arguments);
        assert!(message.contains(" is not a run: it has no config.toml\n  hint: "), "{message}");
    }
    let untrained = desk.path("untrained");
    fs::create_dir(&untrained).unwrap();
    let config = desk.succeed(&["config", "check", "tiny.toml"]);
    assert!(config.contains("is good"));
    fs::copy(desk.path("tiny.toml"), untrained.join("config.toml")).unwrap();
    let message = desk.fail(1, &["caption", "untrained", "a.png"]);
    let expected = "error: untrained has no checkpoint\n  hint: train it first: `triptych train \
                    untrained/config.toml --out untrained`\n";
    assert_eq!(message, expected);
}

#[test]
fn corpora_are_imported_by_name_with_options() {
    let desk = Desk::new();
    let message = desk.fail(2, &["data", "import", "emojo", "--out", "data"]);
    assert!(
        message.contains("expected one of the corpora emoji") && message.contains("triptych list"),
        "{message}"
    );
    let message = desk.fail(2, &["data", "import", "emoji", "--out", "data", "--side", "4"]);
    assert!(message.contains("side: expected 8 to 1024 pixels, got 4"), "{message}");
    let message = desk.fail(2, &["data", "import", "emoji", "--out", "data", "--set", "sides=4"]);
    assert!(message.contains("unknown field `sides`, expected one of `side`"), "{message}");
    assert!(!desk.path("data").exists());

    let import = ["data", "import", "emoji", "--out", "data", "--side", "16", "--quiet", "--set"];
    let options =
        ["n_known=5", "--set", "n_unknown=1", "--set", "voices=[\"kal16\"]", "--set", "styles=[\"noto\"]"];
    let told = desk.succeed(&[&import[..], &options[..]].concat());
    assert!(
        told.starts_with("data: 12 samples: 6 pictures, 6 sounds (") && told.contains("\nsplits: "),
        "{told}"
    );
    let index = fs::metadata(desk.path("data/index.json")).unwrap().modified().unwrap();
    desk.succeed(&[&import[..], &options[..]].concat());
    assert_eq!(fs::metadata(desk.path("data/index.json")).unwrap().modified().unwrap(), index, "made twice");
    desk.succeed(&["config", "check", "tiny.toml", "--set", "data.corpus.folder=data"]);
}

const ARPA: &str =
    "\\data\\\nngram 1=5\n\\1-grams:\n-99\t<s>\n-1\t</s>\n-2\t<unk>\n-0.5\tred\n-0.5\theart\n\\end\\\n";

#[test]
fn transcripts_come_with_times_alternatives_a_language_model_and_hot_words() {
    let desk = Desk::new();
    let run = desk.trained("run");
    let (_, wav) = media(&run);
    fs::write(desk.path("a.wav"), wav).unwrap();
    fs::write(desk.path("words.arpa"), ARPA).unwrap();
    fs::write(desk.path("cut.arpa"), &ARPA[..60]).unwrap();
    fs::write(desk.path("upper.arpa"), ARPA.replace("red", "RED").replace("heart", "HEART")).unwrap();
    fs::write(desk.path("hot.txt"), "Red Heart\nred\t2.5\n").unwrap();
    fs::write(desk.path("empty.txt"), " \n\n").unwrap();
    for options in
        [&["--ctc"][..], &["--lm", "words.arpa", "--hot-words", "hot.txt", "--beam", "8"], &["--beam", "4"]]
    {
        let arguments =
            [&["transcribe", "run", "a.wav", "--json", "--timestamps", "--n-best", "3"], options].concat();
        let found = json(desk.succeed(&arguments).as_bytes()).remove(0);
        let best = found["n_best"].as_array().unwrap();
        assert!((1..=3).contains(&best.len()), "{options:?}: {found}");
        assert_eq!(best[0]["text"], found["text"]);
        if let Some(words) = found["words"].as_array() {
            let joined =
                words.iter().map(|word| word["text"].as_str().unwrap()).collect::<Vec<_>>().join(" ");
            assert_eq!(joined, found["text"].as_str().unwrap(), "{options:?}");
            let heard_s = found["heard_s"].as_f64().unwrap();
            for word in words {
                let (start_s, end_s) = (word["start_s"].as_f64().unwrap(), word["end_s"].as_f64().unwrap());
                assert!(0.0 <= start_s && start_s < end_s && end_s < heard_s + 0.5, "{options:?}: {word}");
            }
        }
    }
    for (options, expected) in [
        (["--lm", "cut.arpa"], "error: cut.arpa: line "),
        (["--lm", "absent.arpa"], "error: absent.arpa: cannot be read: "),
        (["--lm", "upper.arpa"], "error: upper.arpa: vocabulary does not match: "),
        (["--hot-words", "empty.txt"], "error: empty.txt: expected a phrase on each line, got none"),
    ] {
        let message = desk.fail(1, &[&["transcribe", "run", "a.wav"], &options[..]].concat());
        assert!(message.starts_with(expected), "{message}");
    }
    desk.fail(2, &["transcribe", "run", "a.wav", "--n-best", "0"]);
    desk.fail(2, &["transcribe", "run", "a.wav", "--lm-weight", "1"]);
}

#[test]
fn captions_are_searched_drawn_and_made_of_allowed_words() {
    let desk = Desk::new();
    let run = desk.trained("run");
    let (png, _) = media(&run);
    fs::write(desk.path("a.png"), png).unwrap();
    fs::write(desk.path("only.txt"), "red\nheart\n").unwrap();
    let caption = |options: &[&str]| {
        json(desk.succeed(&[&["caption", "run", "a.png", "--json"], options].concat()).as_bytes()).remove(0)
    };
    assert_eq!(caption(&["--beam", "4", "--n-best", "3"])["n_best"].as_array().unwrap().len(), 3);
    let drawn = ["--sample", "--temperature", "1.5", "--top-p", "0.9", "--n-best", "4", "--seed", "3"];
    assert_eq!(caption(&drawn), caption(&drawn));
    let only = caption(&["--only-words", "only.txt"]);
    let text = only["text"].as_str().unwrap();
    assert!(!text.is_empty() && text.split(' ').all(|word| ["red", "heart"].contains(&word)), "{text:?}");
    let message = desk.fail(1, &["caption", "run", "a.png", "--only-words", "a.png"]);
    assert!(message.starts_with("error: a.png: cannot be read: "), "{message}");
    desk.fail(2, &["caption", "run", "a.png", "--temperature", "0.5"]);
}

#[test]
fn a_long_recording_is_heard_to_its_end() {
    let desk = Desk::new();
    let run = desk.trained("run");
    let (_, wav) = media(&run);
    let once = decode_at_rate(&wav, "wav", 60.0).unwrap();
    let samples = once.iter().copied().cycle().take(16_000 * 40).collect();
    let long = Waveform { samples, rate_hz: 16_000 };
    fs::write(desk.path("long.wav"), encode_wav(&long).unwrap()).unwrap();
    let found =
        json(desk.succeed(&["transcribe", "run", "long.wav", "--ctc", "--json", "--timestamps"]).as_bytes());
    assert_eq!((&found[0]["duration_s"], &found[0]["heard_s"]), (&40.0.into(), &40.0.into()), "{found:?}");
    // token by token it hears what it was made for
    let found = json(desk.succeed(&["transcribe", "run", "long.wav", "--json"]).as_bytes());
    assert!(found[0]["heard_s"].as_f64() < Some(40.0), "{found:?}");
    fs::write(desk.path("labels.txt"), "red\nheart\n").unwrap();
    let found =
        json(desk.succeed(&["classify", "run", "--labels", "labels.txt", "long.wav", "--json"]).as_bytes());
    let share = found[0]["classes"][0]["probability"].as_f64().unwrap();
    assert!((0.5..=1.0).contains(&share), "{found:?}");
    desk.succeed(&["search", "run", "long.wav"]);
}
