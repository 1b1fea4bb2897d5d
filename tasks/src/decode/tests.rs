//! The searches on a model that is a table: every token's scores depend on the row and the last token alone.

use proptest::prelude::*;

use super::logits::log_softmax;
use super::*;

const N_VOCAB: usize = 5;
const BEGIN: u32 = 0;
const END: u32 = 1;

/// Logits by row, place and last token.
#[derive(Debug)]
struct Table {
    logits: Vec<f32>,
    max_tokens: usize,
}

/// Which row of the table each row of the batch reads, and what it has read.
type Rows = Vec<(usize, Vec<u32>)>;

impl Table {
    fn row(&self, (row, read): &(usize, Vec<u32>)) -> Vec<f32> {
        let last = *read.last().expect("a prompt") as usize;
        let places = (row * 31 + read.len() * 7 + last) * N_VOCAB;
        (0..N_VOCAB).map(|id| self.logits[(places + id * 3) % self.logits.len()]).collect()
    }
}

impl NextToken for Table {
    type State = Rows;

    fn n_vocab(&self) -> usize {
        N_VOCAB
    }

    fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    fn step(&self, ids: &[u32], state: &mut Rows) -> Vec<f32> {
        assert_eq!(ids.len(), state.len(), "a token a row");
        for (row, id) in state.iter_mut().zip(ids) {
            row.1.push(*id);
            assert!(row.1.len() <= self.max_tokens, "no text is longer than it may be");
        }
        state.iter().flat_map(|row| self.row(row)).collect()
    }

    fn select(&self, state: &Rows, rows: &[usize]) -> Rows {
        rows.iter().map(|row| state[*row].clone()).collect()
    }
}

/// All but the begin mark may be written; the last token is the end mark.
struct Free;

impl Rules for Free {
    fn score(&self, _: &[u32], n_left: usize, logits: &mut [f32]) {
        log_softmax(logits);
        logits[BEGIN as usize] = f32::NEG_INFINITY;
        if n_left == 0 {
            logits.iter_mut().enumerate().filter(|(id, _)| *id != END as usize).for_each(|(_, logit)| {
                *logit = f32::NEG_INFINITY;
            });
        }
    }
}

fn start(rows: &[usize]) -> Rows {
    rows.iter().map(|row| (*row, Vec::new())).collect()
}

fn beams(table: &Table, rows: &[usize], search: &BeamSearch) -> Vec<Vec<Text>> {
    search.run(table, start(rows), rows.len(), &[BEGIN], &Free, END, table.max_tokens).expect("texts")
}

/// Every text that fits, with its log-probability.
fn all_texts(table: &Table, row: usize) -> Vec<(Vec<u32>, f64)> {
    let mut found = Vec::new();
    let mut open = vec![(Vec::new(), 0.0f64)];
    while let Some((ids, log_probability)) = open.pop() {
        let read = [&[BEGIN], &ids[..]].concat();
        let mut scores = table.row(&(row, read));
        Free.score(&ids, table.max_tokens - 1 - ids.len(), &mut scores);
        for (id, score) in scores.into_iter().enumerate().filter(|(_, score)| *score > f32::NEG_INFINITY) {
            let total = log_probability + f64::from(score);
            if id == END as usize {
                found.push((ids.clone(), total));
            } else {
                open.push(([&ids[..], &[id as u32]].concat(), total));
            }
        }
    }
    found
}

fn table() -> impl Strategy<Value = Table> {
    prop::collection::vec(-4.0f32..4.0, 40..90).prop_map(|logits| Table { logits, max_tokens: 4 })
}

proptest! {
    #[test]
    fn a_beam_for_every_text_ranks_all_texts(table in table(), length_penalty in prop_oneof![Just(0.0f32), Just(0.8)]) {
        let mut all = all_texts(&table, 3);
        let score = |(ids, log_probability): &(Vec<u32>, f64)| {
            log_probability / ((6 + ids.len()) as f64 / 6.0).powf(f64::from(length_penalty))
        };
        all.sort_by(|a, b| score(b).total_cmp(&score(a)));
        let search = BeamSearch { n_best: 5, length_penalty, ..BeamSearch::new(all.len()) };
        let found = beams(&table, &[3], &search).remove(0);
        prop_assert_eq!(found.len(), 5);
        for (text, expected) in found.iter().zip(&all) {
            prop_assert!((text.score - score(expected)).abs() < 1e-5, "{:?}, expected {:?}", text, expected);
            let same = all.iter().find(|other| other.0 == text.ids).expect("a text that fits");
            prop_assert!((text.log_probability - same.1).abs() < 1e-5);
        }
    }

    #[test]
    fn one_beam_and_no_temperature_are_greedy(table in table()) {
        let rows = [0, 1, 2];
        let ids = rows.map(|row| row.to_string());
        let sampling = Sampling { temperature: 0.0, ..Sampling::new(1) };
        let sampled = sampling.run(&table, start(&rows), &ids, &[BEGIN], &Free, END, table.max_tokens).unwrap();
        prop_assert_eq!(sampled, beams(&table, &rows, &BeamSearch::new(1)));
    }

    #[test]
    fn rows_do_not_depend_on_each_other(table in table(), n_beams in 1usize..5, seed in 0u64..9) {
        let search = BeamSearch { n_best: n_beams, ..BeamSearch::new(n_beams) };
        let sampling = Sampling { n_samples: 3, temperature: 1.3, top_k: 4, top_p: 0.95, min_p: 0.01, ..Sampling::new(seed) };
        let sample = |rows: &[usize]| {
            let ids = rows.iter().map(ToString::to_string).collect::<Vec<_>>();
            sampling.run(&table, start(rows), &ids, &[BEGIN], &Free, END, table.max_tokens).unwrap()
        };
        let rows = [4, 0, 7, 2];
        let (together, drawn) = (beams(&table, &rows, &search), sample(&rows));
        for (place, row) in rows.iter().enumerate() {
            prop_assert_eq!(&together[place], &beams(&table, &[*row], &search)[0]);
            prop_assert_eq!(&drawn[place], &sample(&[*row])[0]);
        }
    }
}

/// What follows is decided by the last token: 0 begins, 1 ends, and 2 is most likely followed by 3, which most likely ends.
struct Chain;

impl NextToken for Chain {
    type State = ();

    fn n_vocab(&self) -> usize {
        4
    }

    fn max_tokens(&self) -> usize {
        5
    }

    fn step(&self, ids: &[u32], (): &mut ()) -> Vec<f32> {
        let shares = |id: &u32| match id {
            2 => [0.0, 0.004, 0.006, 0.99],
            3 => [0.0, 0.98, 0.01, 0.01],
            _ => [0.0, 0.06, 0.9, 0.04],
        };
        ids.iter().flat_map(shares).map(f32::ln).collect()
    }

    fn select(&self, (): &(), _: &[usize]) {}
}

#[test]
fn a_likely_text_is_written_to_its_end_though_unlikely_ones_end_first() {
    let search = |n_beams: usize, n_best: usize| {
        let search = BeamSearch { n_best, ..BeamSearch::new(n_beams) };
        search.run(&Chain, (), 1, &[BEGIN], &Free, END, 5).expect("nothing is wrong with it").remove(0)
    };
    for n_beams in 1..4 {
        let best = search(n_beams, 1).remove(0);
        assert_eq!(best.ids, [2, 3], "{n_beams} beams");
        assert!((best.log_probability - (0.9f64 * 0.99 * 0.98).ln()).abs() < 1e-5, "{best:?}");
    }
    let found = search(3, 3);
    assert_eq!(found.iter().map(|text| text.ids.as_slice()).collect::<Vec<_>>(), [&[2, 3][..], &[], &[3]]);
}

#[test]
fn draws_come_as_often_as_they_are_likely() {
    let table = Table { logits: vec![0.5, -1.0, 2.0, 1.0, 0.0, 0.3, -0.7], max_tokens: 1 };
    let ids = (0..4000).map(|row| row.to_string()).collect::<Vec<_>>();
    struct First;
    impl Rules for First {
        fn score(&self, _: &[u32], _: usize, logits: &mut [f32]) {
            log_softmax(logits);
        }
    }
    let drawn = Sampling::new(5).run(&table, start(&[0; 4000]), &ids, &[BEGIN], &First, END, 1).unwrap();
    let mut expected = table.row(&(0, vec![BEGIN]));
    log_softmax(&mut expected);
    for (id, log_probability) in expected.into_iter().enumerate() {
        let is_it = |text: &Vec<Text>| match id as u32 {
            END => text[0].ids.is_empty(),
            id => text[0].ids == [id],
        };
        let share = drawn.iter().filter(|text| is_it(text)).count() as f32 / 4000.0;
        // four standard deviations of the share
        assert!(
            (share - log_probability.exp()).abs() < 0.032,
            "{id}: {share}, expected {}",
            log_probability.exp()
        );
    }
}

#[test]
fn scores_and_settings_that_make_no_sense_are_named() {
    let table = |value: f32| Table { logits: vec![0.0, value, 0.0, 0.0, 0.0, 0.0, 0.0], max_tokens: 4 };
    let message = |table: &Table, search: BeamSearch, prompt: &[u32], end| {
        search.run(table, start(&[0, 0]), 2, prompt, &Free, end, 4).unwrap_err().to_string()
    };
    let good = BeamSearch::new(2);
    let nan = message(&table(f32::NAN), BeamSearch { n_best: 2, ..good }, &[BEGIN], END);
    assert!(
        nan.starts_with("row 0, step ") && nan.ends_with("is NaN: expected a number below infinity"),
        "{nan}"
    );
    let table = table(0.0);
    let expected = "vocabulary does not match: the end mark is token 9, the model has 5";
    assert_eq!(message(&table, good, &[BEGIN], 9), expected);
    let expected = "vocabulary does not match: a token of the prompt is token 7, the model has 5";
    assert_eq!(message(&table, good, &[7], END), expected);
    assert_eq!(message(&table, good, &[], END), "expected a prompt of 1 to 4 tokens, got 0");
    assert_eq!(message(&table, BeamSearch::new(0), &[BEGIN], END), "n_beams: expected at least 1, got 0");
    assert_eq!(good.run(&table, start(&[]), 0, &[BEGIN], &Free, END, 4), Ok(vec![]));
    for (sampling, expected) in [
        (
            Sampling { temperature: -1.0, ..Sampling::new(0) },
            "temperature: expected a finite number of at least 0, got -1",
        ),
        (Sampling { top_p: 0.0, ..Sampling::new(0) }, "top_p: expected more than 0 and at most 1, got 0"),
        (Sampling { min_p: f32::NAN, ..Sampling::new(0) }, "min_p: expected 0 to 1, got NaN"),
        (Sampling { n_samples: 0, ..Sampling::new(0) }, "n_samples: expected at least 1, got 0"),
    ] {
        let error = sampling.run(&table, start(&[0]), &["a"], &[BEGIN], &Free, END, 4).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}
