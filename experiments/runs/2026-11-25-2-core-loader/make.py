"""Photo-like JPEGs of 400 x 300 with captions, as WebDataset tar shards: python make.py OUT [N_SAMPLES]

Noise whose power falls with a power of the frequency, as in photographs, under some flat shapes; quality 85. Seed 1.
Written for Pillow 13 and NumPy 2.
"""

import io
import sys
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

WIDTH, HEIGHT, PER_SHARD = 400, 300, 1000
WORDS = "a the cat dog house tree river red green small old boat with near under street light man woman sky".split()


def picture(rng):
    fy = np.fft.fftfreq(HEIGHT)[:, None]
    fx = np.fft.rfftfreq(WIDTH)[None, :]
    amplitude = np.maximum(np.hypot(fx, fy), 1.0 / WIDTH) ** -1.3
    channels = []
    common = rng.uniform(0, 2 * np.pi, amplitude.shape)
    for _ in range(3):
        phase = common + rng.normal(0, 0.6, amplitude.shape)
        channel = np.fft.irfft2(amplitude * np.exp(1j * phase), s=(HEIGHT, WIDTH))
        channels.append((channel - channel.mean()) / channel.std() * 48 + rng.uniform(90, 160))
    image = Image.fromarray(np.clip(np.stack(channels, -1), 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(2, 6)):
        x, y = rng.integers(0, WIDTH), rng.integers(0, HEIGHT)
        w, h = rng.integers(20, 140, 2)
        draw.ellipse([x - w // 2, y - h // 2, x + w // 2, y + h // 2], fill=tuple(int(v) for v in rng.integers(0, 256, 3)))
    return image


def main(out, n_samples=5000):
    rng = np.random.default_rng(1)
    out.mkdir(parents=True, exist_ok=True)
    for first in range(0, n_samples, PER_SHARD):
        with tarfile.open(out / f"photos-{first // PER_SHARD:06}.tar", "w") as tar:
            for number in range(first, min(first + PER_SHARD, n_samples)):
                jpeg = io.BytesIO()
                picture(rng).save(jpeg, "jpeg", quality=85)
                caption = " ".join(rng.choice(WORDS, rng.integers(6, 16))).encode()
                for extension, content in (("jpg", jpeg.getvalue()), ("txt", caption)):
                    member = tarfile.TarInfo(f"photo-{number:06}.{extension}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))


main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
