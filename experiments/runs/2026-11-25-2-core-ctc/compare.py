"""Times CTC forward and backward beside PyTorch's, in turn; writes raw.csv and summary.md.

    cargo bench -p triptych-encoders --bench ops --no-run        # prints the program's path
    python -m venv venv && venv/bin/pip install torch==2.15.0
    venv/bin/python compare.py PROGRAM

16 samples of 500 frames, 500 labels and targets of 64, log-softmax included, float32; every round takes the median of 20 steps
of each.
"""

import csv
import os
import re
import statistics
import subprocess
import sys
import time

import torch

BATCH, N_FRAMES, N_LABELS, LENGTH, STEPS, ROUNDS, THREADS = 16, 500, 500, 64, 20, 5, (1, 2)


def ours(program, n_threads):
    env = {**os.environ, "RAYON_NUM_THREADS": str(n_threads)}
    text = subprocess.run([program, "--bench", "ctc::fused"], check=True, capture_output=True, text=True, env=env).stdout
    line = next(line for line in text.splitlines() if f"[{BATCH}, {N_FRAMES}, {N_LABELS}, {LENGTH}]" in line)
    value, unit = re.match(r"\s*([\d.]+) (\S+)", line.split("│")[2]).groups()
    return float(value) * {"s": 1000, "ms": 1, "µs": 1e-3}[unit]


def theirs(n_threads):
    torch.set_num_threads(n_threads)
    logits = (torch.randn(BATCH, N_FRAMES, N_LABELS) * 0.5).requires_grad_()
    targets = torch.tensor([[(b * 13 + i * 7) % (N_LABELS - 1) + 1 for i in range(LENGTH)] for b in range(BATCH)])
    frames, lengths = torch.full((BATCH,), N_FRAMES), torch.full((BATCH,), LENGTH)
    times = []
    for _ in range(STEPS + 3):
        logits.grad = None
        start = time.perf_counter()
        log_p = logits.log_softmax(2).transpose(0, 1)
        loss = torch.nn.functional.ctc_loss(log_p, targets, frames, lengths, reduction="none", zero_infinity=True)
        loss.sum().backward()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[3:])


def main(program):
    rows = []
    for round_number in range(ROUNDS):
        for n_threads in THREADS:
            rows.append([n_threads, round_number, ours(program, n_threads), theirs(n_threads)])
            print(rows[-1], flush=True)
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "raw.csv"), "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["threads", "round", "triptych_ms", "pytorch_ms"])
        writer.writerows([*row[:2], f"{row[2]:.2f}", f"{row[3]:.2f}"] for row in rows)
    with open(os.path.join(here, "summary.md"), "w") as file:
        file.write("| threads | triptych, ms | PyTorch, ms | times as fast, median [lowest, highest] |\n|---|---|---|---|\n")
        for n_threads in THREADS:
            these = [row for row in rows if row[0] == n_threads]
            ratios = sorted(row[3] / row[2] for row in these)
            file.write(f"| {n_threads} | {statistics.median(r[2] for r in these):.1f} | {statistics.median(r[3] for r in these):.1f} | "
                       f"{statistics.median(ratios):.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}] |\n")


if __name__ == "__main__":
    main(sys.argv[1])
