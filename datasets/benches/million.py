"""Writes a manifest of many small samples, to measure the memory of an import and of its check.

    python3 million.py DIR N
    /usr/bin/time -v triptych data import manifest DIR --out OUT --verify --quiet

Every 50th sample has a sound of a twentieth of a second. What to look at: "Maximum resident set size", for two values of N.
"""

import math
import pathlib
import struct
import sys
import wave

folder, n_samples = pathlib.Path(sys.argv[1]), int(sys.argv[2])
(folder / "sounds").mkdir(parents=True, exist_ok=True)
for voice in range(100):
    with wave.open(str(folder / f"sounds/{voice}.wav"), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        hz = 200 + 10 * voice
        samples = (int(9000 * math.sin(2 * math.pi * hz * i / 8000)) for i in range(400))
        writer.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
with open(folder / "manifest.jsonl", "w") as manifest:
    for i in range(n_samples):
        sound = f', "audio": "sounds/{i // 50 % 100}.wav", "speaker": "s{i // 50 % 100}"' if i % 50 == 0 else ""
        words = f"sample number {i} of many, which says this and that about thing {i * 7919 % 10007}"
        manifest.write(f'{{"id": "sample-{i:09}", "text": "{words}", "language": "en"{sound}}}\n')
