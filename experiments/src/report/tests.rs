//! The page as a whole, over made-up inputs.

use super::{ReportInputs, SearchQuery, Series, write};

pub(super) mod markup;
pub(super) mod sample;

fn page(inputs: &ReportInputs) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    write(inputs, &path).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside the report");
    std::fs::read_to_string(path).unwrap()
}

/// The sample with every text that a page prints replaced by one made to break it.
fn hostile() -> ReportInputs {
    let bad = || sample::HOSTILE.to_owned();
    let mut inputs = sample::inputs();
    inputs.run.name = bad();
    inputs.run.title = bad();
    inputs.run.summary = bad();
    inputs.run.facts.iter_mut().for_each(|fact| (fact.label, fact.value) = (bad(), bad()));
    (inputs.machine.cpu, inputs.machine.os, inputs.machine.device) = (bad(), bad(), bad());
    inputs.stages[0].name = bad();
    inputs.config_toml = bad();
    inputs.notes = vec![bad()];
    inputs.losses.iter_mut().for_each(|series| (series.name, series.unit) = (bad(), bad()));
    for score in &mut inputs.scores[..5] {
        (score.holdout, score.name, score.unit) = (bad(), bad(), bad());
        (score.task, score.query, score.target) = (bad(), Some(bad()), Some(bad()));
    }
    for table in &mut inputs.classes {
        (table.task, table.holdout, table.query) = (bad(), bad(), bad());
        (table.target, table.remark) = (bad(), bad());
        table.classes.iter_mut().for_each(|class| class.name = bad());
        table
            .confusions
            .iter_mut()
            .for_each(|confusion| (confusion.label, confusion.predicted) = (bad(), bad()));
    }
    for item in &mut inputs.captions.items {
        (item.hypothesis, item.references, item.holdout) = (bad(), vec![bad(), bad()], bad());
    }
    for item in &mut inputs.answers.items {
        (item.question, item.hypothesis, item.holdout) = (bad(), bad(), bad());
        item.references = vec![(bad(), 2), (bad(), 1)];
    }
    for item in &mut inputs.transcripts.items {
        (item.hypothesis, item.reference, item.holdout, item.voice) = (bad(), bad(), bad(), bad());
    }
    for item in &mut inputs.searches.items {
        item.holdout = bad();
        item.results.iter_mut().for_each(|result| result.caption = bad());
        match &mut item.query {
            SearchQuery::Text(text) | SearchQuery::Speech { text, .. } | SearchQuery::Image { text, .. } => {
                *text = bad()
            }
        }
    }
    for row in &mut inputs.ledger {
        (row.part, row.source, row.version) = (bad(), bad(), bad());
        (row.licence, row.attribution) = (bad(), bad());
    }
    inputs.next_steps.iter_mut().for_each(|step| (step.command, step.purpose) = (bad(), bad()));
    inputs
}

#[test]
fn the_page_keeps_its_structure() {
    let tags = markup::parse(&page(&sample::inputs())).unwrap();
    insta::assert_snapshot!(markup::outline(&tags));
}

#[test]
fn every_tag_closes_whatever_is_present_or_absent() {
    let full = sample::inputs();
    let variants = [
        ReportInputs::default(),
        ReportInputs { scores: Vec::new(), captions: Default::default(), ..full.clone() },
        ReportInputs { answers: Default::default(), ..full.clone() },
        ReportInputs { machine: Default::default(), losses: vec![Series::default()], ..full.clone() },
        ReportInputs { searches: Default::default(), stages: Vec::new(), notes: Vec::new(), ..full.clone() },
        hostile(),
    ];
    for (index, inputs) in variants.iter().enumerate() {
        if let Err(fault) = markup::parse(&page(inputs)) {
            panic!("variant {index}: {fault}");
        }
    }
}

#[test]
fn an_empty_run_gives_a_page_without_sections() {
    let page = page(&ReportInputs::default());
    let tags = markup::parse(&page).unwrap();
    assert!(!tags.iter().any(|tag| tag.name == "section"));
    assert!(page.contains("<h1>Triptych run</h1>"));
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    for inputs in [sample::inputs(), hostile()] {
        let page = page(&inputs);
        for tag in markup::parse(&page).unwrap() {
            assert!(!matches!(tag.name.as_str(), "link" | "iframe" | "object" | "embed" | "base"), "{tag:?}");
            for (key, value) in &tag.attributes {
                match key.as_str() {
                    "src" => assert!(
                        value.starts_with("data:image/png;base64,")
                            || value.starts_with("data:audio/wav;base64,")
                    ),
                    "href" => assert!(value.starts_with('#'), "{tag:?}"),
                    "srcset" | "action" | "data" | "poster" | "xlink:href" => panic!("{tag:?}"),
                    handler => assert!(!handler.starts_with("on"), "{tag:?}"),
                }
            }
        }
        let style = &page[page.find("<style>").unwrap()..page.find("</style>").unwrap()];
        assert!(!style.contains("url(") && !style.contains("@import"));
    }
}

#[test]
fn hostile_texts_are_printed_and_not_obeyed() {
    let page = page(&hostile());
    let tags = markup::parse(&page).unwrap();
    assert_eq!(tags.iter().filter(|tag| tag.name == "script").count(), 1, "only the page's own script");
    assert!(!page.contains("<img src=http") && !page.contains("alert(\"x\")"));
    let n_captions = tags.iter().filter(|tag| tag.name == "li" && tag.has("data-item")).count();
    let inputs = sample::inputs();
    let n_others = inputs.answers.items.len() + inputs.transcripts.items.len() + inputs.searches.items.len();
    assert_eq!(n_captions, 120 + n_others);
}

#[test]
fn pictures_and_sounds_are_whole_and_described() {
    let inputs = sample::inputs();
    let page = page(&inputs);
    let tags = markup::parse(&page).unwrap();
    let first = inputs.captions.items[0].image.to_string();
    assert!(tags.iter().any(|tag| tag.name == "img" && tag.value("src") == Some(&first)));
    for tag in &tags {
        match tag.name.as_str() {
            "img" => {
                let begins = ["picture of: ", "query picture of: ", "picture asked about: "];
                assert!(tag.value("alt").is_some_and(|alt| begins.iter().any(|begin| alt.starts_with(begin))))
            }
            "audio" => {
                assert!(tag.value("aria-label").is_some_and(|label| !label.is_empty()) && tag.has("controls"))
            }
            "th" => assert!(tag.has("scope"), "{tag:?}"),
            "svg" if tag.value("role").is_none() => assert!(
                tag.value("aria-hidden") == Some("true") || tag.value("overflow") == Some("visible"),
                "{tag:?}"
            ),
            _ => {}
        }
    }
    let n_synthetic = inputs.transcripts.items.iter().filter(|item| item.synthetic).count()
        + inputs
            .searches
            .items
            .iter()
            .filter(|item| matches!(item.query, SearchQuery::Speech { .. }))
            .count();
    assert_eq!(page.matches(">synthetic speech<").count(), n_synthetic);
    assert!(page.contains("of 160 captions"));
}

#[test]
fn the_worst_classes_come_first_and_the_best_of_many_are_left_out() {
    let page = page(&sample::inputs());
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is not on the page"));
    let probe = place("Linear probe, image encoder → category, unseen style");
    assert!(place("Zero-shot classification, image → category, unseen style") < probe);
    let probe = &page[probe..];
    assert!(probe.contains("The worst 120 of 139 classes. Classes without a sample here: 1."));
    assert!(probe.find(">class 0<") < probe.find(">class 60<") && !probe.contains(">class 138<"));
    assert!(probe.contains("0 of 20") && probe.contains("[0.0, 16.1]"));
    assert!(probe.contains("The most frequent of 70 confusions."));
}

#[test]
fn every_anchor_leads_somewhere_and_names_are_unique() {
    let tags = markup::parse(&page(&sample::inputs())).unwrap();
    let mut ids: Vec<&str> = tags.iter().filter_map(|tag| tag.value("id")).collect();
    for href in tags.iter().filter_map(|tag| tag.value("href")) {
        assert!(ids.contains(&&href[1..]), "{href}");
    }
    let n_ids = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), n_ids);
}

#[test]
fn a_report_that_cannot_be_written_names_its_file_and_leaves_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing").join("report.html");
    let message = write(&ReportInputs::default(), &missing).unwrap_err().to_string();
    assert!(message.contains("missing") && message.contains("report.html: "), "{message}");

    let occupied = folder.path().join("report.html");
    std::fs::create_dir_all(occupied.join("inside")).unwrap();
    write(&ReportInputs::default(), &occupied).unwrap_err();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no partial file is left");
}

#[test]
fn inputs_survive_a_round_trip_as_json() {
    let mut inputs = sample::inputs();
    // JSON has no word for a value that is not finite, and its reader may be off by the last bit of the others
    inputs.losses =
        vec![Series { name: "total".into(), unit: "nats".into(), points: vec![(0.0, 2.5), (10.0, 0.125)] }];
    inputs.progress.clear();
    inputs.scores.clear();
    inputs
        .searches
        .items
        .iter_mut()
        .flat_map(|item| &mut item.results)
        .for_each(|result| result.similarity = 0.5);
    let json = serde_json::to_string(&inputs).unwrap();
    assert_eq!(serde_json::from_str::<ReportInputs>(&json).unwrap(), inputs);
}

#[test]
fn the_terminal_summary_keeps_its_form() {
    insta::assert_snapshot!(super::text_summary(&sample::inputs().scores));
    assert_eq!(super::text_summary(&[]), "no scores\n");
}
