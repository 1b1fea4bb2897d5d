//! The JSONL manifest, the general way in.

use serde_json::{Value, json};
use triptych_datasets::audio::decode;
use triptych_datasets::corpora::MANIFEST_SCHEMA;
use triptych_datasets::sample::Split;

use super::{Bench, picture, tone};

#[test]
fn every_key_of_a_line_arrives() {
    let bench = Bench::new();
    let line = json!({
        "id": "one", "image": "pictures/a.png", "audio": "sounds/a.wav", "text": "a thing", "texts": ["it", "  "],
        "start_s": 0.02, "end_s": 0.07, "speaker": 7, "language": "en", "split": "dev", "group": "things",
        "tags": {"mood": "good", "n": 3, "ok": true, "none": null}
    });
    bench.put("pictures/a.png", picture(1, 0)).put("sounds/a.wav", tone(1, 0));
    bench.put("manifest.jsonl", format!("{line}\n\n{{\"text\": \"alone\"}}"));
    let imported = bench.import("manifest");
    imported.assert_clean();
    let one = imported.sample("one");
    assert_eq!((one.split, one.group.as_str()), (Split::Validation, "things"));
    assert_eq!(one.texts, ["a thing", "it"]);
    let tags = [("language", "en"), ("mood", "good"), ("n", "3"), ("ok", "true"), ("speaker", "7")];
    assert_eq!(one.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Vec<_>>(), tags);
    assert_eq!(one.source, "manifest.jsonl line 1");
    assert_eq!(one.image.as_ref().map(|image| image.bytes.clone()), Some(picture(1, 0)));
    let sound = one.audio.as_ref().expect("it has a sound");
    let (cut, whole) = (
        decode(&sound.bytes, "wav", 9.0).expect("it was just cut"),
        decode(&tone(1, 0), "wav", 9.0).expect("ok"),
    );
    assert_eq!(cut.samples, whole.samples[320..1120]);
    let alone = imported.sample("000000003");
    assert_eq!((alone.texts.as_slice(), alone.group.as_str()), (&["alone".to_owned()][..], "000000003"));
    assert!((imported.summary.sound_s - 0.05).abs() < 1e-6);
}

#[test]
fn each_wrong_line_is_named_and_the_rest_goes_on() {
    let bench = Bench::new();
    bench
        .put("a.wav", tone(2, 0))
        .put("a.png", picture(2, 0))
        .put("empty.png", "")
        .put("noise.png", "not a picture");
    let lines: [(&[u8], &str); 24] = [
        (b"{\"id\": \"good\", \"text\": \"fine\"}", ""),
        (b"{\"id\": \"good\", \"text\": \"again\"}", "no earlier sample has"),
        (b"{\"id\": \"x\", \"txt\": \"misspelt\"}", "unknown key `txt`"),
        (b"{\"id\": \"x\", \"tags\": {\"a\": 1}}", "expected at least one of image, audio, text, texts"),
        (b"{\"text\": \"cut off", "expected a JSON object"),
        (b"[1, 2]", "expected a JSON object, got a list"),
        (b"{\"text\": \"\xff\xfe\"}", "expected UTF-8"),
        (b"{\"text\": 5}", "`text`: expected a text, got a number"),
        (b"{\"texts\": \"one\"}", "`texts`: expected a list of texts"),
        (b"{\"text\": \"a\", \"split\": \"monday\"}", "expected train, validation or test, got \"monday\""),
        (b"{\"text\": \"a\", \"tags\": [1]}", "`tags`: expected an object"),
        (b"{\"text\": \"a\", \"tags\": {\"b\": {}}}", "`tags.b`: expected a text, a number"),
        (b"{\"image\": \"../secret.png\"}", "inside the source"),
        (b"{\"image\": \"/etc/hostname\"}", "inside the source"),
        (b"{\"image\": \"none.png\"}", "there is none"),
        (b"{\"image\": \"empty.png\"}", "empty file"),
        (b"{\"image\": \"noise.png\"}", "expected a PNG, JPEG"),
        (b"{\"image\": \"a.wav\"}", "expected a picture, got a file of kind wav"),
        (b"{\"audio\": \"a.png\"}", "expected a sound, got a file of kind png"),
        (b"{\"text\": \"a\", \"start_s\": 1}", "expected a sound file to cut"),
        (b"{\"audio\": \"a.wav\", \"start_s\": 0.1, \"end_s\": 0.05}", "expected end_s after start_s"),
        (b"{\"audio\": \"a.wav\", \"start_s\": 9}", "expected a span within"),
        (b"{\"audio\": \"a.wav\", \"start_s\": \"0\"}", "`start_s`: expected seconds, got a text"),
        (b"{\"id\": \"last\", \"image\": \"a.png\"}", ""),
    ];
    for ending in [&b"\n"[..], b"\r\n"] {
        let mut manifest = b"\xef\xbb\xbf".to_vec();
        for (line, _) in lines {
            manifest.extend_from_slice(line);
            manifest.extend_from_slice(ending);
        }
        bench.put("manifest.jsonl", manifest);
        let imported = bench.import("manifest");
        assert_eq!(imported.ids(), ["good", "last"]);
        assert_eq!(imported.summary.n_failed, 22);
        for (idx, (_, expected)) in lines.iter().enumerate().filter(|(_, (_, expected))| !expected.is_empty())
        {
            let got = imported.reason(idx as u64 + 1);
            assert!(got.contains(expected), "line {}: {got}", idx + 1);
        }
    }
}

#[test]
fn unknown_keys_become_tags_or_nothing_if_asked() {
    let bench = Bench::new();
    bench.put("manifest.jsonl", "{\"text\": \"a\", \"mood\": \"good\", \"boxes\": [1]}\n");
    let tagged = bench.import_with("manifest", json!({"unknown_keys": "tag"}));
    assert_eq!(tagged.samples[0].tags.get("mood").map(String::as_str), Some("good"));
    let ignored = bench.import_with("manifest", json!({"unknown_keys": "ignore"}));
    assert!(ignored.samples[0].tags.is_empty());
}

#[test]
fn identifiers_that_cannot_be_file_names_are_made_ones_and_kept_as_tags() {
    let bench = Bench::new();
    bench.put("m.jsonl", "{\"id\": \"a.b\", \"text\": \"1\"}\n{\"id\": \"../a_b\", \"text\": \"2\"}\n");
    let summary = bench.import_file("manifest", "m.jsonl").expect("both are fine");
    assert_eq!((summary.n_samples, summary.n_failed), (2, 0));
    let corpus = triptych_datasets::shard::Corpus::open(bench.out()).expect("it was just written");
    assert_eq!(corpus.entries()[0].tags["source_id"], "a.b");
    assert_eq!(corpus.entries()[1].tags["source_id"], "../a_b");
}

#[test]
fn packed_manifests_are_unpacked() {
    let bench = Bench::new();
    let text = b"{\"text\": \"packed\"}\n";
    bench.put("m.jsonl.zst", zstd::encode_all(&text[..], 1).expect("memory takes it"));
    assert_eq!(bench.import_file("manifest", "m.jsonl.zst").expect("it is well formed").n_samples, 1);
    bench.put("m.jsonl.gz", b"\x1f\x8b not really");
    assert!(bench.import_file("manifest", "m.jsonl.gz").is_err());
}

#[test]
fn schema_names_the_keys_that_are_read() {
    let schema: Value = serde_json::from_str(MANIFEST_SCHEMA).expect("the schema is JSON");
    let bench = Bench::new();
    bench.put("manifest.jsonl", "{\"text\": \"a\", \"no_such_key\": 1}\n{\"text\": \"b\"}");
    let imported = bench.import("manifest");
    let reason = imported.reason(1);
    let keys = schema["properties"].as_object().expect("it has properties");
    for key in keys.keys().filter(|key| *key != "$schema") {
        assert!(reason.contains(key), "{key} is in the schema and not in: {reason}");
    }
    assert_eq!(reason.split(", ").count(), keys.len());
}
