//! Patterns of parameters' names, such as `text.*` and `*.blocks.0.*`.

use std::collections::BTreeMap;

/// A pattern that no parameter has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{key}`: expected a pattern of some of the model's {n_parameters} parameters, got {pattern:?}, which none has"
)]
pub struct PatternError {
    /// Where it stands in the config.
    pub key: &'static str,
    /// As it stands there.
    pub pattern: String,
    /// How many names there are.
    pub n_parameters: usize,
}

/// Which parameters are trained, and how fast.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pace {
    freeze: Vec<String>,
    lr_ratios: BTreeMap<String, f64>,
}

impl Pace {
    pub(crate) fn new(freeze: &[String], lr_ratios: &BTreeMap<String, f64>) -> Self {
        Self { freeze: freeze.to_vec(), lr_ratios: lr_ratios.clone() }
    }

    /// Checks that every pattern is of some parameter.
    ///
    /// # Errors
    /// The first that is of none.
    pub(crate) fn check<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<(), PatternError> {
        let names = names.collect::<Vec<_>>();
        let frozen = self.freeze.iter().map(|pattern| ("train.freeze", pattern));
        let paced = self.lr_ratios.keys().map(|pattern| ("train.lr_ratios", pattern));
        for (key, pattern) in frozen.chain(paced) {
            if !names.iter().any(|name| fits(pattern, name)) {
                return Err(PatternError { key, pattern: pattern.clone(), n_parameters: names.len() });
            }
        }
        Ok(())
    }

    /// Whether the parameter stays as it is.
    pub(crate) fn is_frozen(&self, name: &str) -> bool {
        self.freeze.iter().any(|pattern| fits(pattern, name))
    }

    /// What the learning rate is multiplied by.
    pub(crate) fn lr_ratio(&self, name: &str) -> f64 {
        let ratios = self.lr_ratios.iter().filter(|(pattern, _)| fits(pattern, name));
        ratios.map(|(_, ratio)| ratio).product()
    }
}

/// Whether a name is of a pattern, in which `*` stands for anything, also for nothing.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(start) else { return false };
    let mut parts = rest.split('*').collect::<Vec<_>>();
    // the part behind the last star must end the name, the others follow each other as early as they can
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = name.find(part) else { return false };
        name = &name[at + part.len()..];
    }
    name.ends_with(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("text.*", "text.Bert.words.weight", true)]
    #[case("text.*", "context.x", false)]
    #[case("*.weight", "text.Bert.words.weight", true)]
    #[case("*.blocks.1.*", "text.Bert.transformer.blocks.1.norm", true)]
    #[case("*.blocks.1.*", "text.Bert.transformer.blocks.11.norm", false)]
    #[case("a*b*a", "aba", true)]
    #[case("a*a", "a", false)]
    #[case("retrieval.log_scale", "retrieval.log_scale", true)]
    #[case("retrieval.log", "retrieval.log_scale", false)]
    #[case("*", "", true)]
    #[case("", "x", false)]
    fn a_star_is_anything(#[case] pattern: &str, #[case] name: &str, #[case] expected: bool) {
        assert_eq!(fits(pattern, name), expected);
    }

    proptest! {
        #[test]
        fn a_name_cut_into_stars_fits(name in "[a-c.]{0,12}", holes in prop::collection::vec(0..12_usize, 0..4)) {
            let mut pattern = name.clone();
            let mut holes = holes;
            holes.sort_unstable();
            for &at in holes.iter().rev().filter(|at| **at < name.len()) {
                pattern.replace_range(at..at + 1, "*");
            }
            prop_assert!(fits(&pattern, &name));
        }
    }

    #[test]
    fn ratios_multiply_and_a_pattern_of_nothing_is_told() {
        let ratios = BTreeMap::from([("text.*".to_owned(), 0.5), ("*.norm".to_owned(), 0.1)]);
        let pace = Pace::new(&["vision.*".to_owned()], &ratios);
        assert_eq!((pace.lr_ratio("text.norm"), pace.lr_ratio("audio.x")), (0.05, 1.0));
        assert!(pace.is_frozen("vision.x") && !pace.is_frozen("text.x"));
        pace.check(["text.norm", "vision.x"].into_iter()).expect("every pattern is of one");
        let error = pace.check(["text.norm"].into_iter()).expect_err("nothing is frozen").to_string();
        assert!(
            error.starts_with("`train.freeze`: expected a pattern of some of the model's 1 parameters"),
            "{error}"
        );
    }
}
