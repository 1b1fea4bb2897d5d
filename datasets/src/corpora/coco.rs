//! `coco`: captions in the layout of Microsoft COCO, one JSON document with `images` and `annotations`.
//!
//! Source: the folder with `annotations/captions_*.json` and the pictures' folders beside it (`train2017/`, `val2017/`), or
//! one such JSON file. `--set images=FOLDER` says where the pictures lie, `--set karpathy=FILE` takes Karpathy's
//! splits. Without them a document called `captions_val...` is for validation and any other for training.
//!
//! Where the questions and annotations of VQA lie beside the captions, or in a folder `vqa`, each picture takes its questions
//! with it (`v2_OpenEnded_mscoco_train2014_questions.json`, `v2_mscoco_train2014_annotations.json`).
//!
//! The captions of a document are held in memory, some 150 bytes each; the pictures are not.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::ImportError;
use super::intake::lines::without_mark;
use super::intake::source::{extension, folder_of, without_extension};
use super::intake::split::split_of_name;
use super::intake::{Failure, Format, Place, RawItems, RawMedia, RawSample, Source, failed, parse_options};
use super::karpathy::Karpathy;
use super::vqa::Vqa;
use crate::sample::Split;

/// The format.
pub(super) struct Coco;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// Where the pictures lie, relative to the source.
    images: Option<String>,
    karpathy: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Document {
    images: Vec<Value>,
    annotations: Vec<Value>,
}

#[derive(Deserialize)]
struct Image {
    id: u64,
    file_name: String,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: u64,
    caption: String,
}

impl Format for Coco {
    fn name(&self) -> &'static str {
        "coco"
    }

    fn about(&self) -> &'static str {
        "COCO captions: annotations/captions_*.json and its pictures, with VQA's questions; `--set karpathy=FILE` for his splits"
    }

    fn read<'a>(&self, source: &'a Source, options: &Value) -> Result<RawItems<'a>, ImportError> {
        let Options { images, karpathy } = parse_options("coco", options)?;
        let karpathy = karpathy.map(|path| Karpathy::read(&path)).transpose()?.map(Arc::new);
        let below = if source.has_folder("annotations") { "annotations" } else { "" };
        let documents = match source.named_file() {
            Some(file) => vec![file.to_owned()],
            None => {
                let is_captions = |path: &String| {
                    path[folder_of(path).len()..].starts_with("captions") && extension(path) == "json"
                };
                source.walk(below).filter_map(Result::ok).filter(is_captions).collect()
            }
        };
        if documents.is_empty() {
            return Err(
                source.unfit("expected annotations/captions_*.json or a JSON file of captions, got none")
            );
        }
        Ok(Box::new(documents.into_iter().flat_map(move |file| {
            match read_document(source, &file, below, images.as_deref(), karpathy.clone()) {
                Ok(items) => items,
                Err(reason) => failed(Failure::at(Place::file(file), reason)),
            }
        })))
    }
}

fn read_document<'a>(
    source: &'a Source,
    file: &str,
    below: &str,
    folder: Option<&str>,
    karpathy: Option<Arc<Karpathy>>,
) -> Result<RawItems<'a>, String> {
    let opened = source.open_file(file)?;
    let reader = without_mark(opened).map_err(|e| format!("cannot read {file:?}: {e}"))?;
    let document: Document = serde_json::from_reader(reader)
        .map_err(|e| format!("expected an object with lists `images` and `annotations`: {e}"))?;
    let mut failures = Vec::new();
    let mut captions: HashMap<u64, Vec<String>> = HashMap::new();
    for (idx, value) in document.annotations.into_iter().enumerate() {
        match serde_json::from_value::<Annotation>(value) {
            Ok(annotation) => captions.entry(annotation.image_id).or_default().push(annotation.caption),
            Err(e) => {
                failures.push(Failure::at(Place::part(file, format!("annotations[{idx}]")), e.to_string()))
            }
        }
    }
    let mut vqa = Vqa::find(source, below, part_of(file));
    failures.append(&mut vqa.failures);
    let split = split_of_document(file);
    let file = file.to_owned();
    let folder = folder.map(|folder| format!("{}/", folder.trim_end_matches('/')));
    let images = document.images.into_iter().enumerate().map(move |(idx, value)| {
        let place = Place::part(&file, format!("images[{idx}]"));
        let image: Image =
            serde_json::from_value(value).map_err(|e| Failure::at(place.clone(), e.to_string()))?;
        let mut raw = RawSample::new(without_extension(&image.file_name), place.clone());
        raw.split = Some(match &karpathy {
            Some(karpathy) => karpathy
                .split(&image.file_name)
                .map_err(|reason| Failure::of(image.file_name.clone(), place.clone(), reason))?,
            None => split,
        });
        raw.texts = captions.remove(&image.id).unwrap_or_default();
        raw.questions = vqa.take(image.id);
        raw.tag("coco_id", &image.id.to_string());
        if raw.texts.is_empty() && raw.questions.is_empty() {
            return Err(Failure::of(
                image.file_name,
                place,
                "expected at least one annotation of it, got none",
            ));
        }
        raw.image = Some(RawMedia::File(picture_path(source, &file, folder.as_deref(), &image.file_name)));
        Ok(raw)
    });
    Ok(Box::new(failures.into_iter().map(Err).chain(images)))
}

/// `captions_val2014.json` is for validation.
fn split_of_document(file: &str) -> Split {
    let base = without_extension(&file[folder_of(file).len()..]);
    base.split(|c: char| !c.is_ascii_alphabetic()).find_map(split_of_name).unwrap_or(Split::Train)
}

/// `val2014` for `annotations/captions_val2014.json`.
fn part_of(document: &str) -> &str {
    let base = without_extension(&document[folder_of(document).len()..]);
    base.rsplit('_').next().unwrap_or(base)
}

/// Where a picture lies: in the folder that was named, or as the document says, or in the folder of the document's year.
fn picture_path(source: &Source, document: &str, folder: Option<&str>, file_name: &str) -> String {
    if let Some(folder) = folder {
        return format!("{folder}{file_name}");
    }
    let part = part_of(document);
    let places = [
        format!("{part}/{file_name}"),
        format!("images/{part}/{file_name}"),
        format!("images/{file_name}"),
        format!("{}{file_name}", folder_of(document)),
    ];
    let names: Vec<&str> = places.iter().map(String::as_str).collect();
    source.first_claimed(&names).unwrap_or_else(|| file_name.to_owned())
}
