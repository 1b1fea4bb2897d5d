"""Golden values for triptych_tasks::objectives::info_nce: open_clip's ClipLoss on one device, written out in NumPy.

    python -m venv venv && venv/bin/pip install numpy
    venv/bin/python contrastive.py

Written with Python 3.11.7, NumPy 2.4.6; seed 20252; float64 throughout, of values that are exact in float32. The
gradients are derived by hand: with P the softmax of the logits over rows and Q over columns, the loss's gradient by
the logits is ((P - I) + (Q - I)) / 2n. They are checked against central differences before they are written.

open_clip: `logits_per_image = logit_scale * image_features @ text_features.T`, its transpose for texts, and
`(cross_entropy(logits_per_image, labels) + cross_entropy(logits_per_text, labels)) / 2` with the diagonal as labels.
"""

import json
from pathlib import Path

import numpy as np

SEED = 20252
HERE = Path(__file__).parent


def cross_entropy(logits):
    logits = logits - logits.max(axis=1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return -np.diag(log_p).mean()


def softmax(logits, axis):
    exp = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return exp / exp.sum(axis=axis, keepdims=True)


def loss(a, b, log_scale):
    logits = np.exp(log_scale) * a @ b.T
    return (cross_entropy(logits) + cross_entropy(logits.T)) / 2


def gradients(a, b, log_scale):
    n, scale = len(a), np.exp(log_scale)
    similarities = a @ b.T
    logits = scale * similarities
    by_logits = (softmax(logits, 1) + softmax(logits, 0) - 2 * np.eye(n)) / (2 * n)
    return scale * by_logits @ b, scale * by_logits.T @ a, scale * (by_logits * similarities).sum()


def differences(a, b, log_scale, step=1e-6):
    def along(x, f):
        grad = np.empty_like(x)
        for place in np.ndindex(x.shape):
            up, down = x.copy(), x.copy()
            up[place] += step
            down[place] -= step
            grad[place] = (f(up) - f(down)) / (2 * step)
        return grad

    scale = np.array(log_scale)
    return (
        along(a, lambda a: loss(a, b, log_scale)),
        along(b, lambda b: loss(a, b, log_scale)),
        along(scale, lambda s: loss(a, b, s)),
    )


def unit(rng, n, d):
    x = rng.normal(size=(n, d))
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    return x.astype(np.float32).astype(np.float64)


def main():
    rng = np.random.default_rng(SEED)
    cases = []
    for n, d, scale in [(2, 3, 1.0), (5, 4, 1 / 0.07), (9, 16, 1 / 0.07), (7, 8, 100.0), (1, 4, 10.0)]:
        a, b = unit(rng, n, d), unit(rng, n, d)
        log_scale = float(np.float32(np.log(scale)))
        got = gradients(a, b, log_scale)
        for grad, expected in zip(got, differences(a, b, log_scale)):
            np.testing.assert_allclose(grad, expected, atol=1e-6)
        cases.append({
            "n": n,
            "d": d,
            "a": a.ravel().tolist(),
            "b": b.ravel().tolist(),
            "log_scale": log_scale,
            "loss": loss(a, b, log_scale),
            "grad_a": got[0].ravel().tolist(),
            "grad_b": got[1].ravel().tolist(),
            "grad_log_scale": float(got[2]),
        })
    (HERE / "contrastive.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
