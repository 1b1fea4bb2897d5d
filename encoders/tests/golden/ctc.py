"""Losses and gradients of PyTorch's ctc_loss with zero_infinity, in float64; writes ctc.json.

    pip install torch==2.15.0
    python encoders/tests/golden/ctc.py

Samples: an ordinary target, equal neighbours, an empty target, one too long for its frames (infinite loss), one that fits
exactly, a single label, no frames beyond the length, and one frame.
"""

import json
import os

import torch

SEED = 20261125


def case(n_frames, n_labels, blank, lengths, targets, generator):
    logits = torch.randn(len(lengths), n_frames, n_labels, generator=generator) * 2
    logits = (logits * 1024).round() / 1024
    weights = torch.arange(1, len(lengths) + 1, dtype=torch.float64) / 4
    tracked = logits.double().requires_grad_()
    losses = torch.nn.functional.ctc_loss(
        tracked.log_softmax(2).transpose(0, 1),
        torch.tensor([label for target in targets for label in target], dtype=torch.long),
        torch.tensor(lengths), torch.tensor([len(target) for target in targets]),
        blank=blank, reduction="none", zero_infinity=True)
    (losses * weights).sum().backward()
    return {
        "dims": list(logits.shape), "blank": blank, "lengths": lengths, "targets": targets,
        "logits": logits.flatten().tolist(), "weights": weights.tolist(),
        "losses": [float(f"{x:.9g}") for x in losses.tolist()],
        "grads": [float(f"{x:.7g}") for x in tracked.grad.flatten().tolist()],
    }


def main():
    generator = torch.Generator().manual_seed(SEED)
    cases = [
        case(12, 6, 0, [12, 12, 7, 4, 5, 12, 9, 1],
             [[1, 2, 3, 1], [2, 2, 4, 4], [], [1, 1, 1], [1, 1, 1], [5], [3, 1, 4, 1, 5], [2]], generator),
        case(20, 9, 8, [20, 15, 20], [[0, 1, 1, 7, 3, 3, 2], [], list(range(8)) + [0, 1]], generator),
    ]
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ctc.json")
    with open(path, "w") as file:
        json.dump({"torch": torch.__version__, "seed": SEED, "cases": cases}, file, separators=(",", ":"))


if __name__ == "__main__":
    main()
