//! Recordings with transcripts.

use serde_json::json;
use triptych_datasets::sample::Split;

use super::{Bench, picture, tone};

/// A FLAC file is not written here: what LibriSpeech calls FLAC may hold anything that is decoded by its content.
#[test]
fn librispeech_reads_chapters_speakers_and_parts() {
    let bench = Bench::new();
    bench.put("SPEAKERS.TXT", ";ID  |SEX| SUBSET\n84   | F | dev-clean        |  8.02 | Christie Nowak\n");
    bench.put(
        "dev-clean/84/121123/84-121123.trans.txt",
        "84-121123-0000 GO DO YOU HEAR\n84-121123-0001 BUT IN LESS\nlonely\n",
    );
    bench.put("dev-clean/84/121123/84-121123-0000.flac", tone(1, 0));
    bench.put("train-clean-100/19/198/19-198.trans.txt", "19-198-0000 NORTHANGER ABBEY\n");
    bench.put("train-clean-100/19/198/19-198-0000.flac", tone(2, 0));
    let imported = bench.import("librispeech");
    assert_eq!(imported.ids(), ["84-121123-0000", "19-198-0000"]);
    let first = imported.sample("84-121123-0000");
    assert_eq!((first.split, first.texts[0].as_str()), (Split::Validation, "GO DO YOU HEAR"));
    let tags = [
        ("speaker", "84"),
        ("chapter", "121123"),
        ("gender", "female"),
        ("part", "dev-clean"),
        ("language", "en"),
    ];
    tags.iter().for_each(|(key, value)| assert_eq!(first.tags[*key], *value));
    // a speaker is no group: two of her sentences do not mean the same
    assert_eq!(first.group, first.id);
    assert_eq!(imported.sample("19-198-0000").split, Split::Train);
    assert!(
        imported.reason(2).contains("there is none")
            && imported.reason(3).contains("a name, a space and words")
    );
}

#[test]
fn common_voice_reads_its_three_tables() {
    let bench = Bench::new();
    let header = "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccents\tlocale\tsegment\n";
    let row = |name: &str, words: &str| format!("c0ffee\t{name}\t{words}\t2\t0\tthirties\tfemale\t\ten\t\n");
    bench.put(
        "train.tsv",
        format!("{header}{}{}", row("a.mp3", "She said \"no\"."), row("gone.mp3", "Lost.")),
    );
    bench.put("dev.tsv", format!("{header}{}", row("b", "Old release.")));
    bench.put("test.tsv", format!("{header}short\trow\n{}", row("c.mp3", "Test.")));
    for name in ["a", "b", "c"] {
        bench.put(&format!("clips/{name}.mp3"), tone(3, 1));
    }
    let imported = bench.import("commonvoice");
    assert_eq!(imported.ids(), ["a", "b", "c"]);
    let a = imported.sample("a");
    assert_eq!((a.texts[0].as_str(), a.split), ("She said \"no\".", Split::Train));
    assert_eq!(
        (a.tags["speaker"].as_str(), a.tags["language"].as_str(), a.tags.get("accent")),
        ("c0ffee", "en", None)
    );
    assert_eq!(imported.ledger.len(), 2);
    bench.put("train.tsv", "client_id\tfile\n1\t2\n");
    let imported = bench.import("commonvoice");
    assert_eq!(imported.ids(), ["b", "c"]);
    assert!(
        imported.ledger[0]["reason"]
            .as_str()
            .is_some_and(|r| r.contains("expected a column `path`, got client_id, file"))
    );
}

#[test]
fn lj_speech_puts_the_spoken_words_first() {
    let bench = Bench::new();
    bench.put("metadata.csv", "LJ001-0001|Printed in 1455|Printed in fourteen fifty-five\nLJ001-0002|Same|Same\nLJ001-0003|Only \"printed\"\n|\n");
    for n in 1..=3 {
        bench.put(&format!("wavs/LJ001-000{n}.wav"), tone(n, 0));
    }
    let imported = bench.import("ljspeech");
    assert_eq!(imported.sample("LJ001-0001").texts, ["Printed in fourteen fifty-five", "Printed in 1455"]);
    assert_eq!(imported.sample("LJ001-0002").texts, ["Same"]);
    assert_eq!(imported.sample("LJ001-0003").texts, ["Only \"printed\""]);
    assert!(imported.reason(4).contains("expected NAME|printed|spoken"));
}

#[test]
fn tux_paint_groups_a_picture_with_what_is_said_of_it() {
    let bench = Bench::new();
    bench
        .put("animals/fox.png", picture(1, 0))
        .put("animals/fox.txt", "A Red fox.\nfr.utf8=Un renard.\nru.utf8=\u{41b}\u{438}\u{441}\u{430}.\n");
    bench
        .put("animals/fox_desc_fr.ogg", tone(1, 0))
        .put("animals/fox_desc_ca.ogg", tone(1, 1))
        .put("animals/fox_desc.ogg", tone(1, 1));
    bench.put("animals/fox2.png", picture(1, 1)).put("animals/fox2.txt", "a red fox\n");
    bench
        .put("symbols/a.png", picture(2, 0))
        .put("symbols/a.txt", "The letter A.\n")
        .put("animals/empty.txt", "\n");
    let imported = bench.import("tuxpaint");
    assert_eq!(imported.ids(), ["animals/fox", "animals/fox/fr", "animals/fox2"]);
    assert!(imported.samples.iter().all(|sample| sample.group == "a red fox"));
    let splits: Vec<Split> = imported.samples.iter().map(|sample| sample.split).collect();
    assert!(splits.iter().all(|split| *split == splits[0]));
    let french = imported.sample("animals/fox/fr");
    assert_eq!((french.texts[0].as_str(), french.tags["language"].as_str()), ("Un renard.", "fr"));
    assert_eq!(imported.ledger.len(), 1);
    let more =
        bench.import_with("tuxpaint", json!({"symbols": true, "languages": ["fr", "en"], "speech": ["en"]}));
    assert_eq!(more.sample("animals/fox").texts, ["Un renard.", "A Red fox."]);
    assert_eq!(more.ids(), ["animals/fox", "animals/fox/en", "animals/fox2", "symbols/a"]);
    assert_eq!(more.summary.format, "tuxpaint");
}

#[test]
fn asterisk_finds_transcripts_and_voice_below_usr_share() {
    let bench = Bench::new();
    let transcripts = "; Core Sounds\n\nactivated: Activated.\nbeep: [a tone]\ndigits/1: one\ngone: Gone.\nvm-Old: old: folder\nbroken\n";
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, transcripts.as_bytes()).expect("memory takes it");
    bench.put("doc/asterisk-core-sounds-en/core-sounds-en.txt.gz", packed.finish().expect("memory takes it"));
    for name in ["activated", "digits/1", "beep", "vm-Old"] {
        bench.put(&format!("asterisk/sounds/en_US_f_Allison/{name}.wav"), tone(1, 0));
    }
    let imported = bench.import("asterisk");
    assert_eq!(imported.ids(), ["activated", "digits/1", "vm-Old"]);
    assert_eq!(imported.sample("activated").texts, ["Activated."]);
    assert_eq!(imported.sample("digits/1").tags["speaker"], "Allison");
    assert_eq!(imported.ledger.len(), 2);
    // the folder of the sounds alone, with transcripts from elsewhere
    let path = bench.out().with_file_name("words.txt");
    std::fs::write(&path, transcripts).expect("the folder is writable");
    let sounds = bench.source().join("asterisk/sounds/en_US_f_Allison");
    let options = json!({"transcripts": path});
    let summary = bench.try_import("asterisk", &sounds, &options, |_| {}).expect("all is there");
    assert_eq!(summary.n_sounds, 3);
    let error = bench.try_import("asterisk", &sounds, &json!({}), |_| {}).expect_err("no transcripts");
    assert!(error.to_string().contains("core-sounds-en.txt"), "{error}");
}

#[test]
fn fillets_pairs_both_languages_with_english() {
    let bench = Bench::new();
    let script = |said: &str| {
        format!(
            "\ndialogId(\"let-m\", \"font_small\", \"What \" ..\n  \"ship?\")\ndialogStr(\"{said}\")\n\ndialogId(\"mute\", \"font_big\", \"-\")\ndialogStr(\"-\")\ndialogId(\"half\", \"font_big\", \"x\")\n"
        )
    };
    for (language, said) in [("cs", "Co je to?"), ("nl", "Wat is dat?")] {
        bench.put(&format!("script/airplane/dialogs_{language}.lua"), script(said));
        bench.put(&format!("sound/airplane/{language}/let-m.ogg"), tone(1, 0));
    }
    bench.put("sound/airplane/cs/half.ogg", tone(1, 0)).put("script/empty/code.lua", "");
    let imported = bench.import("fillets");
    assert_eq!(imported.ids(), ["airplane/let-m/cs", "airplane/let-m/nl"]);
    let czech = imported.sample("airplane/let-m/cs");
    assert_eq!((czech.texts[0].as_str(), czech.tags["english"].as_str()), ("Co je to?", "What ship?"));
    assert_eq!(czech.group, imported.sample("airplane/let-m/nl").group);
    assert_eq!(imported.ledger.len(), 1);
    let english = bench.import_with("fillets", json!({"text": "english", "languages": ["nl"]}));
    let dutch = english.sample("airplane/let-m/nl");
    assert_eq!((dutch.texts[0].as_str(), dutch.tags["spoken"].as_str()), ("What ship?", "Wat is dat?"));
}
