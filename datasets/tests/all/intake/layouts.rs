//! Pictures with captions, and plain text, in the layouts that people bring.

use serde_json::json;
use triptych_datasets::image::decode;
use triptych_datasets::sample::Split;

use super::{Bench, jpeg, picture};

#[test]
fn image_folder_takes_captions_beside_the_pictures() {
    let bench = Bench::new();
    bench
        .put("train/cat.jpg", jpeg(10))
        .put("train/cat.txt", "\u{feff}a cat\r\nan animal\r\n\r\n")
        .put("val/dog.b.PNG", picture(1, 1))
        .put("deep/er/none.webp", jpeg(20))
        .put("notes.md", "no picture")
        .put(".hidden.png", "not looked at");
    let imported = bench.import("images");
    imported.assert_clean();
    assert_eq!(imported.samples.len(), 3);
    let cat = imported.sample("train/cat");
    assert_eq!((cat.split, cat.texts.join("|").as_str()), (Split::Train, "a cat|an animal"));
    assert_eq!(cat.tags["folder"], "train");
    // a JPEG that calls itself WebP is stored as what it is
    let none = imported.sample("deep/er/none");
    assert_eq!(none.image.as_ref().map(|image| image.extension.as_str()), Some("jpg"));
    let dog =
        imported.samples.iter().find(|sample| sample.split == Split::Validation).expect("val is a split");
    assert_eq!(dog.tags["source_id"], "val/dog.b");
}

#[test]
fn image_folder_follows_metadata_as_hugging_face_does() {
    let bench = Bench::new();
    for name in ["train/a.png", "train/b.png", "test/c.png"] {
        bench.put(name, picture(3, 0));
    }
    bench.put(
        "train/metadata.csv",
        "file_name,text,label\na.png,\"a, thing\",3\nb.png,b,4\nb.png,again,4\nz.png,gone,1\n,x,1\n",
    );
    bench.put(
        "test/metadata.jsonl",
        "{\"file_name\": \"c.png\", \"text\": [\"one\", \"two\"], \"box\": [1]}\n{]\n",
    );
    let imported = bench.import("images");
    assert_eq!(imported.ids(), ["test/c", "train/a", "train/b"]);
    assert_eq!(imported.sample("train/a").texts, ["a, thing"]);
    assert_eq!(imported.sample("train/a").tags["label"], "3");
    assert_eq!(imported.sample("train/b").texts, ["b", "again"]);
    assert_eq!(imported.sample("test/c").texts, ["one", "two"]);
    assert_eq!(imported.sample("test/c").split, Split::Test);
    assert!(
        imported.reason(5).contains("there is none") && imported.reason(6).contains("expected a path in")
    );
    assert_eq!(imported.ledger.len(), 3);
}

#[test]
fn captions_csv_may_be_named_itself_and_may_have_other_columns() {
    let bench = Bench::new();
    bench.put("p/a.png", picture(3, 0)).put("captions.csv", "image,caption,split\np/a.png,hello,test\n");
    let summary = bench.import_file("images", "captions.csv").expect("it is well formed");
    assert_eq!((summary.n_texts, summary.splits.get(&Split::Test)), (1, Some(&1)));
    bench.put("captions.csv", "picture,words\np/a.png,hello\n");
    let error = bench.import_file("images", "captions.csv").expect_err("no column names a file");
    assert!(
        error.to_string().contains("captions.csv, line 1: expected a column file_name or image"),
        "{error}"
    );
}

/// Two pictures of training, two of validation, with an annotation that is broken and a picture without any.
fn coco(bench: &Bench) {
    for (part, ids) in [("train2014", [9, 25]), ("val2014", [42, 73])] {
        let name = |id: u32| format!("COCO_{part}_{id:012}.jpg");
        let mut images: Vec<_> =
            ids.iter().map(|id| json!({"id": id, "file_name": name(*id), "height": 12})).collect();
        let mut annotations: Vec<_> = ids
            .iter()
            .flat_map(|id| {
                (0..5).map(
                    move |n| json!({"image_id": id, "id": id * 10 + n, "caption": format!("{id} by {n}")}),
                )
            })
            .collect();
        if part == "train2014" {
            images.push(json!({"id": 99, "file_name": "none.jpg"}));
            annotations.push(json!({"image_id": "nine", "caption": "x"}));
        }
        for id in ids {
            bench.put(&format!("{part}/{}", name(id)), jpeg(id as u8));
        }
        let document =
            json!({"info": {"year": 2014}, "licenses": [], "images": images, "annotations": annotations});
        bench.put(&format!("annotations/captions_{part}.json"), document.to_string());
    }
    bench.put("annotations/instances_val2014.json", "{}");
}

#[test]
fn coco_joins_captions_to_pictures() {
    let bench = Bench::new();
    coco(&bench);
    let imported = bench.import("coco");
    assert_eq!(imported.samples.len(), 4);
    let nine = imported.sample("COCO_train2014_000000000009");
    assert_eq!((nine.split, nine.texts.len(), nine.texts[4].as_str()), (Split::Train, 5, "9 by 4"));
    assert_eq!(imported.sample("COCO_val2014_000000000073").split, Split::Validation);
    let reasons: Vec<_> =
        imported.ledger.iter().map(|row| (row["part"].clone(), row["file"].clone())).collect();
    let file = json!("annotations/captions_train2014.json");
    assert_eq!(reasons, [(json!("annotations[10]"), file.clone()), (json!("images[2]"), file)]);
}

#[test]
fn coco_takes_the_splits_of_karpathy() {
    let bench = Bench::new();
    coco(&bench);
    let image = |name: &str, split: &str| json!({"filename": name, "filepath": "x", "split": split, "sentids": [], "sentences": []});
    let karpathy = json!({"dataset": "coco", "images": [
        image("COCO_train2014_000000000009.jpg", "train"),
        image("COCO_val2014_000000000042.jpg", "restval"),
        image("COCO_val2014_000000000073.jpg", "test"),
    ]});
    let path = bench.out().with_file_name("dataset_coco.json");
    std::fs::write(&path, karpathy.to_string()).expect("the folder is writable");
    let imported = bench.import_with("coco", json!({"karpathy": path}));
    let split = |id: &str| imported.sample(id).split;
    assert_eq!(split("COCO_train2014_000000000009"), Split::Train);
    assert_eq!(split("COCO_val2014_000000000042"), Split::Train);
    assert_eq!(split("COCO_val2014_000000000073"), Split::Test);
    assert!(imported.ledger.iter().any(|row| row["reason"].as_str().is_some_and(|r| r.contains("Karpathy"))));
    std::fs::write(&path, "{\"images\": [{\"filename\": \"a\", \"split\": \"monday\"}]}").expect("writable");
    let wrong = bench.try_import("coco", &bench.source(), &json!({"karpathy": path}), |_| {});
    assert!(
        wrong.is_err_and(|e| e.to_string().contains("expected train, restval, val or test, got \"monday\""))
    );
}

#[test]
fn flickr_8k_reads_tokens_and_lists() {
    let bench = Bench::new();
    for (idx, name) in ["1_a.jpg", "2_b.jpg", "3_c.jpg"].iter().enumerate() {
        bench.put(&format!("Flicker8k_Dataset/{name}"), jpeg(idx as u8));
    }
    let mut tokens = String::new();
    for name in ["1_a.jpg", "2_b.jpg", "3_c.jpg", "4_gone.jpg"] {
        (0..5).for_each(|n| tokens += &format!("{name}#{n}\tA thing {n} .\n"));
    }
    tokens += "no tab here\n";
    bench.put("Flickr8k.token.txt", tokens);
    bench
        .put("Flickr_8k.trainImages.txt", "1_a.jpg\n")
        .put("Flickr_8k.devImages.txt", "2_b.jpg\r\n4_gone.jpg\r\n");
    bench.put("Flickr_8k.testImages.txt", "3_c.jpg\n");
    let imported = bench.import("flickr");
    assert_eq!(imported.ids(), ["1_a", "2_b", "3_c"]);
    assert!(imported.samples.iter().all(|sample| sample.texts.len() == 5));
    let splits: Vec<Split> = imported.samples.iter().map(|sample| sample.split).collect();
    assert_eq!(splits, [Split::Train, Split::Validation, Split::Test]);
    assert!(
        imported.reason(16).contains("there is none") && imported.reason(21).contains("a tab and a caption")
    );
}

#[test]
fn flickr_30k_reads_results_and_kaggle_captions() {
    let bench = Bench::new();
    bench.put("flickr30k_images/36979.jpg", jpeg(1));
    bench.put("results.csv", "image_name| comment_number| comment\n36979.jpg| 0| Two \"dogs\" .\n36979.jpg| 1| Dogs .\n36979.jpg| 4   A broken one\n");
    let imported = bench.import("flickr");
    assert_eq!(imported.sample("36979").texts, ["Two \"dogs\" .", "Dogs ."]);
    assert!(imported.reason(4).contains("expected 3 cells"));

    let bench = Bench::new();
    bench
        .put("Images/1.jpg", jpeg(1))
        .put("captions.txt", "image,caption\n1.jpg,\"one, two\"\n1.jpg,three\n");
    assert_eq!(bench.import("flickr").assert_clean().sample("1").texts, ["one, two", "three"]);
}

#[test]
fn text_comes_by_line_paragraph_or_file() {
    let bench = Bench::new();
    bench
        .put("train/a.txt", "one\n two \n\nthree\r\n")
        .put("b.txt.zst", zstd::encode_all(&b"four\nfive"[..], 1).expect("ok"));
    let texts = |options| -> Vec<(String, String)> {
        let imported = bench.import_with("text", options);
        imported.assert_clean();
        imported.samples.iter().map(|sample| (sample.id.clone(), sample.texts[0].clone())).collect()
    };
    let pairs = |list: &[(&str, &str)]| {
        list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(
        texts(json!({})),
        pairs(&[
            ("b/000000001", "four"),
            ("b/000000002", "five"),
            ("train/a/000000001", "one"),
            ("train/a/000000002", "two"),
            ("train/a/000000004", "three"),
        ])
    );
    let paragraphs = texts(json!({"unit": "paragraph"}));
    assert_eq!(paragraphs[1..], pairs(&[("train/a/000000001", "one two"), ("train/a/000000004", "three")]));
    assert_eq!(
        texts(json!({"unit": "file"})),
        pairs(&[("b", "four\nfive"), ("train/a", "one\n two\n\nthree")])
    );
}

#[test]
fn pictures_arrive_as_they_were() {
    let bench = Bench::new();
    bench.put("a.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"4\" height=\"4\"><rect width=\"4\" height=\"4\"/></svg>");
    let imported = bench.import("images");
    let image = imported.sample("a").image.clone().expect("it has a picture");
    assert_eq!(image.extension, "svg");
    assert!(decode(&image.bytes, "svg").is_ok());
}
