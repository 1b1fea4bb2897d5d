"""Golden values for retrieval: recall by CLIP_benchmark's own functions, mean average precision by scikit-learn's.

    python -m venv venv && venv/bin/pip install torch tqdm scikit-learn==1.9.1 numpy
    venv/bin/pip install --no-deps clip-benchmark==1.6.2
    venv/bin/python retrieval.py

Written with Python 3.11, clip-benchmark 1.6.2, PyTorch 2.11.0, scikit-learn 1.9.1, NumPy 2.4.6; seed 20254. No two similarities
are equal: there the reference takes whichever its sort puts first.
"""

import json
from pathlib import Path

import numpy as np
import torch
from clip_benchmark.metrics.zeroshot_retrieval import batchify, recall_at_k
from sklearn.metrics import label_ranking_average_precision_score

N_IMAGES, N_TEXTS = 40, 4

rng = np.random.default_rng(20254)
image_of = np.repeat(np.arange(N_IMAGES), N_TEXTS)
n = len(image_of) * N_IMAGES
noise = rng.permutation(n).reshape(len(image_of), N_IMAGES) / n
positive = image_of[:, None] == np.arange(N_IMAGES)[None]
# the noise is in steps of 1 / n, what is relevant lies half a step between them
scores = np.round(noise + (0.6 + 0.5 / n) * positive, 6)
assert len(np.unique(scores)) == n

tensors = torch.tensor(scores), torch.tensor(positive)
reversed_tensors = tuple(tensor.T.contiguous() for tensor in tensors)


def recalls(pair):
    return {f"R@{k}": (batchify(recall_at_k, *pair, 16, "cpu", k=k) > 0).float().double().mean().item() for k in (1, 5, 10)}


golden = {
    "n_images": N_IMAGES,
    "image_of": image_of.tolist(),
    "scores": scores.ravel().tolist(),
    "text_to_image": {**recalls(tensors), "mAP": label_ranking_average_precision_score(positive, scores)},
    "image_to_text": {**recalls(reversed_tensors), "mAP": label_ranking_average_precision_score(positive.T, scores.T)},
}
path = Path(__file__).parent / "retrieval.json"
path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
print(path.name, path.stat().st_size, "bytes")
