//! The files that ship inside the program. `datasets/emoji/README.md` says where they come from, `make.py` there
//! makes them.

/// A drawing style: one JSON line `{"concept", "svg"}` a drawing, packed with zstd.
pub(super) struct Style {
    pub name: &'static str,
    pub is_held_out: bool,
    pub drawings: &'static [u8],
}

/// A voice: all its recordings in one Ogg Vorbis stream, and a table of where each begins and how long it is.
pub(super) struct Voice {
    pub name: &'static str,
    pub is_held_out: bool,
    pub recordings: &'static [u8],
    pub table: &'static str,
}

pub(super) const CONCEPTS: &str = include_str!("../../../emoji/concepts.jsonl");
pub(super) const LICENCES: &str = include_str!("../../../emoji/licenses.json");

const fn style(name: &'static str, is_held_out: bool, drawings: &'static [u8]) -> Style {
    Style { name, is_held_out, drawings }
}

macro_rules! styles {
    ($($name:literal, $held_out:literal;)*) => {
        &[$(style($name, $held_out, include_bytes!(concat!("../../../emoji/drawings/", $name, ".jsonl.zst")))),*]
    };
}

macro_rules! voices {
    ($($name:literal, $held_out:literal;)*) => {
        &[$(Voice {
            name: $name,
            is_held_out: $held_out,
            recordings: include_bytes!(concat!("../../../emoji/speech/", $name, ".ogg")),
            table: include_str!(concat!("../../../emoji/speech/", $name, ".tsv")),
        }),*]
    };
}

// name, held out from training
pub(super) static STYLES: &[Style] = styles! {
    "noto", false;
    "fluent", false;
    "openmoji", false;
    "emojione", false;
    "noto-v1", false;
    "twemoji", true;
};

pub(super) static VOICES: &[Voice] = voices! {
    "en-us", false;
    "en-gb-f3", false;
    "en-us-f5", false;
    "rp-f2", false;
    "caribbean-m7", false;
    "lancaster-f4", false;
    "nyc-klatt2", false;
    "kal16", false;
    "awb", false;
    "rms", false;
    "ked", false;
    "heart", false;
    "awb-f", false;
    "rms-f", false;
    "ked-f", false;
    "slt", true;
    "scotland-m3", true;
    "joe", true;
};

/// BLAKE3 over all of it.
pub(super) fn hash() -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    let mut part = |name: &str, bytes: &[u8]| {
        hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    };
    part("concepts", CONCEPTS.as_bytes());
    part("licences", LICENCES.as_bytes());
    for style in STYLES {
        part(style.name, style.drawings);
        part("held out", &[u8::from(style.is_held_out)]);
    }
    for voice in VOICES {
        part(voice.name, voice.recordings);
        part(voice.name, voice.table.as_bytes());
        part("held out", &[u8::from(voice.is_held_out)]);
    }
    hasher.finalize()
}
