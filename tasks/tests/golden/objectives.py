"""Golden values for the objectives: PyTorch code of each reference's definition, run in double precision.

    python -m venv venv && venv/bin/pip install torch
    venv/bin/python objectives.py

Written with Python 3.11.7, PyTorch 2.15; seed 20255. Inputs are exact in float32. What is written out here: label smoothing
by `torch.nn.functional.cross_entropy`; MAE's `patchify` and `forward_loss` (facebookresearch/mae, models_mae.py); BEST-RQ's
targets (Chiu et al. 2022, section 3.1); CR-CTC as in icefall's zipformer/model.py; the hybrid of CTC and attention as in
ESPnet (mtlalpha 0.3); CTC prefix scores by adding up the probability of every labelling of a few frames.
"""

import itertools
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F

SEED = 20255
HERE = Path(__file__).parent
g = torch.Generator().manual_seed(SEED)


def normal(*shape, scale=1.0):
    return (torch.randn(*shape, generator=g) * scale).float().double()


def ints(low, high, n):
    return torch.randint(low, high, (n,), generator=g).tolist()


def flat(x):
    """Nine digits: what is exact in float32 is read as the same number."""
    return [float(f"{value:.9g}") for value in x.detach().reshape(-1).tolist()]


def label_smoothing():
    cases = []
    for n, classes, smoothing in [(5, 7, 0.1), (4, 3, 0.0), (6, 11, 0.3)]:
        logits = normal(n, classes, scale=2.0).requires_grad_()
        targets = torch.tensor(ints(0, classes, n))
        # rows of weight 0 are padding
        weight = torch.tensor([1.0] * (n - 1) + [0.0]).double()
        losses = F.cross_entropy(logits, targets, reduction="none", label_smoothing=smoothing)
        loss = (losses * weight).sum() / weight.sum()
        loss.backward()
        cases.append({
            "n": n, "classes": classes, "smoothing": smoothing, "logits": flat(logits), "targets": targets.tolist(),
            "weight": weight.tolist(), "loss": loss.item(), "grad": flat(logits.grad),
        })
    return cases


def patchify(imgs, p):
    h = w = imgs.shape[2] // p
    x = imgs.reshape(imgs.shape[0], 3, h, p, w, p)
    x = torch.einsum("nchpwq->nhwpqc", x)
    return x.reshape(imgs.shape[0], h * w, p**2 * 3)


def mae():
    cases = []
    for n, side, p, norm_pix_loss in [(2, 8, 4, True), (2, 6, 2, True), (1, 8, 4, False)]:
        imgs = normal(n, 3, side, side)
        target = patchify(imgs, p)
        n_patches = target.shape[1]
        mask = torch.zeros(n, n_patches).double()
        for row in range(n):
            mask[row, torch.randperm(n_patches, generator=g)[: n_patches * 3 // 4]] = 1
        pred = normal(*target.shape).requires_grad_()
        if norm_pix_loss:
            mean = target.mean(dim=-1, keepdim=True)
            var = target.var(dim=-1, keepdim=True)
            target = (target - mean) / (var + 1.0e-6) ** 0.5
        loss = (pred - target) ** 2
        loss = loss.mean(dim=-1)
        loss = (loss * mask).sum() / mask.sum()
        loss.backward()
        cases.append({
            "n": n, "side": side, "patch": p, "normalise": norm_pix_loss,
            "pixels": flat(imgs.permute(0, 2, 3, 1)), "mask": flat(mask), "predicted": flat(pred),
            "loss": loss.item(), "grad": flat(pred.grad),
        })
    return cases


def best_rq():
    cases = []
    for n, d_in, d_code, n_codes in [(25, 24, 8, 32), (15, 12, 4, 100)]:
        frames = normal(n, d_in, scale=3.0) + 1.0
        frames = frames.float().double()
        projection = normal(d_in, d_code, scale=0.3)
        codes = normal(n_codes, d_code)
        x = F.normalize(F.layer_norm(frames, (d_in,)) @ projection, dim=1)
        distances = torch.cdist(x, F.normalize(codes, dim=1))
        nearest = distances.topk(2, largest=False).values
        assert (nearest[:, 1] - nearest[:, 0]).min() > 1e-5, "two codes are equally near"
        cases.append({
            "d_in": d_in, "d_code": d_code, "frames": flat(frames), "projection": flat(projection),
            "codes": flat(codes), "nearest": distances.argmin(1).tolist(),
        })
    return cases


def texts(lengths, n_labels):
    return [ints(1, n_labels, length) for length in lengths]


def ctc(log_probs, lengths, targets):
    return F.ctc_loss(
        log_probs.transpose(0, 1), torch.tensor([label for text in targets for label in text], dtype=torch.long),
        torch.tensor(lengths), torch.tensor([len(text) for text in targets]), reduction="none", zero_infinity=True,
    )


def cr_ctc():
    cases = []
    for batch, n_frames, n_labels, lengths, text_lengths, scale in [
        (2, 6, 5, [6, 4], [3, 2], 0.2), (3, 5, 4, [5, 5, 2], [2, 0, 4], 0.2), (1, 8, 6, [8], [4], 1.0),
    ]:
        a, b = (normal(batch, n_frames, n_labels, scale=1.5).requires_grad_() for _ in range(2))
        targets = texts(text_lengths, n_labels)
        ctc_output = torch.cat([a, b]).log_softmax(2)
        exchanged = ctc_output.detach().chunk(2, dim=0)
        exchanged = torch.cat([exchanged[1], exchanged[0]], dim=0)
        cr_loss = F.kl_div(input=ctc_output, target=exchanged, reduction="none", log_target=True)
        pad = torch.arange(n_frames)[None, :] >= torch.tensor(lengths * 2)[:, None]
        cr_loss = cr_loss.masked_fill(pad.unsqueeze(-1), 0.0).sum((1, 2))
        ctc_loss = ctc(ctc_output, lengths * 2, targets * 2)
        loss = (ctc_loss * 0.5 + scale * cr_loss * 0.5).reshape(2, batch).sum(0)
        loss.sum().backward()
        cases.append({
            "n_frames": n_frames, "n_labels": n_labels, "lengths": lengths, "texts": targets, "scale": scale,
            "a": flat(a), "b": flat(b), "losses": flat(loss), "grad_a": flat(a.grad), "grad_b": flat(b.grad),
        })
    return cases


def hybrid():
    """0.3 CTC (each row by its text's length) + 0.7 attention."""
    batch, n_frames, n_labels, lengths = 3, 7, 6, [7, 5, 6]
    targets = texts([3, 2, 4], n_labels)
    logits = normal(batch, n_frames, n_labels, scale=1.5).requires_grad_()
    written = normal(9, n_labels, scale=1.5).requires_grad_()
    loss_ctc = (ctc(logits.log_softmax(2), lengths, targets) / torch.tensor([3.0, 2.0, 4.0]).double()).mean()
    loss_att = F.cross_entropy(written, torch.tensor([label for text in targets for label in text]), label_smoothing=0.1)
    loss = 0.3 * loss_ctc + (1 - 0.3) * loss_att
    loss.backward()
    return {
        "n_frames": n_frames, "n_labels": n_labels, "lengths": lengths, "texts": targets, "logits": flat(logits),
        "written": flat(written), "loss": loss.item(), "grad_logits": flat(logits.grad),
        "grad_written": flat(written.grad),
    }


def prefix_scores():
    """log p(the text begins with a prefix), and log p(it is the prefix), by adding up every path."""
    cases = []
    for n_frames, n_labels in [(4, 3), (5, 4)]:
        log_p = normal(n_frames, n_labels, scale=1.5).log_softmax(1).float().double()
        totals = {}
        for path in itertools.product(range(n_labels), repeat=n_frames):
            text = tuple(label for label, _ in itertools.groupby(path) if label != 0)
            p = math.exp(sum(log_p[frame, label].item() for frame, label in enumerate(path)))
            totals[text] = totals.get(text, 0.0) + p
        prefixes = sorted({text[:n] for text in totals for n in range(len(text) + 1)})
        rows = []
        for prefix in prefixes:
            begins = sum(p for text, p in totals.items() if text[: len(prefix)] == prefix)
            whole = totals.get(prefix, 0.0)
            rows.append([list(prefix), math.log(begins), math.log(whole) if whole else None])
        cases.append({"n_labels": n_labels, "frames": flat(log_p), "prefixes": rows[::4]})
    return cases


(HERE / "objectives.json").write_text(json.dumps({
    "label_smoothing": label_smoothing(), "mae": mae(), "best_rq": best_rq(), "cr_ctc": cr_ctc(), "hybrid": hybrid(),
    "prefix_scores": prefix_scores(),
}, separators=(",", ":")) + "\n")
