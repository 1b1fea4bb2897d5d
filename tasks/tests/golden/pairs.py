"""Golden values for triptych_tasks::objectives: sigmoid contrast, momentum contrast, hard negatives with the matching
loss, and distillation, by PyTorch's autograd in float64 on values that are exact in float32.

    python -m venv venv && venv/bin/pip install torch numpy
    venv/bin/python pairs.py

Written with Python 3.11.7, PyTorch 2.15.0, NumPy 1.26.4; seed 20261.

What the references write, in their own names:

big_vision siglip.py: `logits = zimg @ ztxt.T * t + b`, `m1_diag1 = -ones + 2 * eye`,
`mean(-sum(log_sigmoid(m1_diag1 * logits), axis=-1))`.

ALBEF model_pretrain.py, model_retrieval.py: `sim_i2t_m = image_feat_m @ text_feat_all / temp`, `sim_targets = pos_idx /
pos_idx.sum(1)`, `alpha * softmax(sim_i2t_m) + (1 - alpha) * sim_targets`, `-sum(log_softmax(sim_i2t) * targets,
dim=1).mean()`, the mean of both directions; `weights_i2t = softmax(sim_i2t[:, :bs], dim=1)` with a diagonal of 0, from
which `multinomial` draws; `cross_entropy(vl_output, cat([ones(bs), zeros(2 * bs)]))`.

open_clip loss.py: `dist_loss = -(teacher_logits.softmax(dim=1) * student_logits.log_softmax(dim=1)).sum(dim=1).mean(dim=0)`,
the mean over images and texts.
"""

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

SEED = 20261
HERE = Path(__file__).parent
rng = np.random.default_rng(SEED)


def leaf(*shape):
    x = rng.normal(size=shape).astype(np.float32).astype(np.float64)
    return torch.tensor(x, requires_grad=True)


def unit(n, d):
    x = rng.normal(size=(n, d))
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32).astype(np.float64)
    return torch.tensor(x, requires_grad=True)


def number(x):
    return torch.tensor([float(np.float32(x))], dtype=torch.float64, requires_grad=True)


def case(loss, inputs, constants, **facts):
    grads = torch.autograd.grad(loss, inputs)
    flat = lambda x: [float(f"{v:.9g}") for v in x.detach().ravel().tolist()]
    return {
        **facts,
        "inputs": [flat(x) for x in inputs],
        "constants": [flat(x) for x in constants],
        "loss": loss.item(),
        "gradients": [flat(x) for x in grads],
    }


def sigmoid(n, d, scale, bias):
    a, b, t, bias = unit(n, d), unit(n, d), number(np.log(scale)), number(bias)
    logits = a @ b.T * t.exp() + bias
    m1_diag1 = -torch.ones_like(logits) + 2 * torch.eye(n, dtype=torch.float64)
    loss = -F.logsigmoid(m1_diag1 * logits).sum(-1).mean()
    return case(loss, [a, b, t, bias], [], n=n, d=d)


def momentum(n, d, groups, alpha):
    a, b, t = unit(n, d), unit(n, d), number(np.log(1 / 0.07))
    a_all, b_all = unit(len(groups), d).detach(), unit(len(groups), d).detach()
    idx = torch.tensor(groups)
    pos_idx = torch.eq(idx[:n].view(-1, 1), idx.view(1, -1)).double()
    sim_targets = pos_idx / pos_idx.sum(1, keepdim=True)
    with torch.no_grad():
        targets_a = alpha * F.softmax(a_all[:n] @ b_all.T * t.exp(), dim=1) + (1 - alpha) * sim_targets
        targets_b = alpha * F.softmax(b_all[:n] @ a_all.T * t.exp(), dim=1) + (1 - alpha) * sim_targets
    loss_a = -torch.sum(F.log_softmax(a @ b_all.T * t.exp(), dim=1) * targets_a, dim=1).mean()
    loss_b = -torch.sum(F.log_softmax(b @ a_all.T * t.exp(), dim=1) * targets_b, dim=1).mean()
    loss = (loss_a + loss_b) / 2
    return case(loss, [a, b, t], [a_all, b_all, sim_targets], n=n, d=d, alpha=alpha)


def matching(n):
    logits = leaf(3 * n)
    two_classes = torch.stack([torch.zeros_like(logits), logits], 1)
    labels = torch.cat([torch.ones(n, dtype=torch.long), torch.zeros(2 * n, dtype=torch.long)])
    loss = F.cross_entropy(two_classes, labels)
    similarity = (leaf(n, n) * 5).detach()
    weights = F.softmax(similarity, dim=1)
    weights.fill_diagonal_(0)
    # as multinomial does, which takes weights of any sum
    weights = weights / weights.sum(1, keepdim=True)
    return case(loss, [logits], [similarity.float().double(), weights], n=n, d=n)


def contrastive(n, d, d_teacher):
    a, b, t = unit(n, d), unit(n, d), number(np.log(1 / 0.07))
    a_t, b_t, t_t = unit(n, d_teacher).detach(), unit(n, d_teacher).detach(), number(np.log(30)).detach()
    student, teacher = a @ b.T * t.exp(), a_t @ b_t.T * t_t.exp()
    dist = lambda teacher, student: -(teacher.softmax(dim=1) * student.log_softmax(dim=1)).sum(dim=1).mean(dim=0)
    loss = (dist(teacher, student) + dist(teacher.T, student.T)) / 2
    return case(loss, [a, b, t], [a_t, b_t, t_t], n=n, d=d)


def features(n, d):
    cases = []
    for distance in ["cosine", "squared_error"]:
        x, y = leaf(n, d), leaf(n, d).detach()
        loss = (1 - F.cosine_similarity(x, y, dim=1)).mean() if distance == "cosine" else F.mse_loss(x, y)
        cases.append(case(loss, [x], [y], n=n, d=d, distance=distance))
    return cases


def tokens(n, n_vocab, temperature):
    x, y = leaf(n, n_vocab), (leaf(n, n_vocab) * 3).detach().float().double()
    weight = torch.tensor([i % 3 for i in range(n)], dtype=torch.float64)
    divergence = F.kl_div(
        F.log_softmax(x / temperature, dim=1), F.log_softmax(y / temperature, dim=1), log_target=True, reduction="none"
    ).sum(1)
    loss = (divergence * weight).sum() / weight.sum() * temperature**2
    return case(loss, [x], [y, weight], n=n, d=n_vocab, temperature=temperature)


def main():
    golden = {
        "sigmoid": [sigmoid(2, 3, 1.0, 0.0), sigmoid(6, 8, 10.0, -10.0), sigmoid(9, 4, 30.0, -5.0), sigmoid(1, 4, 10.0, 2.0)],
        "momentum": [
            momentum(4, 5, [0, 1, 2, 3], 0.4),
            momentum(3, 5, [0, 1, 2, 0, 7, 8, 2, 2], 0.25),
            momentum(3, 4, [0, 1, 2, 9, 8], 0.0),
        ],
        "matching": [matching(2), matching(6)],
        "contrastive_distillation": [contrastive(5, 4, 7), contrastive(3, 6, 2)],
        "feature_distillation": features(4, 5),
        "token_distillation": [tokens(5, 7, 1.0), tokens(4, 6, 2.5)],
    }
    (HERE / "pairs.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
