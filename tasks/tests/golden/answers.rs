//! Answers to questions against the VQA evaluation tools.

use serde::Deserialize;
use triptych_tasks::metrics::{Answers, normalise_answer};

use crate::{assert_near, golden};

#[derive(Deserialize)]
struct Golden {
    /// Answers and the form that they take.
    forms: Vec<(String, String)>,
    /// What is answered, and what people answered.
    questions: Vec<(String, Vec<String>)>,
    /// In percent.
    accuracies: Vec<f64>,
    overall: f64,
}

#[test]
fn answers_take_the_form_of_the_evaluation_tools() {
    for (answer, expected) in golden::<Golden>("answers.json").forms {
        assert_eq!(normalise_answer(&answer), expected, "{answer:?}");
    }
}

#[test]
fn accuracies_are_those_of_the_evaluation_tools() {
    let Golden { questions, accuracies, overall, .. } = golden("answers.json");
    let (hypotheses, references): (Vec<_>, Vec<_>) = questions.into_iter().unzip();
    let answers = Answers::new(&hypotheses, &references).expect("every question was answered");
    for (place, (ours, golden)) in answers.accuracies().iter().zip(&accuracies).enumerate() {
        let what = format!("{:?} to {:?}", hypotheses[place], references[place]);
        assert_near(100.0 * ours, *golden, &what);
    }
    assert_near(answers.figures()[0].value(), overall, "all questions");
}
