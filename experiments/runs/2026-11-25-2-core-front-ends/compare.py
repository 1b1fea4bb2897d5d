#!/usr/bin/env python3
"""Runs the program's front ends and their peers in turn on one core; writes raw.csv and summary.md.

    cargo build --release -p triptych-datasets --example front_ends
    python3 compare.py target/release/examples/front_ends INPUTS PYTHON [WORK]

INPUTS is a folder for the inputs, made if missing; PYTHON an interpreter with Pillow 11.3, as this one has Pillow 13. WORK
does only what has it in its name, and keeps the other lines of both files.
"""

import csv
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
ROUNDS, CORE = 5, "0"
PICTURES = ["500x375.jpg", "640x480.jpg", "1920x1080.jpg"]
# work, size, input, repeats a round, ours, peers
WORK = [
    ("log-mel, 80 bands, 30 s", 80, "sound.npy", 20, "log-mel", ["whisper", "torchaudio-log-mel"]),
    ("log-mel, 128 bands, 30 s", 128, "sound.npy", 20, "log-mel", ["whisper", "torchaudio-log-mel"]),
    ("fbank, 80 bands, 30 s", 80, "sound.npy", 20, "fbank", ["torchaudio-fbank"]),
    *[(f"JPEG {name[:-4]} to 224", 224, name, 20, "picture", ["pillow-13", "pillow-11"]) for name in PICTURES],
]


def run(command, size, repeats, path, out):
    one_core = dict(os.environ, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", RAYON_NUM_THREADS="1")
    arguments = ["taskset", "-c", CORE, *command, str(size), str(repeats), str(path), str(out)]
    done = subprocess.run(arguments, env=one_core, check=True, capture_output=True, text=True)
    return [float(line) for line in done.stdout.split()]


def read(path):
    with open(path, newline="") as file:
        return [tuple(row) for row in csv.reader(file)]


def main():
    program, inputs, python_11, only = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3], "".join(sys.argv[4:])
    peers = [sys.executable, str(HERE / "peers.py")]
    peers_11 = [python_11, str(HERE / "peers.py")]
    if not (inputs / "sound.npy").exists():
        subprocess.run([*peers, "inputs", str(inputs)], check=True)
    rows, lines = [], []
    with tempfile.TemporaryDirectory() as folder:
        for work, size, name, repeats, ours, others in WORK:
            if only not in work:
                rows += [row for row in read(HERE / "raw.csv") if row[0] == work]
                lines += [line for line in (HERE / "summary.md").read_text().splitlines() if line[2:].startswith(work)]
                continue
            found = {}
            for round_idx in range(ROUNDS):
                for who in ["triptych", *others]:
                    command = [*(peers_11 if who == "pillow-11" else peers), who]
                    command = [program, ours] if who == "triptych" else command
                    out = pathlib.Path(folder) / f"{who}.npy"
                    times = run(command, size, repeats, inputs / name, out)
                    found.setdefault(who, []).extend(times)
                    rows += [(work, who, round_idx, f"{time:.4f}") for time in times]
            made = {who: np.load(pathlib.Path(folder) / f"{who}.npy").astype(float) for who in found}
            own = statistics.median(found["triptych"])
            for who in found:
                low, middle, high = statistics.quantiles(found[who], n=4)
                ratio = f"{middle / own:.2f}" if who != "triptych" else ""
                apart = f"{np.abs(made[who] - made['triptych']).max():.2g}" if who != "triptych" else ""
                lines.append(f"| {work} | {who} | {middle:.2f} | {low:.2f} to {high:.2f} | {ratio} | {apart} |")
                print(lines[-1], flush=True)
    with open(HERE / "raw.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["work", "who", "round", "ms"])
        writer.writerows(rows)
    head = "| work | who | median ms | quartiles | times ours | largest difference |\n|---|---|---|---|---|---|\n"
    (HERE / "summary.md").write_text(head + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
