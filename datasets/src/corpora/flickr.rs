//! `flickr`: Flickr8k and Flickr30k, a caption a line, five lines a picture in sequence.
//!
//! Source: the folder with the captions, `Flickr8k.token.txt` or `results_20130124.token` (`NAME.jpg#0<TAB>caption`),
//! `results.csv` (`image_name| comment_number| comment`) or `captions.txt` (`image,caption`), or one of these files.
//! The pictures lie in a folder beside it: `Flicker8k_Dataset` (so spelt), `flickr30k-images`, `Images` and the like, or where
//! `--set images=FOLDER` says.
//!
//! Splits: `--set karpathy=FILE`, else `Flickr_8k.trainImages.txt`, `.devImages.txt` and `.testImages.txt` where they lie
//! beside the captions, else nothing.

use std::collections::HashMap;
use std::iter::Peekable;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::ImportError;
use super::intake::lines::Lines;
use super::intake::source::{folder_of, without_extension};
use super::intake::split::split_of_name;
use super::intake::table::{Dialect, Table};
use super::intake::{Failure, Format, Place, RawItems, RawMedia, RawSample, Source, parse_options};
use super::karpathy::Karpathy;
use crate::sample::Split;

const TOKEN_FILES: [&str; 4] = [
    "Flickr8k.token.txt",
    "Flickr8k_text/Flickr8k.token.txt",
    "results_20130124.token",
    "results_20130124.token.txt",
];
const TABLE_FILES: [&str; 3] = ["results.csv", "flickr30k_images/results.csv", "captions.txt"];
const FOLDERS: [&str; 9] = [
    "Flicker8k_Dataset",
    "Flickr8k_Dataset",
    "Flickr8k_Dataset/Flicker8k_Dataset",
    "Flickr8k_Dataset/Flickr8k_Dataset",
    "flickr30k-images",
    "flickr30k_images/flickr30k_images",
    "flickr30k_images",
    "Images",
    "images",
];
const MAX_LINE_BYTES: u64 = 1 << 20;

/// The format.
pub(super) struct Flickr;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// Where the pictures lie, relative to the source.
    images: Option<String>,
    karpathy: Option<PathBuf>,
}

/// A line of any of the files.
struct Caption {
    place: Place,
    file: String,
    text: String,
}

type Captions<'a> = Box<dyn Iterator<Item = Result<Caption, Failure>> + 'a>;

impl Format for Flickr {
    fn name(&self) -> &'static str {
        "flickr"
    }

    fn about(&self) -> &'static str {
        "Flickr8k and Flickr30k: the .token file or results.csv, and the pictures' folder beside it"
    }

    fn read<'a>(&self, source: &'a Source, options: &Value) -> Result<RawItems<'a>, ImportError> {
        let Options { images, karpathy } = parse_options("flickr", options)?;
        let named = source.named_file().map(str::to_owned);
        let file =
            named.or_else(|| source.first_file(&TOKEN_FILES)).or_else(|| source.first_file(&TABLE_FILES));
        let Some(file) = file else {
            return Err(source
                .unfit("expected Flickr8k.token.txt, results_20130124.token, results.csv or captions.txt"));
        };
        let captions = captions(source, &file)?;
        let folder = images
            .or_else(|| FOLDERS.iter().find(|folder| source.has_folder(folder)).map(|f| (*f).to_owned()));
        let splits = match karpathy {
            Some(path) => Splits::Karpathy(Karpathy::read(&path)?),
            None => Splits::Lists(listed_splits(source, folder_of(&file))?),
        };
        Ok(Box::new(Grouped { captions: captions.peekable(), folder, splits }))
    }
}

fn captions<'a>(source: &'a Source, file: &str) -> Result<Captions<'a>, ImportError> {
    let dialect = match file {
        _ if file.ends_with(".csv") => Some(Dialect::BARS),
        _ if file[folder_of(file).len()..].starts_with("captions") => Some(Dialect::CSV),
        _ => None,
    };
    let Some(dialect) = dialect else {
        let lines = Lines::open(source, file, MAX_LINE_BYTES)?;
        return Ok(Box::new(lines.map(|line| line.and_then(|(place, text)| token(place, &text)))));
    };
    let (file_column, text_column) =
        if dialect.delimiter == b'|' { ("image_name", "comment") } else { ("image", "caption") };
    let table = Table::open(source, file, dialect, &[file_column, text_column], MAX_LINE_BYTES)?;
    Ok(Box::new(table.map(move |row| {
        let row = row?;
        let (file, text) = (row.need(file_column)?.to_owned(), row.need(text_column)?.to_owned());
        Ok(Caption { place: row.place, file, text })
    })))
}

/// `1000268201_693b08cb0e.jpg#0<TAB>A child in a pink dress .`
fn token(place: Place, line: &str) -> Result<Caption, Failure> {
    let parts = line.split_once('\t').and_then(|(name, text)| Some((name.rsplit_once('#')?.0, text)));
    match parts {
        Some((file, text)) if !file.is_empty() => {
            Ok(Caption { place, file: file.trim().to_owned(), text: text.to_owned() })
        }
        _ => Err(Failure::at(place, format!("expected NAME.jpg#NUMBER, a tab and a caption, got {line:?}"))),
    }
}

enum Splits {
    Karpathy(Karpathy),
    /// By file name; empty where there are no lists.
    Lists(HashMap<String, Split>),
}

impl Splits {
    fn split(&self, file: &str) -> Result<Option<Split>, String> {
        match self {
            Self::Karpathy(karpathy) => karpathy.split(file).map(Some),
            Self::Lists(lists) if lists.is_empty() => Ok(None),
            Self::Lists(lists) => lists.get(file).copied().map(Some).ok_or_else(|| {
                "expected it in one of the lists of training, dev and test pictures".to_owned()
            }),
        }
    }
}

fn listed_splits(source: &Source, folder: &str) -> Result<HashMap<String, Split>, ImportError> {
    let mut splits = HashMap::new();
    for part in ["train", "dev", "test"] {
        let file = format!("{folder}Flickr_8k.{part}Images.txt");
        let (Some(split), Some(_)) = (split_of_name(part), source.first_file(&[&file])) else { continue };
        for line in Lines::open(source, &file, MAX_LINE_BYTES)? {
            let (_, name) = line.map_err(|failure| ImportError::Strict { failure: Box::new(failure) })?;
            splits.insert(name.trim().to_owned(), split);
        }
    }
    Ok(splits)
}

/// The lines about one picture as one sample.
struct Grouped<'a> {
    captions: Peekable<Captions<'a>>,
    folder: Option<String>,
    splits: Splits,
}

impl Iterator for Grouped<'_> {
    type Item = Result<RawSample, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = match self.captions.next()? {
            Ok(caption) => caption,
            Err(failure) => return Some(Err(failure)),
        };
        let mut raw = RawSample::new(without_extension(&first.file), first.place.clone());
        raw.texts.push(first.text);
        let is_same =
            |next: &Result<Caption, Failure>| next.as_ref().is_ok_and(|next| next.file == first.file);
        while let Some(Ok(next)) = self.captions.next_if(is_same) {
            raw.texts.push(next.text);
        }
        match self.splits.split(&first.file) {
            Ok(split) => raw.split = split,
            Err(reason) => return Some(Err(Failure::of(first.file, first.place, reason))),
        }
        let path = match &self.folder {
            Some(folder) => format!("{}/{}", folder.trim_end_matches('/'), first.file),
            None => first.file,
        };
        raw.image = Some(RawMedia::File(path));
        Some(Ok(raw))
    }
}
