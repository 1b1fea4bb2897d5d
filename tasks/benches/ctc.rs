//! Prefix beam search of 10 s of sound with a trigram model, on one core.
//!
//! ```text
//! cargo bench -p triptych-tasks --bench ctc
//! ```

use std::fmt::Write as _;

use divan::Bencher;
use triptych_tasks::decode::ctc::{Frames, Fusion, HotWords, LanguageModel, PrefixSearch, Vocabulary, align};
use triptych_tasks::decode::ngram::NGram;

fn main() {
    divan::main();
}

/// Frames of 40 ms and of 20 ms in 10 s, with 32 characters or 500 word pieces.
const SIZES: [(usize, usize); 4] = [(250, 32), (500, 32), (250, 500), (500, 500)];
const N_WORDS: usize = 20_000;

/// Numbers that look random, the same in every run (SplitMix64, Steele et al. 2014).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.uniform()).ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// Label 0 is the blank; of 32, label 1 is the space, of more, half start words.
fn vocabulary(n_labels: usize) -> Vocabulary {
    let letter = |n: usize| char::from(b'a' + (n % 26) as u8);
    let text = |label: usize| match label {
        0 => String::new(),
        1 => " ".to_owned(),
        _ if n_labels == 32 => char::from(b'a' + (label - 2) as u8).to_string(),
        _ => format!(
            "{}{}{}",
            if label.is_multiple_of(2) { " " } else { "" },
            letter(label / 26),
            letter(label)
        ),
    };
    Vocabulary::new((0..n_labels).map(|label| Some(text(label))).collect(), 0).expect("a blank")
}

/// A trigram model of words that the vocabulary can write.
fn model(vocabulary: &Vocabulary, numbers: &mut Numbers) -> (NGram, Vec<String>) {
    let mut words = std::collections::BTreeSet::new();
    while words.len() < N_WORDS {
        let n_labels = 1 + numbers.below(if vocabulary.len() == 32 { 8 } else { 4 });
        let labels =
            (0..n_labels).map(|_| 2 + numbers.below(vocabulary.len() - 2) as u32).collect::<Vec<_>>();
        words.insert(vocabulary.spell(&labels).replace(' ', ""));
    }
    let words = words.into_iter().collect::<Vec<_>>();
    let mut pairs = std::collections::BTreeSet::new();
    while pairs.len() < 5 * N_WORDS {
        pairs.insert((numbers.below(N_WORDS), numbers.below(N_WORDS)));
    }
    let triples = pairs.iter().flat_map(|(a, b)| [(*a, *b, numbers.below(N_WORDS))]).collect::<Vec<_>>();
    let mut arpa = "\\data\\\n".to_owned();
    let counts = [N_WORDS + 3, pairs.len(), triples.len()];
    for (n, count) in counts.iter().enumerate() {
        writeln!(arpa, "ngram {}={count}", n + 1).expect("into a string");
    }
    arpa.push_str("\\1-grams:\n-99 <s> -0.3\n-1 </s>\n-3 <unk>\n");
    for word in &words {
        writeln!(arpa, "{:.3} {word} -0.3", -3.0 - 2.0 * numbers.uniform()).expect("into a string");
    }
    arpa.push_str("\\2-grams:\n");
    for (a, b) in &pairs {
        writeln!(arpa, "{:.3} {} {} -0.2", -1.0 - numbers.uniform(), words[*a], words[*b])
            .expect("into a string");
    }
    arpa.push_str("\\3-grams:\n");
    for (a, b, c) in &triples {
        writeln!(arpa, "{:.3} {} {} {}", -numbers.uniform(), words[*a], words[*b], words[*c])
            .expect("into a string");
    }
    arpa.push_str("\\end\\\n");
    (NGram::read_arpa(arpa.as_bytes()).expect("a good model"), words)
}

/// What a model hears that says words of the language model: a label in every second frame of characters, every fourth of pieces,
/// and blanks between them.
fn sound(
    n_frames: usize,
    vocabulary: &Vocabulary,
    words: &[String],
    margin: f64,
    numbers: &mut Numbers,
) -> Vec<f32> {
    let n_labels = vocabulary.len();
    let spacing = if n_labels == 32 { n_frames / 125 } else { n_frames / 62 };
    let mut said = std::collections::VecDeque::new();
    let mut values = Vec::with_capacity(n_frames * n_labels);
    for frame in 0..n_frames {
        while said.is_empty() {
            said.extend(spelled(vocabulary, &words[numbers.below(words.len())]));
        }
        let right = if frame % spacing == 0 { said.pop_front().unwrap_or(0) } else { 0 };
        let logits = (0..n_labels).map(|label| numbers.normal() + if label == right { margin } else { 0.0 });
        let logits = logits.collect::<Vec<_>>();
        let total = logits.iter().map(|logit| logit.exp()).sum::<f64>().ln();
        values.extend(logits.iter().map(|logit| (logit - total) as f32));
    }
    values
}

/// Labels of a space and a word: characters, or the pieces of two letters that it was made of.
fn spelled(vocabulary: &Vocabulary, word: &str) -> Vec<usize> {
    let find = |text: &str| (0..vocabulary.len()).find(|label| vocabulary.text(*label as u32) == Some(text));
    if vocabulary.len() == 32 {
        return [1]
            .into_iter()
            .chain(word.chars().filter_map(|letter| find(letter.encode_utf8(&mut [0; 4]))))
            .collect();
    }
    let pieces = (0..word.len() / 2).filter_map(|place| {
        let piece = &word[2 * place..2 * place + 2];
        let spaced = format!(" {piece}");
        if place == 0 { find(&spaced).or_else(|| find(piece)) } else { find(piece).or_else(|| find(&spaced)) }
    });
    pieces.collect()
}

/// The right label's logit lies 8 (a model that is sure) or 4 (one that is not) standard deviations above the others.
#[divan::bench(args = SIZES, consts = [8, 4])]
fn prefix_beam_32_trigram<const MARGIN: usize>(bencher: Bencher, (n_frames, n_labels): (usize, usize)) {
    let mut numbers = Numbers(1);
    let vocabulary = vocabulary(n_labels);
    let (model, words) = model(&vocabulary, &mut numbers);
    let hot_words =
        HotWords::new(words.iter().take(50).map(|word| (word.as_str(), 2.0)), &vocabulary).expect("words");
    let values = sound(n_frames, &vocabulary, &words, MARGIN as f64, &mut numbers);
    let language_model = Some(LanguageModel::new(&model));
    let fusion = Fusion { language_model, word_bonus: 1.5, hot_words: Some(&hot_words) };
    let search = PrefixSearch { n_best: 5, ..PrefixSearch::default() };
    bencher.bench_local(|| {
        let frames = Frames::new(&values, n_labels).expect("log-probabilities");
        search.run(&frames, &vocabulary, &fusion).expect("texts")
    });
}

#[divan::bench(args = SIZES)]
fn alignment(bencher: Bencher, (n_frames, n_labels): (usize, usize)) {
    let mut numbers = Numbers(1);
    let vocabulary = vocabulary(n_labels);
    let (_, words) = model(&vocabulary, &mut numbers);
    let values = sound(n_frames, &vocabulary, &words, 8.0, &mut numbers);
    let labels = (0..100).map(|_| 1 + numbers.below(n_labels - 1) as u32).collect::<Vec<_>>();
    bencher.bench_local(|| align(&Frames::new(&values, n_labels).expect("log-probabilities"), &labels, 0));
}
