#!/usr/bin/env python3
"""How far apart pictures are after decoding and resizing, by the program and by Pillow 11 and 13: 200 of Debian's
`tuxpaint-stamps-default`, as JPEG files in several sizes, qualities and samplings.

    stamps.py files FOLDER                  # with Pillow 11.3
    stamps.py pillow FOLDER OUT.npz         # with either
    stamps.py triptych FOLDER OUT.npz PROGRAM
    stamps.py compare OURS.npz ELEVEN.npz THIRTEEN.npz
"""

import collections
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image, ImageOps

STAMPS = pathlib.Path("/usr/share/tuxpaint/stamps")
# the squares show what decoding alone does: at their own size nothing is resized
SIZES = [(500, 375), (640, 480), (1920, 1080), (333, 500), (256, 256), (512, 512), (801, 600), (97, 233)]
QUALITIES, SAMPLINGS = [75, 85, 90, 95], [2, 2, 0, 1]
N_PICTURES, N_LARGE, SIDE = 200, 80, 224


def files(folder):
    folder.mkdir(parents=True, exist_ok=True)
    stamps = sorted(STAMPS.glob("**/*.png"))
    for n, place in enumerate(np.random.default_rng(2).permutation(len(stamps))[:N_PICTURES]):
        image = Image.open(stamps[place]).convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
        size = SIZES[n % len(SIZES)] if n <= N_LARGE or n % len(SIZES) != 2 else SIZES[0]
        quality, sampling = QUALITIES[n // 2 % 4], SAMPLINGS[n // 3 % 4]
        name = f"{n:03d}_{size[0]}x{size[1]}_q{quality}_{['444', '422', '420'][sampling]}.jpg"
        image = ImageOps.fit(image, size, Image.Resampling.BICUBIC)
        image.save(folder / name, quality=quality, subsampling=sampling, progressive=n % 5 == 0)


def made(folder, decode, resize):
    found = {}
    for path in sorted(folder.glob("*.jpg")):
        width, height = Image.open(path).size
        found[f"resized {path.stem}"] = resize(path)
        if width == height:
            found[f"decoded {path.stem}"] = decode(path, width)
    return found


def by_pillow(folder):
    def opened(path):
        return Image.open(path).convert("RGB")

    def resized(path):
        return np.asarray(opened(path).resize((SIDE, SIDE), Image.Resampling.BICUBIC))

    return made(folder, lambda path, _: np.asarray(opened(path)), resized)


def by_triptych(folder, program):
    with tempfile.NamedTemporaryFile(suffix=".npy") as out:

        def squashed(path, side):
            subprocess.run([program, "picture", str(side), "0", path, out.name], check=True)
            return np.load(out.name)

        return made(folder, squashed, lambda path: squashed(path, SIDE))


def compare(ours, eleven, thirteen):
    def apart(a, b, keys):
        found = [np.abs(a[key].astype(int) - b[key].astype(int)) for key in keys]
        counts = sorted(collections.Counter(int(values.max()) for values in found).items())
        far = sum((values > 2).sum() for values in found) / sum(values.size for values in found)
        return f"largest difference: pictures {dict(counts)}; values off by more than 2: {far:.1e}"

    resized = [key for key in ours.files if key.startswith("resized")]
    decoded = [key for key in ours.files if key.startswith("decoded")]
    print("triptych, Pillow 11:", apart(ours, eleven, resized))
    print("triptych, Pillow 13:", apart(ours, thirteen, resized))
    print("Pillow 11, Pillow 13:", apart(eleven, thirteen, resized))
    for sampling in ["444", "422", "420"]:
        keys = [key for key in decoded if key.endswith(sampling)]
        print(f"decoded alone, 4:{sampling[1]}:{sampling[2]}:", apart(ours, eleven, keys))
    again = {key.replace("decoded", "resized"): Image.fromarray(ours[key]) for key in decoded}
    again = {key: np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for key, image in again.items()}
    print("resized alone:", apart(ours, again, list(again)))


def main():
    what, *arguments = sys.argv[1:]
    if what == "compare":
        return compare(*map(np.load, arguments))
    folder = pathlib.Path(arguments[0])
    if what == "files":
        return files(folder)
    found = by_pillow(folder) if what == "pillow" else by_triptych(folder, arguments[2])
    np.savez(arguments[1], **found)


if __name__ == "__main__":
    main()
