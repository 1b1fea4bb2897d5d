use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;

const EXACT: [Element; 2] = [Element::F32, Element::F16];

pub(super) fn values(n: usize, seed: usize) -> Vec<f32> {
    let mut state = seed as u64;
    let next = |_| {
        // Knuth's MMIX generator, its upper bits
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(next).collect()
}

/// An index of rows that are named `r0`, `r1`, ...
pub(super) fn build(path: &Path, d: usize, rows: &[f32], storage: Storage) -> Result<Index, IndexError> {
    let mut builder = Builder::create(path, d, storage)?;
    for (row_idx, row) in rows.chunks(d).enumerate() {
        builder.push(&format!("r{row_idx}"), row)?;
    }
    builder.finish()?;
    Index::open(path)
}

pub(super) fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("x.index");
    (folder, path)
}

fn storage(element: Element, metric: Metric) -> Storage {
    Storage { element, originals: None, metric }
}

/// All scores in the order of the columns, sorted.
fn by_definition(rows: &[f32], queries: &[f32], d: usize, k: usize) -> Found {
    let mut found = Found { k, rows: Vec::new(), scores: Vec::new() };
    for query in queries.chunks(d) {
        let score =
            |row: &[f32]| row.iter().zip(query).fold(0.0f32, |sum, (row, query)| query.mul_add(*row, sum));
        let mut all: Vec<(f32, u32)> = rows.chunks(d).map(score).zip(0..).collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        found.rows.extend(all[..k].iter().map(|entry| entry.1));
        found.scores.extend(all[..k].iter().map(|entry| entry.0));
    }
    found
}

#[test]
fn exact_search_agrees_with_the_definition_to_the_bit() {
    let (_folder, path) = folder();
    for (n_rows, n_query, d, k) in [(1, 1, 1, 1), (5, 33, 3, 5), (700, 70, 17, 10), (3001, 2, 40, 100)] {
        let (rows, queries) = (values(n_rows * d, 1), values(n_query * d, 2));
        let index = build(&path, d, &rows, storage(Element::F32, Metric::Dot)).expect("it is built");
        assert_eq!(index.search(&queries, k).expect("it is found"), by_definition(&rows, &queries, d, k));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn equal_scores_keep_the_order_of_the_rows(
        rows in prop::collection::vec(-2i8..3, 1..900),
        query in prop::collection::vec(-1i8..2, 3),
        k in 1usize..40,
    ) {
        let (_folder, path) = folder();
        let rows: Vec<f32> = rows.iter().map(|&value| f32::from(value)).collect();
        let rows = &rows[..rows.len() / 3 * 3];
        prop_assume!(k * 3 <= rows.len());
        let query: Vec<f32> = query.iter().map(|&value| f32::from(value)).collect();
        for element in EXACT {
            let index = build(&path, 3, rows, storage(element, Metric::Dot)).expect("it is built");
            prop_assert_eq!(index.search(&query, k).expect("it is found"), by_definition(rows, &query, 3, k));
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let (_folder, path) = folder();
    let (rows, queries) = (values(5000 * 24, 1), values(100 * 24, 2));
    for element in [Element::F32, Element::F16, Element::I8] {
        let index = build(&path, 24, &rows, storage(element, Metric::Cosine)).expect("it is built");
        let with = |n_threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().expect("a pool");
            pool.install(|| index.search(&queries, 10).expect("it is found"))
        };
        let one = with(1);
        assert_eq!(one, with(2));
        assert_eq!(one, with(5));
    }
}

#[test]
fn cosine_ignores_lengths_and_the_inner_product_does_not() {
    let (_folder, path) = folder();
    let rows = [10.0, 1.0, 0.1, 0.0, -3.0, -0.1];
    let of = |metric| {
        let index = build(&path, 2, &rows, storage(Element::F32, metric)).expect("it is built");
        let found = index.search(&[2.0, 0.0], 3).expect("it is found");
        (found.of_query(0).map(|(row, _)| index.id(row).to_owned()).collect::<Vec<_>>(), found.scores[0])
    };
    assert_eq!(of(Metric::Cosine), (["r1", "r0", "r2"].map(str::to_owned).to_vec(), 1.0));
    assert_eq!(of(Metric::Dot), (["r0", "r1", "r2"].map(str::to_owned).to_vec(), 20.0));
}

#[test]
fn rescoring_by_the_originals_mends_what_eight_bits_lose() {
    let (_folder, path) = folder();
    let (rows, queries) = (values(4000 * 32, 3), values(50 * 32, 4));
    for originals in EXACT {
        let storage = Storage { element: Element::I8, originals: Some(originals), metric: Metric::Cosine };
        let index = build(&path, 32, &rows, storage).expect("it is built");
        let exact = index.search_exactly(&queries, 10).expect("it is found");
        let rough = recall(&index.search(&queries, 10).expect("it is found"), &exact);
        let rescored = index.search_rescored(&queries, 10, 40).expect("it is found");
        assert!(rough > 0.8 && rough < 1.0, "{rough}");
        assert!(recall(&rescored, &exact) > 0.999);
        assert_eq!(index.search_rescored(&queries, 10, usize::MAX).expect("it is found"), exact);
    }
}

#[test]
fn vectors_that_cannot_be_compared_are_refused_by_number() {
    let (_folder, path) = folder();
    let message = |rows: &[f32], storage: Storage| {
        build(&path, 2, rows, storage).expect_err("it is refused").to_string()
    };
    let plain = Storage::default();
    for (rows, storage, expected) in [
        (&[1.0, 2.0, f32::NAN, 1.0][..], plain, "row 1 column 0 is NaN: expected a finite number"),
        (&[1.0, f32::INFINITY], plain, "row 0 column 1 is inf: expected a finite number"),
        (&[1.0, 2.0, 3.0], plain, "row 1 has 1 columns: expected 2"),
        (&[1.0, 2.0, 0.0, -0.0], plain, "row 1 is all zeros: it has no cosine with anything"),
        (&[3e19, 0.0], plain, "row 0 has length 3.0e19: expected at most 1.8e19"),
        (
            &[1e5, 0.0],
            self::storage(Element::F16, Metric::Dot),
            "row 0 column 0 is 100000: more than f16 holds",
        ),
        (&[], plain, "expected at least one row, got none"),
    ] {
        let message = message(rows, storage);
        assert!(message.starts_with(expected), "{message}");
        assert!(!path.exists());
    }
    assert!(
        build(&path, 2, &[0.0, 0.0], self::storage(Element::F32, Metric::Dot)).is_ok(),
        "zero is a point"
    );
}

#[test]
fn ids_that_stand_twice_are_refused_and_any_text_is_an_id() {
    let (folder, path) = folder();
    let with = |ids: &[&str]| {
        let mut builder = Builder::create(&path, 1, Storage::default())?;
        ids.iter().try_for_each(|id| builder.push(id, &[1.0]))?;
        builder.finish()?;
        Index::open(&path)
    };
    let message = with(&["a", "b", "c", "b", "a"]).expect_err("it is refused").to_string();
    assert_eq!(message, "id \"b\" stands twice, in rows 1 and 3: expected every id once");
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 0, "nothing unfinished is left");
    let ids = ["", "\u{645}\u{631}", "a\nb", "a", "b"];
    let index = with(&ids).expect("it is built");
    assert_eq!((0..5).map(|row| index.id(row)).collect::<Vec<_>>(), ids);
}

#[test]
fn questions_that_do_not_fit_are_refused() {
    let (_folder, path) = folder();
    let index = build(&path, 2, &[1.0, 2.0, 3.0, 4.0], Storage::default()).expect("it is built");
    let message = |queries: &[f32], k| index.search(queries, k).expect_err("it is refused").to_string();
    assert_eq!(
        message(&[1.0, 1.0], 3),
        "asked for the nearest 3: expected from 1 to 2, the rows of the index"
    );
    assert_eq!(
        message(&[1.0, 1.0], 0),
        "asked for the nearest 0: expected from 1 to 2, the rows of the index"
    );
    assert_eq!(message(&[], 1), "expected at least one query, got none");
    assert_eq!(message(&[1.0, 1.0, 1.0], 1), "query 1 has 1 columns: expected 2");
    assert_eq!(message(&[1.0, 1.0, 0.0, f32::NAN], 1), "query 1 column 1 is NaN: expected a finite number");
    assert!(message(&[0.0, 0.0], 1).starts_with("query 0 is all zeros"));
    let error = index.search_rescored(&[1.0, 1.0], 1, 2).expect_err("there are no originals").to_string();
    assert!(error.starts_with("the index holds f32 and no originals"), "{error}");
}

#[test]
fn files_that_are_cut_changed_or_something_else_are_refused() {
    let (_folder, path) = folder();
    let storage = Storage { element: Element::I8, originals: Some(Element::F16), metric: Metric::Cosine };
    let index = build(&path, 3, &values(30, 1), storage).expect("it is built");
    index.verify().expect("nothing is damaged");
    drop(index);
    let whole = fs::read(&path).expect("it is there");
    let open = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("it is written");
        Index::open(&path)
    };
    for end in (0..whole.len()).step_by(7) {
        let message = open(&whole[..end]).expect_err("it is cut off").to_string();
        assert!(message.contains("cut off") || end < 8 && message.contains("another kind"), "{message}");
    }
    let mut longer = whole.clone();
    longer.push(0);
    assert!(open(&longer).is_err());
    for place in 0..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 1;
        let is_noticed = open(&changed).is_err_and(|error| error.to_string().contains("x.index: "))
            || Index::open(&path).is_ok_and(|index| index.verify().is_err())
            // nothing lies in the gaps between ids and what stands before them
            || whole[place] == 0;
        assert!(is_noticed, "byte {place}");
    }
    assert!(Index::open(path.parent().expect("a folder")).is_err());
    assert!(Index::open(Path::new("no-such.index")).is_err());
}

#[test]
fn arrays_of_every_width_are_read_and_others_refused() {
    let (folder, _) = folder();
    let path = folder.path().join("x.npy");
    let mut file = Vec::new();
    triptych_datasets::npy::write_f32(&mut file, &[2, 2], &[1.0, -2.0, 0.5, 4.0]).expect("memory takes it");
    fs::write(&path, &file).expect("it is written");
    assert_eq!(NpyRows::open(&path).expect("it is an array").read_all(), [1.0, -2.0, 0.5, 4.0]);
    // the same 16 bytes as doubles, and as halves
    let as_kind = |kind: &[u8], shape: &[u8]| {
        let text = |bytes: &[u8]| bytes.iter().map(|&byte| char::from(byte)).collect::<String>();
        let changed = text(&file).replace("<f4", &text(kind)).replace("(2, 2)", &text(shape));
        fs::write(&path, changed.chars().map(|char| char as u8).collect::<Vec<_>>()).expect("it is written");
        NpyRows::open(&path)
    };
    assert_eq!(as_kind(b"<f8", b"(1, 2)").expect("it is an array").n_rows(), 1);
    assert_eq!(as_kind(b"<f2", b"(2, 4)").expect("it is an array").d(), 4);
    assert_eq!(as_kind(b"<f8", b"(2,  )").expect("a vector is a row").read_all().len(), 2);
    for (kind, shape) in [(b"<f4", b"(2, 3)"), (b"<i4", b"(2, 2)"), (b"|u1", b"(4, 4)"), (b"<f2", b"(0, 8)")]
    {
        assert!(as_kind(kind, shape).is_err());
    }
}

#[test]
fn rows_of_nan_in_a_file_end_in_an_error() {
    let (_folder, path) = folder();
    drop(build(&path, 2, &values(8, 1), storage(Element::F32, Metric::Dot)).expect("it is built"));
    let mut bytes = fs::read(&path).expect("it is there");
    bytes[256..256 + 16].fill(0xff);
    fs::write(&path, bytes).expect("it is written");
    let index = Index::open(&path).expect("rows are not read yet");
    assert!(index.verify().is_err());
    let message = index.search(&[1.0, 1.0], 3).expect_err("two rows are left").to_string();
    assert!(message.ends_with("rows of the index are not numbers: it is damaged"), "{message}");
}
