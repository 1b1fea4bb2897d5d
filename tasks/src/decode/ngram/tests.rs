use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

/// Behind `a`, `b` is likelier than back-off makes it; `b c` is no pair, so that what stands behind `a b c` is `c` alone.
const SMALL: &str = "
\\data\\
ngram 1=6
ngram 2=3
ngram 3=1

\\1-grams:
-2.0\t<unk>
-99\t<s>\t-0.25
-0.5\t</s>
-1.0\ta\t-0.125
-1.5\tb\t-0.5
-0.75\tc\t-0.0625

\\2-grams:
-0.25\t<s> a\t-0.375
-0.125\ta b\t-1.0
-0.625\tc a

\\3-grams:
-0.03125\ta b c

\\end\\
";

fn read(text: &str) -> Result<NGram, ArpaError> {
    NGram::read_arpa(text.as_bytes())
}

fn problem(text: &str) -> String {
    read(text).expect_err("a damaged model").to_string()
}

#[test]
fn sentences_score_as_by_hand() {
    let model = read(SMALL).unwrap();
    assert_eq!((model.order(), model.n_ngrams(), model.words().len()), (3, 10, 6));
    // <s> a | a b behind <s> a backs off | a b c | c alone
    let expected = -0.25 + (-0.375 - 0.125) - 0.03125 + (-0.0625 - 0.5);
    assert_eq!(model.score_sentence("a b c"), expected);
    // <s> backs off to <unk>, which has no back-off; an empty sentence
    assert_eq!(model.score_sentence("zebra"), -0.25 - 2.0 - 0.5);
    assert_eq!(model.score_sentence(""), -0.25 - 0.5);
    // marks are no words
    assert_eq!(model.word("<s>"), model.unknown());
    assert_eq!(model.word("b"), model.word(" b".trim()));
}

#[test]
fn windows_lines_spaces_and_any_order_of_lines_are_read() {
    let model = read(SMALL).unwrap();
    assert_eq!(read(&SMALL.replace('\n', "\r\n")).unwrap(), model);
    assert_eq!(read(&SMALL.replace('\t', " ")).unwrap(), model);
    let swapped = SMALL
        .replace("-0.25\t<s> a\t-0.375\n", "")
        .replace("-0.625\tc a\n", "-0.625\tc a\n-0.25\t<s> a\t-0.375\n");
    assert_eq!(read(&swapped).unwrap(), model);
    let upper = SMALL.replace("<unk>", "<UNK>");
    assert_eq!(read(&upper).unwrap(), model);
}

#[test]
fn a_model_without_unknown_words_makes_them_all_but_impossible() {
    let text = SMALL.replace("-2.0\t<unk>\n", "").replace("ngram 1=6", "ngram 1=5");
    assert_eq!(read(&text).unwrap().score_sentence("zebra"), -0.25 - 100.0 - 0.5);
}

#[test]
fn damage_is_named_with_its_line() {
    for (from, to, expected) in [
        ("\\end\\\n", "", "line 22: expected \\end\\, got the end of the file"),
        ("\\end\\\n", "\\end\\\nmore\n", "line 24: expected nothing behind \\end\\, got \"more\""),
        ("ngram 2=3", "ngram 2=4", "line 20: expected 4 2-grams, as line 4 says, got 3"),
        ("ngram 2=3", "ngram 2=2", "line 18: expected 2 2-grams, as line 4 says, got 3"),
        (
            "ngram 2=3",
            "ngram 2=18446744073709551615",
            "line 20: expected 18446744073709551615 2-grams, as line 4 says, got 3",
        ),
        ("ngram 2=3", "ngram 2=three", "line 4: expected \"ngram 2=COUNT\", got \"ngram 2=three\""),
        ("ngram 2=3", "ngram 3=3", "line 4: expected \"ngram 2=COUNT\", got \"ngram 3=3\""),
        ("-1.5\tb", "nan\tb", "line 12: expected a log-probability, finite and at most 0, got \"nan\""),
        ("-1.5\tb", "-inf\tb", "line 12: expected a log-probability, finite and at most 0, got \"-inf\""),
        ("-1.5\tb", "0.5\tb", "line 12: expected a log-probability, finite and at most 0, got \"0.5\""),
        ("b\t-0.5", "b\tx", "line 12: expected a finite back-off, got \"x\""),
        (
            "-0.625\tc a",
            "-0.625\tc",
            "line 18: expected a log-probability, 2 words and a back-off, got \"-0.625\\tc\"",
        ),
        ("-0.625\tc a", "-0.625\tc d", "line 18: unknown word \"d\": expected one of the 1-grams"),
        ("-0.625\tc a", "-0.625\ta b", "line 18: \"a b\" stands twice: on line 17 too"),
        ("-0.75\tc", "-0.75\tb", "line 13: \"b\" stands twice: on line 12 too"),
        (
            "-0.03125\ta b c",
            "-0.03125\tb c a",
            "line 21: expected \"b c\" among the 2-grams, as one that goes on stands here",
        ),
        (
            "-0.03125\ta b c",
            "-0.03125\ta b c\t-0.5",
            "line 21: expected no back-off behind the longest n-grams, got \"-0.5\"",
        ),
        ("\\3-grams:", "\\4-grams:", "line 20: expected \\3-grams:, got \"\\\\4-grams:\""),
        ("\\data\\", "data", "line 2: expected \\data\\, got \"data\""),
        ("ngram 1=6\nngram 2=3\nngram 3=1\n", "", "line 4: expected \"ngram 1=COUNT\", got \"\\\\1-grams:\""),
    ] {
        assert!(SMALL.contains(from), "{from}");
        assert_eq!(problem(&SMALL.replace(from, to)), expected);
    }
    assert_eq!(problem(""), "line 1: expected \\data\\, got the end of the file");
    let endless = format!("\\data\\\n{}", "x".repeat(2 << 20));
    assert_eq!(problem(&endless), "line 2: expected a line of at most 1048576 bytes");
    let binary = NGram::read_arpa(&b"\x00\xff\xfe\n"[..]).unwrap_err().to_string();
    assert_eq!(binary, "line 1: expected UTF-8");
    let no_end = SMALL.replace("-0.5\t</s>\n", "").replace("ngram 1=6", "ngram 1=5");
    assert_eq!(problem(&no_end), "line 14: expected </s> among the 1-grams, got none");
}

#[test]
fn every_cut_of_a_file_is_an_error_or_the_whole_model() {
    let whole = read(SMALL).unwrap();
    let n_needed = SMALL.trim_end().len();
    for cut in 0..SMALL.len() {
        match read(&SMALL[..cut]) {
            Ok(model) => {
                assert!(cut >= n_needed, "cut at {cut}");
                assert_eq!(model, whole);
            }
            Err(error) => assert!(cut < n_needed, "cut at {cut}: {error}"),
        }
    }
}

/// A model of all n-grams over `a`, `b` and `c` that `keep` keeps and whose beginnings are there, as a file and as a list.
fn random_model(order: usize, keep: &[bool], numbers: &[f32]) -> (String, Vec<(Vec<String>, f32, f32)>) {
    let words = ["</s>", "<s>", "<unk>", "a", "b", "c"].map(str::to_owned);
    let mut levels: Vec<Vec<Vec<String>>> = vec![words.iter().map(|word| vec![word.clone()]).collect()];
    let mut keep = keep.iter().cycle();
    for _ in 1..order {
        let longer = levels[levels.len() - 1].iter().flat_map(|ngram| {
            words.iter().map(move |word| ngram.iter().cloned().chain([word.clone()]).collect::<Vec<_>>())
        });
        let longer = longer.filter(|ngram| {
            *keep.next().expect("a cycle")
                && ngram[1..].iter().all(|word| word != "<s>")
                && !ngram[..ngram.len() - 1].contains(&words[0])
        });
        let longer = longer.collect();
        levels.push(longer);
    }
    let mut numbers = numbers.iter().copied().cycle();
    let mut next = || numbers.next().expect("a cycle");
    let (mut text, mut list) = ("\\data\\\n".to_owned(), Vec::new());
    for (n, level) in levels.iter().enumerate() {
        writeln!(text, "ngram {}={}", n + 1, level.len()).unwrap();
    }
    for (n, level) in levels.iter().enumerate() {
        writeln!(text, "\\{}-grams:", n + 1).unwrap();
        for ngram in level {
            let (log10, backoff) = (-next(), if n + 1 < order { next() - 1.0 } else { 0.0 });
            writeln!(text, "{log10} {} {backoff}", ngram.join(" ")).unwrap();
            list.push((ngram.clone(), log10, backoff));
        }
    }
    text.push_str("\\end\\\n");
    (text, list)
}

/// The definition: the n-gram where it is there, else the back-off of its beginning and a shorter one.
fn by_definition(list: &[(Vec<String>, f32, f32)], ngram: &[String]) -> f64 {
    let find = |words: &[String]| list.iter().find(|(other, _, _)| other == words);
    match find(ngram) {
        Some((_, log10, _)) => f64::from(*log10),
        None => {
            let backoff = find(&ngram[..ngram.len() - 1]).map_or(0.0, |(_, _, backoff)| f64::from(*backoff));
            backoff + by_definition(list, &ngram[1..])
        }
    }
}

proptest! {
    #[test]
    fn scores_are_those_of_the_definition(
        order in 1usize..5,
        keep in prop::collection::vec(prop::bool::weighted(0.4), 50..200),
        numbers in prop::collection::vec(0.0f32..3.0, 20..60),
        sentence in prop::collection::vec("[abcd]", 0..8),
    ) {
        let (text, list) = random_model(order, &keep, &numbers);
        let model = read(&text).expect("a good model");
        let mut history = vec!["<s>".to_owned()];
        let mut expected = 0.0;
        for word in sentence.iter().chain([&"</s>".to_owned()]) {
            history.push(if word == "d" { "<unk>".to_owned() } else { word.clone() });
            let from = history.len().saturating_sub(order);
            expected += by_definition(&list, &history[from..]);
        }
        prop_assert!((model.score_sentence(&sentence.join(" ")) - expected).abs() < 1e-4);
    }

    #[test]
    fn garbage_is_refused_without_panic(text in "(\\\\data\\\\\n)?(ngram [0-9]=[0-9]\n){0,3}(\\\\[0-9]-grams:\n)?([-0-9. <>/a-z\\\\\t]{0,20}\n){0,8}") {
        let _ = read(&text);
    }
}
