"""The same by webdataset and PyTorch's DataLoader: python peer.py TARS N_WORKERS N_PASSES

Decode, the largest square in the middle, resize to 224, values in [-1, 1], batches of 64; a line of CSV a pass.
"""

import sys
import time
from pathlib import Path

import torch
import torchvision.transforms as T
import webdataset as wds

BATCH_SIZE = 64


def to_batch(samples):
    return torch.stack([image for image, _ in samples]), [caption for _, caption in samples]


def main(tars, n_workers, n_passes):
    torch.set_num_threads(1)
    shards = sorted(str(path) for path in Path(tars).glob("*.tar"))
    transform = T.Compose(
        [
            T.CenterCrop(300),
            T.Resize(224, interpolation=T.InterpolationMode.BICUBIC),
            T.ToTensor(),
            T.Normalize([0.5] * 3, [0.5] * 3),
        ]
    )
    dataset = (
        wds.WebDataset(shards, shardshuffle=len(shards), nodesplitter=wds.split_by_node)
        .shuffle(1000)
        .decode("pil")
        .to_tuple("jpg", "txt")
        .map_tuple(transform, lambda caption: caption)
        .batched(BATCH_SIZE, collation_fn=to_batch, partial=True)
    )
    loader = wds.WebLoader(
        dataset, batch_size=None, num_workers=n_workers, prefetch_factor=2, persistent_workers=True
    )
    for number in range(n_passes):
        started, n_samples, total = time.perf_counter(), 0, 0.0
        for images, captions in loader:
            n_samples += len(captions)
            total += float(images[0, 0, 0, 0])
        print(f"webdataset,{n_workers},{number},{n_samples},{time.perf_counter() - started:.4f},{total:.3f}", flush=True)


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
