//! Inputs of the shape and size of a real run. Every figure, picture and sound here is made up, by formula.

use crate::{
    evaluate::{ClassOutcome, Confusion, ScoreRow},
    report::{
        AnswerItem, CaptionItem, ClassTable, Fact, ItemScore, LedgerRow, Machine, Media, NextStep,
        ReportInputs, RunFacts, SearchExample, SearchQuery, SearchResult, Series, Stage, TranscriptItem,
        TriedStrength,
    },
};

const COLOURS: [(&str, [u8; 3]); 6] = [
    ("red", [214, 64, 69]),
    ("green", [72, 160, 84]),
    ("blue", [58, 112, 196]),
    ("yellow", [232, 192, 56]),
    ("purple", [134, 84, 170]),
    ("grey", [128, 134, 140]),
];
const SHAPES: [&str; 4] = ["circle", "square", "triangle", "ring"];

/// A caption made to break a page that does not escape.
pub(crate) const HOSTILE: &str =
    r#"</li><script>alert("x")</script> & 'quoted' <img src=http://example.org/x.png>"#;

/// A full report.
pub(crate) fn inputs() -> ReportInputs {
    ReportInputs {
        run: RunFacts {
            name: "test-data".into(),
            title: "Test data, not a real run".into(),
            summary: "Every figure, picture and sound on this page is made up to try the report out. A small model of text, \
                      image and speech is trained from nothing; it captions pictures, transcribes speech and finds \
                      pictures by text and by voice."
                .into(),
            facts: [("parameters", "2.1 M"), ("steps", "3,000"), ("batch", "96"), ("seed", "7")]
                .map(|(label, value)| Fact { label: label.into(), value: value.into() })
                .into(),
        },
        headline: Vec::new(),
        machine: Machine {
            cpu: "Example CPU @ 2.60 GHz (AVX-512)".into(),
            cores: Some(2),
            memory_bytes: Some(16_000_000_000),
            os: "Linux 6.1, x86_64".into(),
            device: "cpu".into(),
            threads: Some(2),
        },
        stages: [("prepare", 74.2), ("train", 611.0), ("evaluate", 48.9), ("report", 2.1)]
            .map(|(name, seconds)| Stage { name: name.into(), seconds })
            .into(),
        peak_memory_bytes: Some(1_430_000_000),
        config_toml: "[model]\nd_model = 128\nn_layers = 4\n\n[train]\nlr = 1e-3\nsteps = 3000\nnote = \"a < b & c\"\n".into(),
        losses: ["total", "image-text contrast", "speech-text contrast", "image-speech contrast", "caption", "ctc"]
            .iter()
            .enumerate()
            .map(|(index, name)| loss(name, index as f64))
            .collect(),
        progress: vec![
            series("learning rate", "", |t| 1e-3 * (t * 20.0).min(1.0) * (0.5 + 0.5 * (t * 3.1).cos())),
            series("samples a second", "1/s", |t| 480.0 + 30.0 * noise(t * 3000.0)),
        ],
        scores: scores(),
        classes: vec![classes("zero-shot", "image", 6), classes("probe", "image encoder", 140)],
        captions: (0..160).map(caption).collect::<Vec<_>>().into(),
        answers: (0..7).map(answer).collect::<Vec<_>>().into(),
        transcripts: (0..14).map(transcript).collect::<Vec<_>>().into(),
        searches: (0..6).map(search).collect::<Vec<_>>().into(),
        ledger: ["pictures", "names", "speech"]
            .map(|part| LedgerRow {
                part: part.into(),
                source: "drawn by formula".into(),
                version: "1".into(),
                licence: "CC0-1.0".into(),
                attribution: "nobody: test data".into(),
            })
            .into(),
        notes: vec![
            "Test data: nothing here was measured.".into(),
            "Synthetic speech: every voice is a tone generator.".into(),
        ],
        next_steps: vec![NextStep {
            command: "triptych quickstart --set train.steps=6000".into(),
            purpose: "trains twice as long".into(),
        }],
    }
}

/// A repeatable number from -1 to 1.
fn noise(x: f64) -> f64 {
    2.0 * ((x * 12.9898).sin() * 43758.5453).fract().abs() - 1.0
}

fn series(name: &str, unit: &str, value: impl Fn(f64) -> f64) -> Series {
    let points = (0..3000).map(|step| (step as f64, value(step as f64 / 3000.0))).collect();
    Series { name: name.into(), unit: unit.into(), points }
}

fn loss(name: &str, index: f64) -> Series {
    let floor = 0.05 + 0.3 * index;
    let mut loss = series(name, "nats", |t| {
        (floor + (5.0 + index) * (-9.0 * t).exp()) * (1.0 + 0.15 * noise(t * 3000.0 + index))
    });
    if index == 1.0 {
        loss.points[200].1 = f64::NAN;
        loss.points[1200].1 = 300.0;
    }
    loss
}

fn scores() -> Vec<ScoreRow> {
    let mut scores = Vec::new();
    let mut add =
        |task: &str, holdout: &str, direction: (&str, &str), name: &str, value: f64, unit: &str, chance| {
            let spread =
                if unit == "%" { 1.6 + 0.06 * value.min(100.0 - value).max(0.0) } else { 0.08 * value };
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            scores.push(ScoreRow {
                task: task.into(),
                holdout: holdout.into(),
                query: some(direction.0),
                target: some(direction.1),
                name: name.into(),
                value,
                unit: unit.into(),
                n: 802,
                low: (value - spread).max(0.0),
                high: value + spread,
                chance,
                higher_is_better: !matches!(name, "WER" | "CER" | "median rank"),
            });
        };
    let retrieval = [
        ("style", ("image", "text"), 57.2),
        ("style", ("text", "image"), 61.0),
        ("voice:slt", ("speech", "text"), 58.9),
        ("voice:slt", ("text", "speech"), 60.1),
        ("voice:scotland-m3", ("speech", "text"), 83.4),
        ("voice:slt x style", ("speech", "image"), 17.3),
        ("concepts", ("image", "text"), 6.7),
        ("concepts", ("speech", "text"), 41.1),
    ];
    for (holdout, direction, first) in retrieval {
        let n = if holdout == "concepts" { 90.0 } else { 802.0 };
        add("retrieval", holdout, direction, "R@1", first, "%", Some(100.0 / n));
        add("retrieval", holdout, direction, "R@5", first + 0.6 * (100.0 - first), "%", Some(500.0 / n));
        add(
            "retrieval",
            holdout,
            direction,
            "median rank",
            (60.0 / first).max(1.0).round(),
            "rank",
            Some(n / 2.0),
        );
    }
    for (holdout, exact) in [("style", 48.3), ("concepts", 1.1)] {
        add("caption", holdout, ("", ""), "exact", exact, "%", None);
        add("caption", holdout, ("", ""), "CIDEr-D", exact / 14.0, "", None);
        add("caption", holdout, ("", ""), "BLEU-1", exact / 80.0, "", None);
    }
    for (holdout, wer) in [("voice:slt", 38.2), ("voice:scotland-m3", 17.5), ("concepts", 104.0)] {
        add("asr", holdout, ("", ""), "WER", wer, "%", None);
        add("asr", holdout, ("", ""), "CER", wer / 2.0, "%", None);
    }
    scores
}

/// Classes that are recognised the better the later they come, and the last not at all.
fn classes(task: &str, query: &str, n: usize) -> ClassTable {
    let outcome = |index: usize| ClassOutcome {
        name: format!("class {index}"),
        n: if index + 1 == n { 0 } else { 20 },
        n_right: if index + 1 == n { 0 } else { 20 * index / n },
        n_predicted: index,
    };
    let confusion = |index: usize| Confusion {
        label: format!("class {index}"),
        predicted: format!("class {}", index + 1),
        n: 14 - index % 14,
        n_label: 20,
    };
    let strength = |c: f64| TriedStrength { c, accuracy: 40.0 + c, loss: 1.25, is_chosen: c == 0.1 };
    ClassTable {
        task: task.into(),
        holdout: "style".into(),
        query: query.into(),
        target: "category".into(),
        remark: format!("{n} classes, made up"),
        classes: (0..n).map(outcome).collect(),
        confusions: (0..n / 2).map(confusion).collect(),
        strengths: if task == "probe" { [0.01, 0.1, 1.0].map(strength).into() } else { Vec::new() },
    }
}

fn thing(index: usize) -> (String, Media) {
    let (colour, rgb) = COLOURS[index % COLOURS.len()];
    let shape = SHAPES[index / COLOURS.len() % SHAPES.len()];
    (format!("{colour} {shape}"), Media::png(picture(shape, rgb)))
}

fn caption(index: usize) -> CaptionItem {
    let (reference, image) = thing(index);
    let correct = index % 3 != 1;
    let hypothesis = match index {
        1 => HOSTILE.to_owned(),
        _ if correct => reference.clone(),
        _ => thing(index + 7).0,
    };
    CaptionItem {
        image,
        hypothesis,
        references: vec![reference],
        holdout: if index.is_multiple_of(4) { "concepts" } else { "style" }.into(),
        correct,
        score: Some(ItemScore { name: "CIDEr-D".into(), value: if correct { 10.0 } else { 1.25 } }),
    }
}

fn answer(index: usize) -> AnswerItem {
    let (name, image) = thing(index);
    let colour = name.split(' ').next().unwrap_or_default().to_owned();
    let is_heard = index == 6;
    let correct = index != 2;
    AnswerItem {
        audio: is_heard.then(|| Media::wav(tone(330.0))),
        image: (!is_heard).then_some(image),
        question: if index == 1 { HOSTILE.to_owned() } else { "What colour is it?".to_owned() },
        hypothesis: if correct { colour.clone() } else { "gray".to_owned() },
        references: if is_heard { vec![(colour, 1)] } else { vec![(colour, 9), ("none".to_owned(), 1)] },
        holdout: "style".into(),
        correct,
        score: (!is_heard)
            .then(|| ItemScore { name: "VQA".into(), value: if correct { 100.0 } else { 0.0 } }),
    }
}

fn transcript(index: usize) -> TranscriptItem {
    let (reference, _) = thing(index);
    let (hypothesis, errors) = match index % 4 {
        1 => (reference.replace(' ', " and "), 1),
        2 => (thing(index + 1).0, 1),
        3 if index == 3 => (String::new(), 2),
        _ => (reference.clone(), 0),
    };
    let voice = if index.is_multiple_of(2) { "slt" } else { "scotland-m3" };
    TranscriptItem {
        audio: Media::wav(tone(180.0 + 30.0 * index as f64)),
        hypothesis,
        reference,
        holdout: format!("voice:{voice}"),
        voice: voice.into(),
        errors,
        synthetic: index != 0,
    }
}

fn search(index: usize) -> SearchExample {
    let (text, image) = thing(index);
    let right = index % 3;
    SearchExample {
        query: match index % 3 {
            0 => SearchQuery::Text(text.clone()),
            1 => SearchQuery::Speech { audio: Media::wav(tone(220.0)), text: text.clone(), synthetic: true },
            _ => SearchQuery::Image { image, text: text.clone() },
        },
        results: (0..5)
            .map(|rank| {
                let (caption, image) = thing(if rank == right { index } else { index + rank + 6 });
                let similarity = 0.82 - 0.09 * rank as f64;
                SearchResult { image: Some(image), caption, similarity, correct: rank == right && index != 5 }
            })
            .collect(),
        holdout: if index % 3 == 1 { "voice:slt x style" } else { "style" }.into(),
    }
}

/// A quarter of a second of a sine, 16 kHz mono, as a WAV file.
fn tone(pitch_hz: f64) -> Vec<u8> {
    let (rate_hz, n_samples) = (16_000u32, 4_000u32);
    let mut wav = Vec::new();
    wav.extend(b"RIFF");
    wav.extend((36 + 2 * n_samples).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(rate_hz.to_le_bytes());
    wav.extend((2 * rate_hz).to_le_bytes());
    wav.extend(b"\x02\0\x10\0data");
    wav.extend((2 * n_samples).to_le_bytes());
    for sample in 0..n_samples {
        let angle = std::f64::consts::TAU * pitch_hz * f64::from(sample) / f64::from(rate_hz);
        wav.extend(((angle.sin() * 9_000.0) as i16).to_le_bytes());
    }
    wav
}

/// A shape on white, 48 by 48 pixels, as an uncompressed PNG file.
fn picture(shape: &str, rgb: [u8; 3]) -> Vec<u8> {
    let size = 48u32;
    let mut rows = Vec::new();
    for y in 0..size {
        rows.push(0);
        for x in 0..size {
            let (dx, dy) = (f64::from(x) - 23.5, f64::from(y) - 23.5);
            let radius = dx.hypot(dy);
            let is_inside = match shape {
                "circle" => radius < 18.0,
                "square" => dx.abs().max(dy.abs()) < 16.0,
                "triangle" => dy < 15.0 && dy > 2.0 * dx.abs() - 18.0,
                _ => (10.0..18.0).contains(&radius),
            };
            rows.extend(if is_inside { rgb } else { [255; 3] });
        }
    }
    let length = rows.len() as u16;
    let mut packed = vec![0x78, 0x01, 0x01];
    packed.extend(length.to_le_bytes());
    packed.extend((!length).to_le_bytes());
    packed.extend(&rows);
    let (a, b) = rows.iter().fold((1u32, 0u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    packed.extend((b << 16 | a).to_be_bytes());

    let mut header = Vec::new();
    header.extend(size.to_be_bytes());
    header.extend(size.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, body) in [(b"IHDR", &header), (b"IDAT", &packed), (b"IEND", &Vec::new())] {
        let mut chunk = kind.to_vec();
        chunk.extend(body);
        png.extend((body.len() as u32).to_be_bytes());
        png.extend(&chunk);
        png.extend(crc32(&chunk).to_be_bytes());
    }
    png
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0xEDB8_8320 } else { c >> 1 })
    })
}
