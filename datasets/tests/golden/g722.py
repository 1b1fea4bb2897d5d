"""Writes g722.json: bytes, and the 16-bit samples that FFmpeg's G.722 decoder makes of them.

    python3 g722.py > g722.json       (imageio-ffmpeg 0.8.1 brings FFmpeg 9.0.2)

The bytes are a sweep that FFmpeg itself encoded, and then random ones, which drive the predictors to their limits; seed 1.
"""

import json
import math
import random
import struct
import subprocess

import imageio_ffmpeg

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def run(arguments, data):
    command = [FFMPEG, "-loglevel", "error", *arguments]
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


sweep = [int(20000 * math.sin(2 * math.pi * (100 + i) * i / 16000)) for i in range(1600)]
pcm = struct.pack(f"<{len(sweep)}h", *sweep)
raw = ["-f", "s16le", "-ar", "16000", "-ac", "1"]
encoded = run([*raw, "-i", "-", "-f", "g722", "-"], pcm)
encoded += random.Random(1).randbytes(800)
decoded = run(["-f", "g722", "-i", "-", *raw, "-"], encoded)
samples = struct.unpack(f"<{len(decoded) // 2}h", decoded)
print(json.dumps({"bytes": list(encoded), "samples": list(samples)}, separators=(",", ":")))
