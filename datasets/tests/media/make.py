#!/usr/bin/env python3
"""Writes the small sounds, videos and pictures of this folder: a rising tone, and a card with a black corner.

    apt-get install ffmpeg        # 5.1.9
    pip install numpy==2.4.6 pillow==13.0.0
    python3 make.py

Everything is synthetic and free of any rights (CC0-1.0).
"""

import pathlib
import subprocess
import tempfile
import wave

import numpy as np
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
DURATION_S = 0.4
# name, rate in Hz, channels, encoder
SOUNDS = [
    ("tone.flac", 16_000, 1, ["-c:a", "flac"]),
    ("tone-24-bit.flac", 16_000, 2, ["-c:a", "flac", "-sample_fmt", "s32", "-bits_per_raw_sample", "24"]),
    ("tone.mp3", 16_000, 1, ["-c:a", "libmp3lame", "-b:a", "32k"]),
    ("tone-44100.mp3", 44_100, 2, ["-c:a", "libmp3lame", "-b:a", "64k"]),
    ("tone-tagged.mp3", 16_000, 1, ["-c:a", "libmp3lame", "-b:a", "32k", "-metadata", "title=tone"]),
    ("tone.ogg", 16_000, 1, ["-c:a", "libvorbis", "-q:a", "2"]),
    ("tone.aac", 16_000, 1, ["-c:a", "aac", "-b:a", "32k"]),
    ("tone.m4a", 16_000, 1, ["-c:a", "aac", "-b:a", "32k"]),
    ("tone.wav", 16_000, 1, ["-c:a", "pcm_s16le"]),
    ("tone-24-bit.wav", 16_000, 1, ["-c:a", "pcm_s24le"]),
    ("tone.opus", 16_000, 1, ["-c:a", "libopus", "-b:a", "16k"]),
]
VIDEO = ["-f", "lavfi", "-i", f"color=c=gray:s=32x32:r=5:d={DURATION_S}"]
VIDEOS = [
    ("video.mp4", ["-c:v", "mpeg4", "-c:a", "aac", "-b:a", "32k", "-movflags", "+faststart"]),
    ("video-index-last.mp4", ["-c:v", "mpeg4", "-c:a", "aac", "-b:a", "32k"]),
    ("video.mkv", ["-c:v", "mpeg4", "-c:a", "libvorbis", "-q:a", "2"]),
    ("video-aac.mkv", ["-c:v", "mpeg4", "-c:a", "aac", "-b:a", "32k"]),
    ("video.webm", ["-c:v", "libvpx", "-b:v", "20k", "-c:a", "libvorbis", "-q:a", "2"]),
]


def tone(path, rate_hz, n_channels):
    """From 300 to 1100 Hz."""
    t = np.arange(int(DURATION_S * rate_hz)) / rate_hz
    samples = (0.5 * np.sin(2 * np.pi * (300.0 * t + 1000.0 * t * t)) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as out:
        out.setparams((n_channels, 2, rate_hz, 0, "NONE", ""))
        out.writeframes(np.repeat(samples, n_channels).tobytes())


def ffmpeg(*arguments):
    quiet = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-fflags", "+bitexact"]
    subprocess.run([*quiet, *arguments], check=True)


def sounds():
    exact = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact"]
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "source.wav"
        for name, rate_hz, n_channels, encoder in SOUNDS:
            tone(source, rate_hz, n_channels)
            ffmpeg("-i", str(source), *encoder, *exact, str(HERE / name))
        tone(source, 16_000, 1)
        for name, encoder in VIDEOS:
            ffmpeg(*VIDEO, "-i", str(source), *encoder, *exact, "-flags:v", "+bitexact", str(HERE / name))
        ffmpeg(*VIDEO, "-c:v", "mpeg4", *exact, str(HERE / "video-without-sound.mp4"))


def card():
    """32 by 24 pixels, white, the upper left quarter black, the upper right one red."""
    pixels = np.full((24, 32, 3), 255, np.uint8)
    pixels[:12, :16] = 0
    pixels[:12, 16:] = (200, 20, 20)
    return Image.fromarray(pixels)


def pictures():
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        card().save(HERE / f"card-{orientation}.jpg", quality=90, subsampling=0, exif=exif)
    exif = Image.Exif()
    exif[0x0112] = 6
    card().save(HERE / "card-6.png", exif=exif)
    card().save(HERE / "card-6.webp", exif=exif, quality=90)
    card().save(HERE / "card-6.tiff", exif=exif)
    card().save(HERE / "card-progressive.jpg", quality=90, progressive=True)
    card().convert("CMYK").save(HERE / "card-cmyk.jpg", quality=90)
    card().convert("L").save(HERE / "card-gray.jpg", quality=90)
    card().convert("P").save(HERE / "card.gif")
    card().save(HERE / "card.bmp")
    Image.fromarray(np.full((24, 32), 40_000, np.uint16)).save(HERE / "gray-16-bit.png")


if __name__ == "__main__":
    sounds()
    pictures()
