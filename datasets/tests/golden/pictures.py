#!/usr/bin/env python3
"""Writes resize.npy and operations.npy: pictures by Pillow and torchvision, all cases behind each other.

    pip install numpy==2.4.6 pillow==11.3.0 torch==2.11.0 torchvision==0.26.0
    python3 pictures.py

Pillow 11, not 13: from then on the vertical pass comes first at some sizes, while models were trained on pictures that were
resized horizontally first.

The cases stand in datasets/tests/all/pictures.rs too, in the same order.
"""

import pathlib

import numpy as np
from PIL import Image
from torchvision.transforms import CenterCrop, InterpolationMode, Resize
from torchvision.transforms.autoaugment import _apply_op

HERE = pathlib.Path(__file__).resolve().parent
FILTERS = ["BOX", "BILINEAR", "BICUBIC", "LANCZOS"]
# width, height -> width, height: larger, smaller, both, tall, one row, one pixel
RESIZES = [
    ((24, 16), (37, 29)),
    ((64, 48), (20, 15)),
    ((90, 7), (13, 21)),
    ((5, 33), (9, 31)),
    ((150, 1), (11, 3)),
    ((1, 1), (4, 4)),
    ((200, 150), (20, 15)),
    ((31, 31), (30, 30)),
]
# with a box of fractions: left, upper, right, lower
BOXES = [((64, 48), (3.25, 7.5, 40.125, 47.0), (16, 16)), ((40, 40), (10.0, 0.5, 20.0, 10.5), (24, 24))]
# shorter side, then the middle: width, height -> side
CROPS = [((64, 48), 16), ((33, 50), 24), ((20, 45), 32), ((300, 10), 12), ((25, 18), 18)]
OPERATIONS = [
    ("ShearX", 0.09),
    ("ShearX", -0.3),
    ("ShearY", 0.2),
    ("TranslateX", 7.8),
    ("TranslateY", -4.0),
    ("Rotate", 9.0),
    ("Rotate", -30.0),
    ("Brightness", 0.27),
    ("Brightness", -0.9),
    ("Color", 0.9),
    ("Color", -0.27),
    ("Contrast", 0.27),
    ("Contrast", -0.9),
    ("Sharpness", 0.9),
    ("Sharpness", -0.27),
    ("Posterize", 7.0),
    ("Posterize", 4.0),
    ("Solarize", 178.5),
    ("AutoContrast", 0.0),
    ("Equalize", 0.0),
]


def picture(width, height):
    """Slopes, edges and noise; the Rust test makes the same."""
    y, x = np.mgrid[0:height, 0:width]
    noise = ((x * 7919 + y * 104729) * 31) % 97
    red = (x * 5 + noise) % 256
    green = np.where((x // 5 + y // 4) % 2 == 0, 30, 220)
    blue = (y * 3 + x * 2 + noise // 2) % 200
    return Image.fromarray(np.stack([red, green, blue], axis=-1).astype(np.uint8))


def main():
    resized = []
    for name in FILTERS:
        kind = getattr(Image.Resampling, name)
        for (size, target) in RESIZES:
            resized.append(picture(*size).resize(target, kind))
        for (size, box, target) in BOXES:
            resized.append(picture(*size).resize(target, kind, box=box))
        for (size, side) in CROPS:
            scaled = Resize(side, InterpolationMode[name])(picture(*size))
            resized.append(CenterCrop(side)(scaled))
    np.save(HERE / "resize.npy", np.concatenate([np.asarray(image).reshape(-1) for image in resized]))

    changed = [
        _apply_op(picture(48, 32), name, strength, InterpolationMode.NEAREST, [10, 20, 30])
        for name, strength in OPERATIONS
    ]
    np.save(HERE / "operations.npy", np.concatenate([np.asarray(image).reshape(-1) for image in changed]))


if __name__ == "__main__":
    main()
