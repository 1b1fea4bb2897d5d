"""Writes huggingface.parquet with the schema and metadata of Hugging Face's `datasets`.

Made with datasets 5.2.0, pyarrow 26.0.1 and Pillow 13.0.0; nothing in it is random.
"""

import io
import math
import struct
import sys
import wave

import datasets
import PIL
import pyarrow
import pyarrow.parquet
from PIL import Image as Pillow


def png(colour):
    file = io.BytesIO()
    Pillow.new("RGB", (8, 6), colour).save(file, "PNG")
    return file.getvalue()


def wav(hz):
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        samples = (int(9000 * math.sin(2 * math.pi * hz * i / 8000)) for i in range(400))
        writer.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return file.getvalue()


rows = {
    "key": ["k0", "k1", "k2", "k3"],
    "image": [
        {"bytes": png("red"), "path": "red.png"},
        {"bytes": None, "path": "beside.png"},
        {"bytes": None, "path": "../outside.png"},
        {"bytes": png("blue"), "path": None},
    ],
    "sound": [{"bytes": wav(440), "path": "a.wav"}, None, None, {"bytes": wav(220), "path": None}],
    "caption": [["a red square", "red"], ["by path"], [], ["a blue square"]],
    "speaker": ["anna", "bert", "anna", "carl"],
    "label": [1, 0, 1, 2],
    "score": [0.5, float("nan"), 2.0, None],
}
features = datasets.Features(
    {
        "key": datasets.Value("string"),
        "image": datasets.Image(),
        "sound": datasets.Audio(),
        "caption": datasets.List(datasets.Value("string")),
        "speaker": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["green", "red", "blue"]),
        "score": datasets.Value("float32"),
    }
)
# the storage types go in as they are: `to_parquet` would put the file of a path into the table
table = pyarrow.Table.from_pydict(rows, schema=features.arrow_schema)
pyarrow.parquet.write_table(table, sys.argv[1] if len(sys.argv) > 1 else "huggingface.parquet")
print("datasets", datasets.__version__, "pyarrow", pyarrow.__version__, "Pillow", PIL.__version__)
