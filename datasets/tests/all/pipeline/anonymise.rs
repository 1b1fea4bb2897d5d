//! Personal data: planted values go, plain prose stays, files lose what they say besides.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use triptych_datasets::sample::{Sample, Split};

use super::{audio_sample, image_sample, options, recipe, run, text_sample, write_raw};
use crate::fixture::{picture, tone};

/// What becomes of texts.
fn anonymised(texts: &[String], stages: &str) -> (Vec<String>, String) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let sample = |(n, text): (usize, &String)| text_sample(&format!("text-{n}"), text);
    write_raw(dir.path(), texts.iter().enumerate().map(sample).collect());
    let made = run(&recipe(dir.path(), stages), &super::Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let report = std::fs::read_to_string(dir.path().join("out/report.json")).expect("there is a report");
    (super::opened(&made.corpus).entries().iter().map(|entry| entry.texts[0].clone()).collect(), report)
}

fn one(text: &str) -> String {
    anonymised(&[text.to_owned()], "[anonymise]\n").0.remove(0)
}

#[test]
fn every_kind_becomes_its_placeholder() {
    for (text, expected) in [
        ("write to jane.doe+x@mail.example.org, please", "write to <EMAIL>, please"),
        ("call +49 30 901820 or (030) 90 18 20", "call <TELEPHONE> or <TELEPHONE>"),
        ("my number is 555-867-5309.", "my number is <TELEPHONE>."),
        ("phone: 01712345678", "phone: <TELEPHONE>"),
        ("tel. 06 12 34 56 78", "tel. <TELEPHONE>"),
        ("from 192.168.17.4 to 2001:db8:85a3::8a2e:370:7334", "from <IP> to <IP>"),
        ("pay to DE89 3704 0044 0532 0130 00 TODAY", "pay to <IBAN> TODAY"),
        ("card 4111 1111 1111 1111, thanks", "card <CARD>, thanks"),
        ("key sk-abcdefghijklmnopqrst0123 leaked", "key <KEY> leaked"),
        ("AKIAIOSFODNN7EXAMPLE", "<KEY>"),
        ("password: hunter2hunter2", "password: <KEY>"),
        ("Authorization: Bearer abcdef0123456789abcdef", "Authorization: Bearer <KEY>"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN", "<KEY>"),
    ] {
        assert_eq!(one(text), expected);
    }
}

#[test]
fn plain_prose_stays_to_the_letter() {
    let prose = [
        "In 1969, on 20 July at 20:17:40 UTC, two people landed; some 600 million watched.",
        "It cost $1,299.99 (about 1.200,50 EUR) in 2021-03-15, or 15/03/2021, or 3.14159265358979.",
        "Pages 100-250 and 1990-1995, ISBN 0-306-40615-2, version 1.2.3, §12.4.7, 10:30:45.",
        "The years 2020 2021 2022 2023 were hot; temperatures of -40 to +35 degrees.",
        "A ratio of 16:9, a score of 102-98-77, RFC 2616, IEEE 802.11, Boeing 747-400.",
        "std::vec::Vec and a::b, x @ y, foo@bar, @handle, C++ and a/b/c.",
        "Section 0123456789 of the code, order 1234567890123456, population 1 428 627 663.",
        "The key to the secret is patience; the password is always love, the token a gift.",
        "GB12 and DE34 are roads; AB12CDEF is a plate. Mix 200 ml with 300 g; 555 1212 grains.",
        "Chapters 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 of the book.",
        "Im Jahr 1871 lebten 41 058 792 Menschen dort, 2011 waren es 80 219 695.",
    ];
    let texts: Vec<String> = prose.iter().map(|text| (*text).to_owned()).collect();
    assert_eq!(anonymised(&texts, "[anonymise]\n").0, texts);
}

#[test]
fn every_caption_of_the_bundled_corpus_stays() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let options = triptych_datasets::corpora::emoji::EmojiOptions {
        styles: Some(vec!["noto".to_owned()]),
        voices: Some(Vec::new()),
        side: 8,
        ..Default::default()
    };
    let corpus = triptych_datasets::corpora::emoji::import(&options, dir.path(), &|_, _, _| {});
    let corpus = corpus.unwrap_or_else(|e| panic!("{e}"));
    let texts: Vec<String> = corpus.entries().iter().map(|entry| entry.texts.join("; ")).collect();
    assert!(texts.len() > 500);
    assert_eq!(anonymised(&texts, "[anonymise]\n").0, texts);
}

#[test]
fn names_of_the_list_go_as_whole_words() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let list = dir.path().join("names.txt");
    std::fs::write(&list, "# people\nAnn\n\nAnn Lee\r\nJosé\n").expect("it is writable");
    let stages = format!("[anonymise]\nnames = {:?}\n", list.display().to_string());
    let texts = ["Ann Lee met José, Annabel and ANN", "ann is no name here; Ann's is"].map(str::to_owned);
    let (got, report) = anonymised(&texts, &stages);
    assert_eq!(got, ["<NAME> met <NAME>, Annabel and ANN", "ann is no name here; <NAME>'s is"]);
    assert!(report.contains("\"<NAME> in texts\": 3"), "{report}");
}

#[test]
fn the_report_counts_and_holds_no_value() {
    let texts = ["mail a.b@example.org", "mail c.d@example.org from 10.1.2.3"].map(str::to_owned);
    let (_, report) = anonymised(&texts, "[anonymise]\n");
    assert!(
        report.contains("\"<EMAIL> in texts\": 2") && report.contains("\"<IP> in texts\": 1"),
        "{report}"
    );
    assert!(!report.contains("example.org") && !report.contains("10.1.2.3"));
}

fn with_check_digit(body: &str) -> String {
    // Luhn, written anew: from the right, every second digit doubled
    let sum: u32 = body
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, b)| {
            let digit = u32::from(b - b'0') * if place % 2 == 0 { 2 } else { 1 };
            digit / 10 + digit % 10
        })
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

fn german_iban(account: u64) -> String {
    let bban = format!("{account:018}");
    // D = 13, E = 14, check digits 00 behind the account: 98 minus the remainder by 97
    let remainder = format!("{bban}131400").bytes().fold(0u64, |r, b| (r * 10 + u64::from(b - b'0')) % 97);
    format!("DE{:02}{bban}", 98 - remainder)
}

fn grouped(digits: &str, separator: &str) -> String {
    let groups: Vec<&str> =
        (0..digits.len()).step_by(4).map(|start| &digits[start..digits.len().min(start + 4)]).collect();
    groups.join(separator)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn no_planted_value_is_left(
        user in "[a-z]{1,8}([._+-][a-z0-9]{1,6})?", host in "[a-z]{2,9}(-[a-z]{2,5})?", top in "(com|org|co\\.uk|de|museum)",
        v4: [u8; 4], v6: [u16; 8], card in "4[0-9]{14}", account in 0u64..1_000_000_000_000_000_000,
        country in 1u32..99, area in 100u32..999, line in 100_000u32..9_999_999, secret in "[A-Za-z0-9]{36}",
        separator in prop::sample::select(vec!["", " ", "-"]),
    ) {
        let v4 = Ipv4Addr::from(v4).to_string();
        // a digit in it, as in almost every address
        let v6 = Ipv6Addr::from(v6.map(|word| word % 0x9000 + 0x1000)).to_string();
        let planted = [
            format!("{user}@{host}.{top}"),
            v4,
            v6,
            grouped(&with_check_digit(&card), separator),
            grouped(&german_iban(account), separator),
            format!("+{country} {area} {line}"),
            format!("ghp_{secret}"),
        ];
        let mut texts = Vec::new();
        for value in &planted {
            texts.push(format!("It was {value}, they said."));
            texts.push(value.clone());
            texts.push(format!("({value}) and {value}"));
        }
        let (got, report) = anonymised(&texts, "[anonymise]\n");
        for (idx, value) in planted.iter().enumerate() {
            for text in &got[idx * 3..idx * 3 + 3] {
                prop_assert!(!text.contains(value.as_str()), "{value:?} is left in {text:?}");
            }
            prop_assert!(!report.contains(value.as_str()));
            let frame = got[idx * 3].starts_with("It was <") && got[idx * 3].ends_with(">, they said.");
            prop_assert!(frame, "{:?} of {:?}", got[idx * 3], texts[idx * 3]);
        }
    }

    #[test]
    fn any_text_comes_through_and_words_alone_are_not_touched(any in "\\PC{1,40}", words in "[a-zéü]{1,9}( [a-z]{1,9}){0,8}") {
        let (got, _) = anonymised(&[format!("x {any}"), words.clone()], "[anonymise]\n");
        prop_assert_eq!(&got[1], &words);
    }
}

/// A picture in JPEG with EXIF (a place name in it, and an orientation), XMP, IPTC and a comment.
fn talkative_jpeg(orientation: u8) -> Vec<u8> {
    let pixels = triptych_datasets::image::decode(&picture(2, 0), "png").expect("it is a picture");
    // not square, so that a turn shows
    let whole = triptych_datasets::image::CropBox { left: 0.0, top: 0.0, width: 24.0, height: 12.0 };
    let pixels = triptych_datasets::image::crop_resize(&pixels, whole, 40, 20);
    let mut plain = Vec::new();
    image::codecs::jpeg::JpegEncoder::new(&mut plain)
        .encode(&pixels.rgb, 40, 20, image::ExtendedColorType::Rgb8)
        .expect("memory takes it");
    let segment = |marker: u8, content: &[u8]| {
        let mut bytes = vec![0xff, marker];
        bytes.extend((content.len() as u16 + 2).to_be_bytes());
        bytes.extend(content);
        bytes
    };
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    exif.extend(b"SECRET place");
    let mut bytes = plain[..2].to_vec();
    bytes.extend(segment(0xe1, &exif));
    bytes.extend(segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0SECRET xmp"));
    bytes.extend(segment(0xed, b"Photoshop 3.0\0SECRET iptc"));
    bytes.extend(segment(0xfe, b"SECRET comment"));
    bytes.extend(&plain[2..]);
    bytes.extend(b"SECRET behind the end");
    bytes
}

fn talkative_png() -> Vec<u8> {
    let plain = picture(3, 1);
    let content = b"tEXtAuthor\0SECRET author";
    let mut chunk = ((content.len() - 4) as u32).to_be_bytes().to_vec();
    chunk.extend(content);
    chunk.extend(super::crc(content).to_be_bytes());
    // behind the header: 8 bytes of signature, 25 of IHDR
    [&plain[..33], &chunk[..], &plain[33..]].concat()
}

fn talkative_webp() -> Vec<u8> {
    let pixels = triptych_datasets::image::decode(&picture(3, 1), "png").expect("it is a picture");
    let mut plain = Vec::new();
    image::codecs::webp::WebPEncoder::new_lossless(&mut plain)
        .encode(&pixels.rgb, 24, 24, image::ExtendedColorType::Rgb8)
        .expect("memory takes it");
    let mut bytes = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x0c\0\0\0\x17\0\0\x17\0\0".to_vec();
    bytes.extend(&plain[12..]);
    bytes.extend(b"EXIF\x0d\0\0\0SECRET place.\0XMP \x0a\0\0\0SECRET xmp");
    let n_bytes = (bytes.len() - 8) as u32;
    bytes[4..8].copy_from_slice(&n_bytes.to_le_bytes());
    bytes
}

#[test]
fn files_lose_what_they_say_besides_and_look_the_same() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut wav = tone(1, 1);
    wav.extend(b"LIST\x10\0\0\0INFOIART\x06\0\0\0SECRET");
    let n_bytes = (wav.len() - 8) as u32;
    wav[4..8].copy_from_slice(&n_bytes.to_le_bytes());
    let mut tagged = text_sample("tagged", "a text");
    tagged.tags = [("author", "x@example.org"), ("speaker", "Ann"), ("style", "plain")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    let samples = vec![
        image_sample("upright", talkative_jpeg(1), "jpg", Split::Train),
        image_sample("turned", talkative_jpeg(6), "jpg", Split::Train),
        image_sample("png", talkative_png(), "png", Split::Train),
        image_sample("webp", talkative_webp(), "webp", Split::Train),
        image_sample("clean", picture(3, 1), "png", Split::Train),
        audio_sample("wav", wav, "wav", Split::Train),
        tagged,
    ];
    write_raw(dir.path(), samples.clone());
    let stages = "[anonymise]\ntags = [\"author\"]\nremove_tags = [\"speaker\"]\n";
    let made = run(&recipe(dir.path(), stages), &options()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(made.corpus.len(), samples.len(), "{:?}", super::ledger(&dir.path().join("out")));
    let pixels = |sample: &Sample| {
        let image = sample.image.as_ref()?;
        triptych_datasets::image::decode(&image.bytes, &image.extension).ok()
    };
    for (idx, before) in samples.iter().enumerate() {
        let after = super::opened(&made.corpus).read(idx).expect("it is there");
        assert_eq!(pixels(&after), pixels(before), "{}", after.id);
        for media in after.image.iter().chain(&after.audio) {
            assert!(!media.bytes.windows(6).any(|six| six == b"SECRET"), "{}", after.id);
        }
    }
    let after = |idx: usize| super::opened(&made.corpus).read(idx).expect("it is there");
    assert_eq!(pixels(&after(1)).map(|pixels| (pixels.width, pixels.height)), Some((20, 40)));
    assert_eq!(after(4).image, samples[4].image, "nothing was to be taken out");
    let tags = after(6).tags;
    assert_eq!(
        (tags["author"].as_str(), tags.get("speaker"), tags["style"].as_str()),
        ("<EMAIL>", None, "plain")
    );
    assert_eq!(made.report.stages[1].counts["pictures freed of metadata"], 4);
}
