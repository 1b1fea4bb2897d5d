//! A small source in the layout of every format, of any items.

use serde_json::json;

use super::table::parquet;

/// What an item's picture or sound is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carries {
    Picture,
    Sound,
    Nothing,
}

/// An item of a source.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) words: Vec<u8>,
    /// None where there is no file, only its name in the listing.
    pub(super) media: Option<Vec<u8>>,
}

/// Where words and names come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listing {
    /// A line each.
    Lines,
    /// One document: a wrong byte in it is a wrong document.
    Document,
    /// A file each, without a list.
    Files,
    /// Inside an archive or a table, where names are no paths.
    Packed,
}

/// Files by their names.
pub(super) type Files = Vec<(String, Vec<u8>)>;

pub(super) struct Layout {
    pub(super) format: &'static str,
    pub(super) carries: Carries,
    pub(super) listing: Listing,
    /// Where an item's picture or sound lies.
    pub(super) place: fn(&str) -> String,
    /// What is written about the items.
    pub(super) about: fn(&[Item]) -> Files,
    /// How many folders up from where names count from is the source.
    pub(super) n_below: usize,
}

/// A line of bytes for each item.
fn lines(items: &[Item], head: &str, line: impl Fn(&str) -> (String, String)) -> Vec<u8> {
    let mut bytes = head.as_bytes().to_vec();
    for item in items {
        let (before, after) = line(&item.name);
        bytes.extend([before.as_bytes(), &item.words, after.as_bytes(), b"\n"].concat());
    }
    bytes
}

fn one(name: &str, bytes: Vec<u8>) -> Files {
    vec![(name.to_owned(), bytes)]
}

fn pair(before: String, after: &str) -> (String, String) {
    (before, after.to_owned())
}

/// JSON with the words as they are, which may be no UTF-8.
fn spliced(document: &serde_json::Value, items: &[Item]) -> Vec<u8> {
    let mut bytes = document.to_string().into_bytes();
    for (idx, item) in items.iter().enumerate() {
        let mark = format!("<{idx}>").into_bytes();
        while let Some(at) = bytes.windows(mark.len()).position(|part| part == mark) {
            bytes.splice(at..at + mark.len(), item.words.iter().copied());
        }
    }
    bytes
}

pub(super) fn archive(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, &bytes[..]).expect("memory takes it");
    }
    archive.into_inner().expect("memory takes it")
}

fn shards(items: &[Item], ending: &str) -> Files {
    let mut members = Vec::new();
    for Item { name, words, media } in items {
        members.extend(media.iter().map(|bytes| (format!("{name}.{ending}"), bytes.clone())));
        members.push((format!("{name}.txt"), words.clone()));
    }
    one("x.tar", archive(&members))
}

/// Every format; those that take pictures and sounds once for each.
pub(super) static LAYOUTS: &[Layout] = &[
    Layout {
        format: "manifest",
        carries: Carries::Picture,
        listing: Listing::Lines,
        place: |name| format!("p/{name}.png"),
        about: |items| {
            let line = |name: &str| {
                pair(
                    format!(
                        "{{\"id\": {}, \"image\": {}, \"text\": \"",
                        json!(name),
                        json!(format!("p/{name}.png"))
                    ),
                    "\"}",
                )
            };
            one("manifest.jsonl", lines(items, "", line))
        },
        n_below: 1,
    },
    Layout {
        format: "manifest",
        carries: Carries::Sound,
        listing: Listing::Lines,
        place: |name| format!("{name}.wav"),
        about: |items| {
            let line = |name: &str| {
                pair(
                    format!(
                        "{{\"id\": {}, \"audio\": {}, \"text\": \"",
                        json!(name),
                        json!(format!("{name}.wav"))
                    ),
                    "\"}",
                )
            };
            one("manifest.jsonl", lines(items, "", line))
        },
        n_below: 0,
    },
    Layout {
        format: "images",
        carries: Carries::Picture,
        listing: Listing::Lines,
        place: |name| format!("{name}.png"),
        about: |items| {
            one("metadata.csv", lines(items, "file_name,text\n", |name| pair(format!("{name}.png,"), "")))
        },
        n_below: 0,
    },
    // captions beside the pictures
    Layout {
        format: "images",
        carries: Carries::Picture,
        listing: Listing::Files,
        place: |name| format!("{name}.png"),
        about: |items| items.iter().map(|item| (format!("{}.txt", item.name), item.words.clone())).collect(),
        n_below: 0,
    },
    Layout {
        format: "coco",
        carries: Carries::Picture,
        listing: Listing::Document,
        place: |name| format!("val2017/{name}.png"),
        about: |items| {
            let image =
                |(id, item): (usize, &Item)| json!({"id": id, "file_name": format!("{}.png", item.name)});
            let images: Vec<_> = items.iter().enumerate().map(image).collect();
            let annotation = |id| json!({"image_id": id, "caption": format!("<{id}>")});
            let annotations: Vec<_> = (0..items.len()).map(annotation).collect();
            let document = json!({"images": images, "annotations": annotations});
            one("annotations/captions_val2017.json", spliced(&document, items))
        },
        n_below: 1,
    },
    Layout {
        format: "flickr",
        carries: Carries::Picture,
        listing: Listing::Lines,
        place: |name| format!("Images/{name}.png"),
        about: |items| {
            one("Flickr8k.token.txt", lines(items, "", |name| pair(format!("{name}.png#0\t"), "")))
        },
        n_below: 1,
    },
    Layout {
        format: "librispeech",
        carries: Carries::Sound,
        listing: Listing::Lines,
        place: |name| format!("dev-clean/1/2/{name}.flac"),
        about: |items| {
            one("dev-clean/1/2/1-2.trans.txt", lines(items, "", |name| pair(format!("{name} "), "")))
        },
        n_below: 3,
    },
    Layout {
        format: "commonvoice",
        carries: Carries::Sound,
        listing: Listing::Lines,
        place: |name| format!("clips/{name}.mp3"),
        about: |items| {
            let head = "client_id\tpath\tsentence\n";
            one("dev.tsv", lines(items, head, |name| pair(format!("1\t{name}.mp3\t"), "")))
        },
        n_below: 1,
    },
    Layout {
        format: "ljspeech",
        carries: Carries::Sound,
        listing: Listing::Lines,
        place: |name| format!("wavs/{name}.wav"),
        about: |items| one("metadata.csv", lines(items, "", |name| pair(format!("{name}|"), ""))),
        n_below: 1,
    },
    Layout {
        format: "webdataset",
        carries: Carries::Picture,
        listing: Listing::Packed,
        place: |_| String::new(),
        about: |items| shards(items, "png"),
        n_below: 0,
    },
    Layout {
        format: "webdataset",
        carries: Carries::Sound,
        listing: Listing::Packed,
        place: |_| String::new(),
        about: |items| shards(items, "wav"),
        n_below: 0,
    },
    Layout {
        format: "parquet",
        carries: Carries::Picture,
        listing: Listing::Packed,
        place: |name| format!("{name}.png"),
        about: |items| one("x.parquet", parquet("image", items, |item| Some(format!("{}.png", item.name)))),
        n_below: 0,
    },
    Layout {
        format: "parquet",
        carries: Carries::Sound,
        listing: Listing::Packed,
        place: |name| format!("{name}.wav"),
        about: |items| one("x.parquet", parquet("audio", items, |item| Some(format!("{}.wav", item.name)))),
        n_below: 0,
    },
    Layout {
        format: "text",
        carries: Carries::Nothing,
        listing: Listing::Lines,
        place: |_| String::new(),
        about: |items| one("a.txt", lines(items, "", |_| pair(String::new(), ""))),
        n_below: 0,
    },
    Layout {
        format: "tuxpaint",
        carries: Carries::Picture,
        listing: Listing::Files,
        place: |name| format!("things/{name}.png"),
        about: |items| {
            items.iter().map(|item| (format!("things/{}.txt", item.name), item.words.clone())).collect()
        },
        n_below: 1,
    },
    // spoken captions alone
    Layout {
        format: "tuxpaint",
        carries: Carries::Sound,
        listing: Listing::Files,
        place: |name| format!("things/{name}_desc_fr.ogg"),
        about: |items| {
            let caption = |item: &Item| [b"A thing.\nfr.utf8=", &item.words[..], b"\n"].concat();
            items.iter().map(|item| (format!("things/{}.txt", item.name), caption(item))).collect()
        },
        n_below: 1,
    },
    Layout {
        format: "asterisk",
        carries: Carries::Sound,
        listing: Listing::Lines,
        place: |name| format!("{name}.wav"),
        about: |items| {
            one("core-sounds-en.txt", lines(items, "; prompts\n", |name| pair(format!("{name}: "), "")))
        },
        n_below: 0,
    },
    Layout {
        format: "fillets",
        carries: Carries::Sound,
        listing: Listing::Document,
        place: |name| format!("sound/l/cs/{name}.ogg"),
        about: |items| {
            let line = |name: &str| pair(format!("dialogId(\"{name}\", \"f\", \"E\")\ndialogStr(\""), "\")");
            one("script/l/dialogs_cs.lua", lines(items, "", line))
        },
        n_below: 3,
    },
];
