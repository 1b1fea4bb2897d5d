//! Questions about COCO's pictures with ten answers each, in the layout of the VQA data sets (version 1 and 2).
//!
//! <https://visualqa.org/vqa_v2_dataset_viewer.html>: `v2_OpenEnded_mscoco_train2014_questions.json` has `questions` of
//! `question_id`, `image_id`, `question`; `v2_mscoco_train2014_annotations.json` has `annotations` of `question_id` and
//! `answers`, each with `answer`. Questions without annotations, as those of the test parts, are none to learn from.
//!
//! Both documents of a part are held in memory: some 400 MB for the 443,757 questions of `train2014`.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::intake::lines::without_mark;
use super::intake::source::folder_of;
use super::intake::{Failure, Place, Source};
use crate::sample::Question;

/// Where they may lie beside the folder of the captions.
const FOLDERS: [&str; 2] = ["vqa", "VQA"];

#[derive(Deserialize)]
struct QuestionDocument {
    questions: Vec<Listed<Asked>>,
}

#[derive(Deserialize)]
struct AnnotationDocument {
    annotations: Vec<Listed<Annotation>>,
}

#[derive(Deserialize)]
struct Asked {
    question_id: u64,
    image_id: u64,
    question: String,
}

#[derive(Deserialize)]
struct Annotation {
    question_id: u64,
    answers: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    answer: String,
}

/// An entry, or one that is something else: the others go on.
#[derive(Deserialize)]
#[serde(untagged)]
enum Listed<T> {
    Whole(T),
    Broken(IgnoredAny),
}

/// The questions of a part, by picture.
#[derive(Default)]
pub(super) struct Vqa {
    questions: HashMap<u64, Vec<Question>>,
    /// What could not be read.
    pub(super) failures: Vec<Failure>,
}

impl Vqa {
    /// Those of a part such as `train2014`, if the source has them in the folder `below` or one called `vqa`. Of several versions
    /// the last by name is taken.
    pub(super) fn find(source: &Source, below: &str, part: &str) -> Self {
        let folders = FOLDERS.into_iter().filter(|folder| source.has_folder(folder));
        let files = std::iter::once(below).chain(folders).flat_map(|folder| source.walk(folder));
        let files = files.filter_map(Result::ok).collect::<Vec<_>>();
        let last = |ending: &str| {
            let of_part = |path: &&String| {
                let base = &path[folder_of(path).len()..];
                base.ends_with(&format!("_{part}_{ending}.json")) && !base.contains("MultipleChoice")
            };
            files.iter().filter(of_part).max_by_key(|path| &path[folder_of(path).len()..])
        };
        let Some(asked) = last("questions") else { return Self::default() };
        let mut found = Self::default();
        let failed = match last("annotations") {
            None => {
                Err(format!("expected a file ..._{part}_annotations.json with the answers, there is none"))
            }
            Some(answered) => found.read(source, asked, answered),
        };
        if let Err(reason) = failed {
            found.failures.push(Failure::at(Place::file(asked), reason));
        }
        found
    }

    /// Those about a picture.
    pub(super) fn take(&mut self, image_id: u64) -> Vec<Question> {
        self.questions.remove(&image_id).unwrap_or_default()
    }

    fn read(&mut self, source: &Source, asked: &str, answered: &str) -> Result<(), String> {
        let annotations = document::<AnnotationDocument>(source, answered)?.annotations;
        let mut answers: HashMap<u64, Vec<String>> = HashMap::with_capacity(annotations.len());
        for (idx, annotation) in annotations.into_iter().enumerate() {
            match annotation {
                Listed::Whole(Annotation { question_id, answers: given }) => {
                    answers.insert(question_id, given.into_iter().map(|given| given.answer).collect());
                }
                Listed::Broken(_) => {
                    let reason = "expected a `question_id`, and `answers` with `answer` each";
                    let place = Place::part(answered, format!("annotations[{idx}]"));
                    self.failures.push(Failure::at(place, reason));
                }
            }
        }
        for (idx, question) in document::<QuestionDocument>(source, asked)?.questions.into_iter().enumerate()
        {
            let place = || Place::part(asked, format!("questions[{idx}]"));
            let Listed::Whole(Asked { question_id, image_id, question }) = question else {
                let reason = "expected a `question_id`, an `image_id` and a `question`";
                self.failures.push(Failure::at(place(), reason));
                continue;
            };
            let mut question =
                Question { question, answers: answers.remove(&question_id).unwrap_or_default() };
            if question.tidied() {
                self.questions.entry(image_id).or_default().push(question);
            } else {
                let reason = format!("question {question_id}: expected words and an annotation with answers");
                self.failures.push(Failure::at(place(), reason));
            }
        }
        Ok(())
    }
}

fn document<T: DeserializeOwned>(source: &Source, file: &str) -> Result<T, String> {
    let reader = without_mark(source.open_file(file)?).map_err(|e| format!("cannot read {file:?}: {e}"))?;
    serde_json::from_reader(reader).map_err(|e| format!("{file:?}: expected a document of VQA: {e}"))
}
