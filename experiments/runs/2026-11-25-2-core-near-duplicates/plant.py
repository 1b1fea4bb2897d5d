"""Plants near-duplicates among things that are not, as manifests that `triptych data import manifest` reads.

    plant.py pictures|sounds|texts OUT [SEED]

Nothing here was looked at when the thresholds of `[deduplicate]` were chosen. Needs the Debian packages
tuxpaint-stamps-default, asterisk-core-sounds-en-wav, asterisk-core-sounds-en and wordnet-base, ffmpeg with libvorbis and
libmp3lame, and Pillow.

An original is called `BASE`, a copy of it `BASE~KIND`; everything is for training, and originals come first.
"""

import gzip
import io
import json
import pathlib
import random
import re
import subprocess
import sys
import wave
from concurrent.futures import ThreadPoolExecutor

SEED = int(sys.argv[3]) if len(sys.argv) > 3 else 11
STAMPS = pathlib.Path("/usr/share/tuxpaint/stamps")
PROMPTS = pathlib.Path("/usr/share/asterisk/sounds/en_US_f_Allison")
TRANSCRIPTS = pathlib.Path("/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")
GLOSSES = pathlib.Path("/usr/share/wordnet/data.noun")
N_PICTURES, N_SOUNDS, N_TEXTS = 400, 300, 1500


def write(out, lines):
    out.mkdir(parents=True, exist_ok=True)
    originals_first = sorted(lines, key=lambda line: "~" in line["id"])
    with open(out / "manifest.jsonl", "w") as manifest:
        for line in originals_first:
            manifest.write(json.dumps(line | {"split": "train"}) + "\n")


def pictures(out):
    from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

    def encoded(picture, kind, **options):
        held = io.BytesIO()
        picture.save(held, kind, **options)
        return held.getvalue()

    def scaled(picture, factor):
        size = [max(8, round(side * factor)) for side in picture.size]
        return picture.resize(size, Image.Resampling.BICUBIC)

    def cropped(picture, share):
        width, height = picture.size
        dx, dy = round(width * share), round(height * share)
        return picture.crop((dx, dy, width - dx, height - dy))

    def hue(picture, turn):
        h, s, v = picture.convert("HSV").split()
        return Image.merge("HSV", (h.point(lambda x: (x + turn) % 256), s, v)).convert("RGB")

    def marked(picture):
        copy = picture.copy()
        width, height = copy.size
        ImageDraw.Draw(copy).rectangle((width * 0.7, height * 0.9, width * 0.98, height * 0.97), fill=(40, 40, 40))
        return copy

    # kinds that end in `-other` change so much that they may well count as another picture
    kinds = {
        "jpeg-80": lambda p: (encoded(p, "JPEG", quality=80), "jpg"),
        "jpeg-30": lambda p: (encoded(p, "JPEG", quality=30), "jpg"),
        "webp-50": lambda p: (encoded(p, "WEBP", quality=50), "webp"),
        "half-size": lambda p: (encoded(scaled(p, 0.5), "PNG"), "png"),
        "quarter-size-jpeg": lambda p: (encoded(scaled(p, 0.25), "JPEG", quality=70), "jpg"),
        "double-size": lambda p: (encoded(scaled(p, 2), "JPEG", quality=85), "jpg"),
        "256-colours": lambda p: (encoded(p.quantize(256), "GIF"), "gif"),
        "blurred": lambda p: (encoded(p.filter(ImageFilter.GaussianBlur(2)), "PNG"), "png"),
        "darker-5%": lambda p: (encoded(ImageEnhance.Brightness(p).enhance(0.95), "JPEG", quality=85), "jpg"),
        "contrast-10%": lambda p: (encoded(ImageEnhance.Contrast(p).enhance(1.1), "JPEG", quality=85), "jpg"),
        "saturation-20%": lambda p: (encoded(ImageEnhance.Color(p).enhance(1.2), "JPEG", quality=85), "jpg"),
        "cropped-1%": lambda p: (encoded(cropped(p, 0.01), "JPEG", quality=85), "jpg"),
        "marked": lambda p: (encoded(marked(p), "JPEG", quality=85), "jpg"),
        "cropped-5%-other": lambda p: (encoded(cropped(p, 0.05), "JPEG", quality=85), "jpg"),
        "darker-15%-other": lambda p: (encoded(ImageEnhance.Brightness(p).enhance(0.85), "JPEG", quality=85), "jpg"),
        "grey-other": lambda p: (encoded(p.convert("L"), "JPEG", quality=85), "jpg"),
        "hue-other": lambda p: (encoded(hue(p, 85), "JPEG", quality=85), "jpg"),
        "mirrored-other": lambda p: (encoded(p.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "JPEG", quality=85), "jpg"),
    }
    paths = sorted(path for path in STAMPS.rglob("*.png") if "symbols" not in path.parts)
    # the mirror image of a stamp ships beside some
    paths = [path for path in paths if not path.stem.endswith(("_mirror", "_flip"))]
    paths = sorted(random.Random(SEED).sample(paths, N_PICTURES))
    lines = []
    for path in paths:
        base = str(path.relative_to(STAMPS).with_suffix("")).replace("/", "-")
        with Image.open(path) as stamp:
            stamp = stamp.convert("RGBA")
        white = Image.new("RGBA", stamp.size, (255, 255, 255, 255))
        plain = Image.alpha_composite(white, stamp).convert("RGB")
        held = {base: (encoded(plain, "PNG"), "png")}
        held |= {f"{base}~{kind}": change(plain) for kind, change in kinds.items()}
        for name, (content, ending) in held.items():
            file = f"{name.replace('%', '')}.{ending}"
            (out / "files").mkdir(parents=True, exist_ok=True)
            (out / "files" / file).write_bytes(content)
            lines.append({"id": name.replace("%", ""), "image": f"files/{file}"})
    write(out, lines)


def sounds(out):
    noise = "anoisesrc=color=pink:amplitude=0.02:seed=3:sample_rate=8000"
    kinds = {
        "vorbis": ["-c:a", "libvorbis", "-q:a", "2", ".ogg"],
        "mp3-64": ["-ar", "16000", "-c:a", "libmp3lame", "-b:a", "64k", ".mp3"],
        "mp3-24": ["-ar", "16000", "-c:a", "libmp3lame", "-b:a", "24k", ".mp3"],
        "aac-48": ["-ar", "16000", "-c:a", "aac", "-b:a", "48k", ".m4a"],
        "mu-law": ["-c:a", "pcm_mulaw", ".wav"],
        "44-khz": ["-ar", "44100", ".wav"],
        "12-db-less": ["-af", "volume=-12dB", ".wav"],
        "6-db-more": ["-af", "volume=6dB", ".wav"],
        "half-second-later": ["-af", "adelay=500:all=1", ".wav"],
        "silence-cut": ["-af", "silenceremove=start_periods=1:start_threshold=-45dB", ".wav"],
        "treble-6-db-less": ["-af", "treble=g=-6:f=2000", ".wav"],
        "pink-noise": ["noise", ".wav"],
        "faster-3%": ["-af", "atempo=1.03", ".wav"],
        "speed-5%-other": ["-af", "asetrate=8400,aresample=8000", ".wav"],
        "faster-10%-other": ["-af", "atempo=1.1", ".wav"],
        "first-half-other": ["half", ".wav"],
    }
    kinds = {kind.replace("%", ""): options for kind, options in kinds.items()}

    def length_s(path):
        with wave.open(str(path)) as reader:
            return reader.getnframes() / reader.getframerate()

    paths = sorted(path for path in PROMPTS.rglob("*.wav") if path.parent.name != "silence" and length_s(path) >= 0.5)
    paths = sorted(random.Random(SEED).sample(paths, N_SOUNDS))
    (out / "files").mkdir(parents=True, exist_ok=True)

    def plant(path):
        base = str(path.relative_to(PROMPTS).with_suffix("")).replace("/", "-")
        (out / "files" / f"{base}.wav").write_bytes(path.read_bytes())
        lines = [{"id": base, "audio": f"files/{base}.wav"}]
        command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", str(path), "-f", "lavfi", "-i", noise]
        for kind, (*options, ending) in kinds.items():
            file = f"files/{base}~{kind}{ending}"
            lines.append({"id": f"{base}~{kind}", "audio": file})
            if options == ["noise"]:
                # as long as the prompt
                command += ["-filter_complex", "[0:a][1:a]amix=inputs=2:duration=first:normalize=0[mixed]", "-map", "[mixed]"]
            elif options == ["half"]:
                command += ["-map", "0:a", "-t", str(length_s(path) / 2)]
            else:
                command += ["-map", "0:a", *options]
            command.append(str(out / file))
        subprocess.run(command, check=True)
        return lines

    with ThreadPoolExecutor(2) as threads:
        write(out, [line for lines in threads.map(plant, paths) for line in lines])


def texts(out):
    draw = random.Random(SEED)
    found = []
    for path in sorted(STAMPS.rglob("*.txt")):
        if "symbols" not in path.parts:
            found.append(path.read_text(errors="replace").splitlines()[0].strip())
    for line in gzip.open(TRANSCRIPTS, "rt", errors="replace"):
        name, _, words = line.partition(":")
        if words and not name.startswith(";") and not any(mark in words for mark in "[("):
            found.append(words.strip())
    glosses = [line.split(" | ", 1)[1] for line in open(GLOSSES) if " | " in line]
    found += [re.split(r'; "', gloss)[0].strip() for gloss in draw.sample(glosses, 2000)]
    # one of each, as different texts
    plain = lambda text: " ".join(re.findall(r"\w+", text.lower()))
    different = list({plain(text): text for text in found if len(text.split()) >= 4}.values())
    different = sorted(draw.sample(different, N_TEXTS))
    words_of_all = sorted({word for text in different for word in plain(text).split() if len(word) > 3})

    def typo(text):
        place = draw.randrange(1, len(text) - 2)
        return text[:place] + text[place + 1] + text[place] + text[place + 2 :]

    def replaced(words):
        place = draw.randrange(len(words))
        return " ".join(words[:place] + [draw.choice(words_of_all)] + words[place + 1 :])

    def left_out(words):
        place = draw.randrange(len(words))
        return " ".join(words[:place] + words[place + 1 :])

    lines = []
    for number, text in enumerate(different):
        words = text.split()
        length = "short" if len(text) < 40 else "middle" if len(text) < 80 else "long"
        base = f"{length}-{number:04}"
        kinds = {
            "capitals": text.upper(),
            "punctuation": " ".join(words).replace(" ", "  ").rstrip(".") + " !",
            "typo": typo(text),
            "word-left-out": left_out(words),
            "word-replaced": replaced(words),
            "words-added": f"{text} as shown here",
            "turned-around-other": " ".join(words[len(words) // 2 :] + words[: len(words) // 2]),
            "half-other": " ".join(words[: len(words) // 2]),
        }
        lines.append({"id": base, "text": text})
        lines += [{"id": f"{base}~{kind}", "text": copy} for kind, copy in kinds.items()]
    write(out, lines)


if __name__ == "__main__":
    {"pictures": pictures, "sounds": sounds, "texts": texts}[sys.argv[1]](pathlib.Path(sys.argv[2]))
