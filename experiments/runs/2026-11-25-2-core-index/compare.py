"""Times exact top-10 search beside faiss's IndexFlatIP, in turn, on random unit vectors; writes raw.csv and summary.md.

    python -m venv venv && venv/bin/pip install faiss-cpu==1.15.1 numpy
    venv/bin/python compare.py target/release/examples/index_speed [FOLDER]

FOLDER takes 4.5 GB. Each round runs one and then the other, both with two threads. Rows found must be the same but for scores
that differ by less than 1e-5.
"""

import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import faiss
import numpy as np

SEED, N_ROWS, N_QUERIES, D, K, N_THREADS, ROUNDS = 20261125, 1_000_000, 10_000, 256, 10, 2, 3
STORED = [("f32", "f32", None, None), ("f16", "f16", None, None), ("i8", "i8", "f16", 4 * K)]


def unit_vectors(rng, n):
    rows = rng.standard_normal((n, D), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def run(*arguments):
    env = {**os.environ, "RAYON_NUM_THREADS": str(N_THREADS)}
    return json.loads(subprocess.run(arguments, check=True, capture_output=True, env=env).stdout)


def main(program, folder):
    faiss.omp_set_num_threads(N_THREADS)
    rng = np.random.default_rng(SEED)
    rows, queries = unit_vectors(rng, N_ROWS), unit_vectors(rng, N_QUERIES)
    rows_path, queries_path = os.path.join(folder, "rows.npy"), os.path.join(folder, "queries.npy")
    np.save(rows_path, rows), np.save(queries_path, queries)
    flat = faiss.IndexFlatIP(D)
    flat.add(rows)
    paths, sizes, builds = {}, {}, {}
    for name, element, originals, _ in STORED:
        paths[name] = os.path.join(folder, f"{name}.index")
        built = run(program, "build", rows_path, paths[name], element, originals or "none")
        sizes[name], builds[name] = built["bytes"], built["build_s"]
    table, recalls = [], {}
    for round_number in range(ROUNDS):
        start = time.perf_counter()
        scores, found = flat.search(queries, K)
        faiss_s = time.perf_counter() - start
        for name, _, _, candidates in STORED:
            if round_number > 0 and name != "f32":
                continue
            extra = [str(candidates)] if candidates else []
            ours = run(program, "query", paths[name], queries_path, str(K), "1", *extra)
            table.append([name, round_number, ours["query_s"][0], faiss_s, ours["open_s"]])
            print(table[-1], flush=True)
            own = np.fromfile(paths[name] + ".found", dtype="<u4").reshape(N_QUERIES, K)
            if name == "f32":
                places = np.argwhere(own != found)
                for query, place in places:
                    score = float(rows[own[query, place]] @ queries[query])
                    assert abs(score - scores[query, place]) < 1e-5, (query, place)
            recalls[name] = np.mean([len(np.intersect1d(a, b)) / K for a, b in zip(own, found)])
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "raw.csv"), "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["stored", "round", "triptych_s", "faiss_s", "triptych_open_s"])
        writer.writerows([*row[:2], *(f"{value:.4f}" for value in row[2:])] for row in table)
    with open(os.path.join(here, "summary.md"), "w") as file:
        file.write("| rows stored as | file, GB | build, s | triptych, s | faiss f32, s | times as fast, median [lowest, highest] | recall@10 |\n"
                   "|---|---|---|---|---|---|---|\n")
        for name, *_ in STORED:
            these = [row for row in table if row[0] == name]
            ratios = sorted(row[3] / row[2] for row in these)
            file.write(f"| {name} | {sizes[name] / 1e9:.2f} | {builds[name]:.1f} | {statistics.median(r[2] for r in these):.2f} | "
                       f"{statistics.median(r[3] for r in these):.2f} | {statistics.median(ratios):.2f} "
                       f"[{ratios[0]:.2f}, {ratios[-1]:.2f}] | {recalls[name]:.4f} |\n")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        main(sys.argv[1], sys.argv[2])
    else:
        with tempfile.TemporaryDirectory() as made:
            main(sys.argv[1], made)
