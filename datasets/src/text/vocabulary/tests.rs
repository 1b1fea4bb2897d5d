use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::text::{PublishedTokenizer, TokenizerError};

/// `tests/golden/vocabularies.py` made it.
fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/vocabularies").join(name)
}

fn vocabulary(folder: &Path) -> PathBuf {
    let lines = folder.join("vocab.txt");
    if lines.exists() { lines } else { folder.join("vocab.json") }
}

/// A golden tokenizer's files, to be changed.
fn copied(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for entry in fs::read_dir(golden(name)).expect("the golden folder") {
        let entry = entry.expect("a file");
        fs::copy(entry.path(), dir.path().join(entry.file_name())).expect("a copy");
    }
    dir
}

fn opened(dir: &tempfile::TempDir) -> Result<PublishedTokenizer, TokenizerError> {
    PublishedTokenizer::open(&vocabulary(dir.path()))
}

fn assert_as_expected(tokenizer: &PublishedTokenizer, name: &str) {
    let text = fs::read_to_string(golden(name).join("expected.json")).expect("the golden file");
    let rows: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    assert!(rows.len() > 10);
    for row in rows {
        let text = row["text"].as_str().expect("a text");
        let ids = |key: &str| serde_json::from_value::<Vec<u32>>(row[key].clone()).expect("numbers");
        assert_eq!(tokenizer.encode(text).expect("it has tokens"), ids("ids"), "{name}: {text:?}");
        let plain = tokenizer.encode_plain(text).expect("it has tokens");
        assert_eq!(plain, ids("plain"), "{name}: {text:?}");
        assert_eq!(tokenizer.decode(&plain), row["decoded"].as_str().expect("a text"), "{name}: {text:?}");
    }
}

#[test]
fn vocabularies_cut_texts_as_transformers_does() {
    for name in ["bert", "bert_cased", "clip", "gpt2", "whisper"] {
        let tokenizer = PublishedTokenizer::open(&vocabulary(&golden(name)));
        assert_as_expected(&tokenizer.unwrap_or_else(|error| panic!("{name}: {error}")), name);
    }
}

#[test]
fn what_kind_a_vocabulary_is_shows_without_settings() {
    for name in ["bert", "clip", "gpt2", "whisper"] {
        let dir = copied(name);
        let _ = fs::remove_file(dir.path().join("tokenizer_config.json"));
        assert_as_expected(&opened(&dir).unwrap_or_else(|error| panic!("{name}: {error}")), name);
    }
}

#[test]
fn damaged_files_are_told_by_their_name() {
    let cases: &[(&str, &str, &[u8], &str)] = &[
        ("bert", "vocab.txt", b"", "vocab.txt: expected at least one token, got none"),
        ("bert", "vocab.txt", b"a\nb\n", "vocab.txt: expected a token `[UNK]`, the `unk_token`, got none"),
        ("bert", "vocab.txt", b"\xff\xfe", "cannot read "),
        ("bert", "tokenizer_config.json", b"[", "tokenizer_config.json: expected a table of settings, got "),
        (
            "bert",
            "tokenizer_config.json",
            br#"{"do_lower_case": 3}"#,
            "key `do_lower_case`: expected true or false, got 3",
        ),
        (
            "bert",
            "tokenizer_config.json",
            br#"{"do_basic_tokenize": false}"#,
            "key `do_basic_tokenize`: expected true, as only that is implemented, got false",
        ),
        (
            "bert",
            "tokenizer_config.json",
            br#"{"tokenizer_class": "XLNetTokenizer"}"#,
            "expected the tokenizer of BERT, CLIP, GPT-2 or Whisper",
        ),
        (
            "bert",
            "tokenizer_config.json",
            br#"{"tokenizer_class": "CLIPTokenizerFast"}"#,
            "expected vocab.json and merges.txt of a Clip tokenizer, got vocab.txt",
        ),
        ("gpt2", "vocab.json", b"{}", "vocab.json: expected at least one token, got none"),
        ("gpt2", "vocab.json", b"{\"a\": ", "vocab.json: expected a table of numbers by token, got "),
        ("gpt2", "vocab.json", b"{\"a\": -1}", "token `a`: expected a number below 4194304, got -1"),
        (
            "gpt2",
            "vocab.json",
            b"{\"a\": 4e9}",
            "token `a`: expected a number below 4194304, got 4000000000.0",
        ),
        ("gpt2", "merges.txt", b"a b c\n", "merges.txt, line 1: "),
        ("gpt2", "merges.txt", b"#version: 0.2\nab\n", "merges.txt: line 2: expected two tokens and a space"),
        ("gpt2", "merges.txt", b"zz \xe2\x98\x83\n", "vocab.json: expected a vocabulary, got "),
        ("whisper", "added_tokens.json", b"{\"<|en|>\": 5000}", "token `<|en|>`: expected number 5000, got "),
        (
            "whisper",
            "added_tokens.json",
            b"{\"<|endoftext|>\": 1}",
            "added_tokens.json: token `<|endoftext|>`: expected number ",
        ),
    ];
    for (name, file, content, expected) in cases {
        let dir = copied(name);
        fs::write(dir.path().join(file), content).expect("a file");
        let error = opened(&dir).expect_err(expected).to_string();
        let expected = expected.replace("merges.txt, line 1: ", "merges.txt: line 1: expected two tokens");
        assert!(error.contains(&expected), "{name}, {file}: {error}");
    }
    let dir = copied("gpt2");
    fs::remove_file(dir.path().join("merges.txt")).expect("it is there");
    let error = opened(&dir).expect_err("no merges").to_string();
    assert!(error.ends_with("vocab.json: expected merges.txt beside it, got none"), "{error}");
}

#[test]
#[cfg(unix)]
fn settings_are_read_from_the_vocabularys_folder_alone() {
    use std::os::unix::fs::symlink;
    let (dir, elsewhere) = (copied("gpt2"), copied("gpt2"));
    let merges = dir.path().join("merges.txt");
    fs::remove_file(&merges).expect("it is there");
    symlink(elsewhere.path().join("merges.txt"), &merges).expect("a link");
    let error = opened(&dir).expect_err("it leads out").to_string();
    assert!(error.contains("merges.txt: expected a file in this folder, got a link to "), "{error}");
    // as in a cache, where all of them are links to one folder
    for entry in fs::read_dir(elsewhere.path()).expect("a folder") {
        let name = entry.expect("a file").file_name();
        let _ = fs::remove_file(dir.path().join(&name));
        symlink(elsewhere.path().join(&name), dir.path().join(&name)).expect("a link");
    }
    assert_as_expected(&opened(&dir).expect("they lie beside each other"), "gpt2");
}

#[test]
fn settings_name_marks_and_switches() {
    let dir = copied("bert");
    let lines = fs::read_to_string(dir.path().join("vocab.txt")).expect("a file").replace("[CLS]", "<s>");
    fs::write(dir.path().join("vocab.txt"), lines).expect("a file");
    let settings = json!({
        "cls_token": { "content": "<s>", "lstrip": false, "rstrip": false, "normalized": false },
        "mask_token": null, "do_lower_case": false,
    });
    fs::write(dir.path().join("tokenizer_config.json"), settings.to_string()).expect("a file");
    let tokenizer = opened(&dir).expect("its marks are there");
    let ids = tokenizer.encode("The <s>").expect("it has tokens");
    let (begin, unknown) = (tokenizer.id("<s>").expect("a mark"), tokenizer.id("[UNK]").expect("a mark"));
    // large letters are not in this vocabulary
    assert_eq!(ids, [begin, unknown, begin, tokenizer.id("[SEP]").expect("a mark")]);
    let mask = tokenizer.encode_plain("[MASK]").expect("it has tokens");
    assert!(mask.len() > 1, "no mark, so that it is cut: {mask:?}");
}
