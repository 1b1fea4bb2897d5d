//! Recipes: what is wrong is said with its place.

use std::path::Path;

use rstest::rstest;
use triptych_datasets::pipeline::{Key, Options, PipelineError, Recipe, outline};

use super::recipe;

fn message(text: &str) -> (String, Option<String>) {
    let error = Recipe::parse(text, Path::new("my.toml")).expect_err("something is wrong");
    assert!(error.is_usage());
    (error.to_string(), error.hint())
}

#[test]
fn every_recipe_that_ships_is_valid() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
    let mut n_recipes = 0;
    for file in std::fs::read_dir(dir).expect("there are recipes").flatten() {
        Recipe::load(file.path()).unwrap_or_else(|e| panic!("{e}"));
        n_recipes += 1;
    }
    assert!(n_recipes >= 2);
}

#[rstest]
#[case("name = \"a\"\nsuorce = \"x\"\n", "my.toml:2:1: unknown key `suorce`", "did you mean `source`?")]
#[case(
    "name = \"a\"\n[filter]\nimage_sid = {}\n",
    "my.toml:3:1: unknown key `image_sid`",
    "did you mean `image_side`?"
)]
#[case(
    "name = \"a\"\n[anonymise]\nkinds = [\"emial\"]\n",
    "my.toml:3:10: unknown value `emial`",
    "did you mean `email`?"
)]
fn a_misspelt_word_is_named_with_its_place_and_the_nearest(
    #[case] text: &str,
    #[case] expected: &str,
    #[case] hint: &str,
) {
    let (got, got_hint) = message(text);
    assert_eq!(got, expected);
    assert!(got_hint.as_ref().is_some_and(|got| got.starts_with(hint)), "{got_hint:?}");
}

#[rstest]
#[case(
    "name = \"a\"\n[filter]\nimage_side = { min = 9, max = 3 }\n",
    "my.toml:3:1: `filter.image_side`: min 9 exceeds max 3"
)]
#[case("name = \"a/b\"\n", "my.toml:1:1: `name`: expected letters, digits, '-' and '_', got \"a/b\"")]
#[case("name = \"a\"\n[filter]\ncharacters = \"[z-\"\n", "my.toml:3:1: `filter.characters`: ")]
#[case("name = \"a\"\n[filter]\nlanguages = [\"xx\"]\n", "my.toml:3:1: `filter.languages`: ")]
#[case("name = \"a\"\n[split]\nshares = { train = 0.5, test = 0.1 }\n", "my.toml:3:1: `split.shares`: ")]
#[case("name = \"a\"\n[split]\nby = []\n", "my.toml:3:1: `split.by`: ")]
#[case("name = \"a\"\n[split]\nby = [\"speaker\"]\n", "my.toml:3:6: expected one of group, id, caption")]
#[case("name = \"a\"\n[deduplicate]\ntext_similarity = 3\n", "my.toml:3:1: `deduplicate.text_similarity`: ")]
#[case(
    "name = \"a\"\n[[classify.rule]]\ntag = \"t\"\nvalue = \"v\"\npattern = \"(\"\n",
    "my.toml:2:12: `classify.rule`: "
)]
#[case("name = \"a\"\n[normalise]\nunicode = \"nfd\"\n", "my.toml:3:11: unknown value `nfd`")]
#[case(
    "name = \"a\"\n[decode]\nmax_audio_s = \"long\"\n",
    "my.toml:3:15: invalid type: string \"long\", expected f64"
)]
#[case("name = \"a\"\n[shard]\nmib = 0\n", "my.toml:3:1: `shard.mib`: ")]
#[case("name = \"a\"\nname = \"b\"\n", "my.toml:2:1: duplicate key")]
#[case("name = \"a\"\n[filter\n", "my.toml:2:8: ")]
fn impossible_settings_are_named_with_their_place(#[case] text: &str, #[case] expected: &str) {
    let (got, _) = message(text);
    assert!(got.starts_with(expected), "{got}");
}

#[test]
fn files_that_are_no_text_are_refused_with_the_place() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("r.toml");
    std::fs::write(&path, b"name = \"a\"\nout = \"\xff\"\n").expect("it is writable");
    let error = Recipe::load(&path).expect_err("it is not UTF-8");
    assert!(error.to_string().ends_with("r.toml:2:8: expected UTF-8 text"), "{error}");
    assert!(matches!(Recipe::load(dir.path().join("none")), Err(PipelineError::Io { .. })));
    std::fs::write(&path, "\u{feff}name = \"a\"\r\n").expect("it is writable");
    assert!(Recipe::load(&path).is_ok());
}

#[test]
fn what_does_not_go_together_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    super::write_raw(dir.path(), vec![super::text_sample("a", "one")]);
    let slice = Options { slice: "0/2".parse().ok(), ..Options::default() };
    for (stages, options) in [
        ("[filter]\nsimilarity = { min = 0.2 }\n", &Options::default()),
        ("[split]\nby = [\"caption\"]\n", &slice),
        ("[tokenize]\n", &slice),
        ("slice_by = \"caption\"\n", &slice),
    ] {
        let error = outline(&recipe(dir.path(), stages), options, None).expect_err(stages);
        assert!(error.is_usage() && error.hint().is_some(), "{error}");
    }
    assert!(!dir.path().join("out").exists());
}

#[test]
fn keys_are_read_as_they_are_written() {
    for name in ["group", "id", "caption", "picture", "sound", "tag:speaker"] {
        assert_eq!(Key::try_from(name.to_owned()).map(String::from).as_deref(), Ok(name));
    }
    assert!(Key::try_from("tag:".to_owned()).is_err());
}
