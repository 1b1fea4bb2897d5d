"""Writes a manifest of many small samples, to measure the memory of an import, of its check and of a preparation.

    python3 million.py DIR N [--alike]
    for step in import validate prepare; do
        cargo run -p triptych-datasets --example peak_memory -- $step DIR OUT
    done

Of every 50 samples one has a sound of a fifth of a second, five have a picture of 8x8 pixels, and the others are texts of
12 words. One of ten is a copy of an earlier one: half of them exactly, half with a word changed. With `--alike` all samples
are texts that differ in a number or two: the most that near-duplicates can be.

What to look at: the peaks, for two values of N.
"""

import json
import math
import pathlib
import random
import struct
import sys
import wave
import zlib

folder, n_samples, is_alike = pathlib.Path(sys.argv[1]), int(sys.argv[2]), "--alike" in sys.argv
draw = random.Random(1)

WORDS = ["".join(draw.choice("bdfgklmnprstvz") + draw.choice("aeiou") for _ in range(draw.randint(1, 4))) for _ in range(20_000)]
RATE_HZ = 8000
# pieces of a fortieth of a second, of which a sound has eight
PIECES = [
    b"".join(
        struct.pack("<h", int(9000 * math.sin(2 * math.pi * hz * i / RATE_HZ)))
        for i in range(RATE_HZ // 40)
    )
    for hz in range(200, 3600, 50)
]


def png(rgb):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + rgb[y * 24 : (y + 1) * 24] for y in range(8))
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def sound(path):
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE_HZ)
        writer.writeframes(b"".join(draw.choice(PIECES) for _ in range(8)))


def media(kind, idx):
    """A folder for every thousand files."""
    path = folder / kind / f"{idx // 1000:04}"
    path.mkdir(parents=True, exist_ok=True)
    return path / f"{idx:07}.{'wav' if kind == 'sounds' else 'png'}"


folder.mkdir(parents=True, exist_ok=True)
recent = ["the first text of all of them"]
with open(folder / "manifest.jsonl", "w") as manifest:
    for idx in range(n_samples):
        line = {"id": f"sample-{idx:09}", "language": "en"}
        if is_alike:
            line["text"] = f"sample number {idx} of many, which says this and that about thing {idx * 7919 % 10007}"
            manifest.write(json.dumps(line) + "\n")
            continue
        text = " ".join(draw.choices(WORDS, k=12))
        copied = draw.choice(recent) if idx % 10 == 9 else None
        if idx % 50 == 0:
            path = media("sounds", idx)
            sound(path)
            line |= {"audio": str(path.relative_to(folder)), "speaker": f"s{idx // 50 % 100}"}
        elif idx % 10 == 1:
            path = media("pictures", idx)
            path.write_bytes(png(draw.randbytes(192)))
            line["image"] = str(path.relative_to(folder))
        elif copied is not None:
            text = copied if idx % 20 == 9 else copied.rsplit(" ", 1)[0] + " altered"
        elif len(recent) < 1000:
            recent.append(text)
        else:
            recent[draw.randrange(1000)] = text
        manifest.write(json.dumps(line | {"text": text}) + "\n")
