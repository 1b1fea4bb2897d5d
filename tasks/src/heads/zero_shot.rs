//! Classification by words alone: a sample is of the class whose name, in some phrases, lies nearest to it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Stands for the class in a template.
const PLACE: &str = "{}";

/// A phrase with a place for the name of a class: `a drawing of {}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template(String);

/// A phrase that no class can be put into.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("expected a phrase with {{}} where the class stands, such as \"a drawing of {{}}\", got {phrase:?}")]
pub struct TemplateError {
    phrase: String,
}

impl Template {
    /// The class's name alone.
    pub fn name() -> Self {
        Self(PLACE.to_owned())
    }

    /// The phrase about a class.
    pub fn prompt(&self, class: &str) -> String {
        self.0.replace(PLACE, class)
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(phrase: &str) -> Result<Self, TemplateError> {
        let phrase = phrase.trim();
        match phrase.contains(PLACE) {
            true => Ok(Self(phrase.to_owned())),
            false => Err(TemplateError { phrase: phrase.to_owned() }),
        }
    }
}

impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(phrase: String) -> Result<Self, TemplateError> {
        phrase.parse()
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.0
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Every prompt of every class, class after class.
pub fn prompts(templates: &[Template], classes: &[impl AsRef<str>]) -> Vec<String> {
    let of_class = |class: &str| templates.iter().map(|template| template.prompt(class)).collect::<Vec<_>>();
    classes.iter().flat_map(|class| of_class(class.as_ref())).collect()
}

/// Classes by what their prompts mean.
///
/// # Formula
/// A class is the mean of its prompts' unit embeddings, brought back to length 1; its logit is the temperature's factor times
/// the dot product with the sample's embedding. Where embeddings consist of several spaces
/// ([`RetrievalHead::embed`](super::retrieval::RetrievalHead::embed)), the mean is brought to length 1 in each.
///
/// # Reference
/// Radford et al. 2021, section 3.1.4; open_clip `build_zero_shot_classifier`.
#[derive(Clone, Debug, PartialEq)]
pub struct ZeroShot {
    /// `[n_classes, d]`
    classes: Vec<Vec<f32>>,
    scale: f64,
}

impl ZeroShot {
    /// `scale` is the factor on the similarities, the inverse of the temperature that the encoders were trained with.
    ///
    /// # Shapes
    /// `prompts`: `[n_classes * n_templates, d]`, as [`prompts`] orders them; `d_space` divides `d`.
    ///
    /// # Panics
    /// When the sizes do not come out even.
    pub fn new(prompts: &[Vec<f32>], n_templates: usize, d_space: usize, scale: f64) -> Self {
        assert!(n_templates > 0 && prompts.len().is_multiple_of(n_templates), "prompts of whole classes");
        let classes = prompts.chunks_exact(n_templates).map(|prompts| class_of(prompts, d_space)).collect();
        Self { classes, scale }
    }

    /// How many classes there are.
    pub fn n_classes(&self) -> usize {
        self.classes.len()
    }

    /// A score for each class, of a sample's embedding.
    pub fn logits(&self, embedding: &[f32]) -> impl Iterator<Item = f64> + '_ {
        let embedding = embedding.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
        self.classes.iter().map(move |class| {
            let products = class.iter().zip(&embedding).map(|(a, b)| f64::from(*a) * b);
            self.scale * products.sum::<f64>()
        })
    }
}

/// The mean of a class's prompts, of length 1 in each space; 0 where all of them are.
fn class_of(prompts: &[Vec<f32>], d_space: usize) -> Vec<f32> {
    let d = prompts[0].len();
    assert!(d_space > 0 && d.is_multiple_of(d_space), "embeddings of whole spaces");
    let sum = |idx: usize| prompts.iter().map(|prompt| f64::from(prompt[idx])).sum::<f64>();
    let mut class = (0..d).map(sum).collect::<Vec<_>>();
    for space in class.chunks_exact_mut(d_space) {
        let norm = space.iter().map(|value| value * value).sum::<f64>().sqrt();
        if norm > 0.0 {
            space.iter_mut().for_each(|value| *value /= norm);
        }
    }
    class.into_iter().map(|value| value as f32).collect()
}

/// What a softmax makes of logits.
pub fn probabilities(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let shares = logits.iter().map(|logit| (logit - largest).exp()).collect::<Vec<_>>();
    let sum = shares.iter().sum::<f64>();
    shares.into_iter().map(|share| share / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_need_a_place_for_the_class() {
        let template: Template = " a drawing of {}, or {} ".parse().unwrap();
        assert_eq!(template.prompt("a cat"), "a drawing of a cat, or a cat");
        let message = "a drawing".parse::<Template>().unwrap_err().to_string();
        assert_eq!(
            message,
            "expected a phrase with {} where the class stands, such as \"a drawing of {}\", got \"a drawing\""
        );
        let prompts = prompts(&[Template::name(), template], &["x", "y"]);
        assert_eq!(prompts, ["x", "a drawing of x, or x", "y", "a drawing of y, or y"]);
    }

    #[test]
    fn a_class_is_the_direction_between_its_prompts_in_each_space() {
        // two spaces of two numbers; the second class has nothing in the second space
        let prompts = [
            vec![1.0, 0.0, 0.0, 1.0],
            vec![0.0, 1.0, 0.0, 1.0],
            vec![-1.0, 0.0, 0.0, 0.0],
            vec![-1.0, 0.0, 0.0, 0.0],
        ];
        let head = ZeroShot::new(&prompts, 2, 2, 10.0);
        assert_eq!(head.n_classes(), 2);
        let logits = head.logits(&[0.6, 0.8, 0.0, 1.0]).collect::<Vec<_>>();
        let expected = [10.0 * (1.4 / 2f64.sqrt() + 1.0), -6.0];
        assert!(
            logits.iter().zip(expected).all(|(got, expected)| (got - expected).abs() < 1e-5),
            "{logits:?}"
        );
    }

    #[test]
    fn probabilities_add_up_to_one_however_large_the_logits() {
        let shares = probabilities(&[1000.0, 1000.0 + 3f64.ln()]);
        assert!((shares[0] - 0.25).abs() < 1e-12 && (shares[1] - 0.75).abs() < 1e-12, "{shares:?}");
    }
}
