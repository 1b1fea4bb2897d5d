"""Times the metrics beside pycocoevalcap and jiwer, in turn, on made-up sentences; writes raw.csv and summary.md.

    python -m venv venv && venv/bin/pip install jiwer==4.0.0 pycocoevalcap==1.2
    venv/bin/python compare.py target/release/examples/metric_speed

Each round runs one and then the other. The captions are as long as COCO's (10.5 words), the utterances as LibriSpeech's
(20 words, every tenth word wrong). A Java runtime is needed for pycocoevalcap's tokenizer.
"""

import contextlib
import csv
import io
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

import jiwer
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

SEED = 20253
N_CAPTIONS, N_REFERENCES, N_UTTERANCES = 50_000, 5, 50_000
CAPTION_ROUNDS, TRANSCRIPT_ROUNDS = 3, 5


def words_of(rng, n):
    """Words of two to nine letters, used as often as words are: the k-th 1/k times as often as the first."""
    words = ["".join(rng.choices("etaoinshrdlucmfwypvbgkjqxz", range(26, 0, -1), k=rng.randint(2, 9))) for _ in range(n)]
    weights, total = [], 0.0
    for place in range(n):
        total += 1 / (place + 1)
        weights.append(total)
    return lambda k: rng.choices(words, cum_weights=weights, k=k)


def changed(rng, draw, words, rate):
    out = []
    for word in words:
        roll = rng.random()
        if roll > rate / 3:
            out.append(draw(1)[0] if roll < 2 * rate / 3 else word)
        if rng.random() < rate / 3:
            out += draw(1)
    return out


def make(rng):
    draw = words_of(rng, 20_000)
    captions = []
    for _ in range(N_CAPTIONS):
        first = draw(rng.randint(7, 14))
        texts = [changed(rng, draw, first, 0.9) for _ in range(N_REFERENCES + 1)]
        texts = [" ".join(text).capitalize() + rng.choice([".", ".", ""]) for text in texts]
        captions.append([texts[0], texts[1:]])
    transcripts = []
    for _ in range(N_UTTERANCES):
        reference = draw(rng.randint(5, 35))
        transcripts.append([" ".join(reference), " ".join(changed(rng, draw, reference, 0.1))])
    return captions, transcripts


def timed(work):
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        value = work()
    return time.perf_counter() - start, value


def coco(captions):
    hypotheses = {i: [{"caption": h}] for i, (h, _) in enumerate(captions)}
    references = {i: [{"caption": r} for r in rs] for i, (_, rs) in enumerate(captions)}
    tokenizer = PTBTokenizer()
    tokenize_s, (hypotheses, references) = timed(lambda: (tokenizer.tokenize(hypotheses), tokenizer.tokenize(references)))
    score_s, values = timed(lambda: [s.compute_score(references, hypotheses)[0] for s in (Cider(), Bleu(4), Rouge())])
    cider, bleu, rouge = values
    values = {"CIDEr-D": cider, **{f"BLEU-{n + 1}": 100 * b for n, b in enumerate(bleu)}, "ROUGE-L": 100 * rouge}
    return {"texts_to_scores_s": tokenize_s + score_s, "tokens_to_scores_s": score_s, "values": values}


def words(transcripts):
    references, hypotheses = [r for r, _ in transcripts], [h for _, h in transcripts]
    words_s, output = timed(lambda: jiwer.process_words(references, hypotheses))
    characters_s, characters = timed(lambda: jiwer.process_characters(references, hypotheses))
    return {"words_s": words_s, "words_and_characters_s": words_s + characters_s,
            "values": {"WER": output.wer, "CER": characters.cer}}


def main(program):
    captions, transcripts = make(random.Random(SEED))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for task, data, peer, peer_name, rounds in [
            ("captions", captions, coco, "pycocoevalcap 1.2", CAPTION_ROUNDS),
            ("transcripts", transcripts, words, "jiwer 4.0.0", TRANSCRIPT_ROUNDS),
        ]:
            path = os.path.join(folder, f"{task}.json")
            with open(path, "w") as file:
                json.dump(data, file)
            for round_number in range(rounds):
                ours = json.loads(subprocess.run([program, task, path], check=True, capture_output=True).stdout)
                theirs = peer(data)
                for name, value in theirs["values"].items():
                    assert abs(ours["values"][name] - value) < 1e-6, (name, ours["values"][name], value)
                for work in ours:
                    if work != "values":
                        rows.append([task, work[:-2], round_number, peer_name, ours[work], theirs[work]])
                        print(rows[-1], flush=True)
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "raw.csv"), "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["task", "work", "round", "peer", "triptych_s", "peer_s"])
        writer.writerows([*row[:4], f"{row[4]:.4f}", f"{row[5]:.4f}"] for row in rows)
    with open(os.path.join(here, "summary.md"), "w") as file:
        file.write("| work | triptych, s | peer, s | peer | times as fast, median [lowest, highest] |\n|---|---|---|---|---|\n")
        for work in dict.fromkeys(tuple(row[:2]) for row in rows):
            these = [row for row in rows if tuple(row[:2]) == work]
            ratios = sorted(row[5] / row[4] for row in these)
            file.write(f"| {work[0]}: {work[1].replace('_', ' ')} | {statistics.median(row[4] for row in these):.3f} | "
                       f"{statistics.median(row[5] for row in these):.2f} | {these[0][3]} | "
                       f"{statistics.median(ratios):.1f} [{ratios[0]:.1f}, {ratios[-1]:.1f}] |\n")


if __name__ == "__main__":
    main(sys.argv[1])
