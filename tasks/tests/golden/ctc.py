"""Makes ngram.arpa and ctc.json: n-gram scores by kenlm, prefix beam search by pyctcdecode.

    pip install pyctcdecode==0.5.0 kenlm==0.3.0
    python ctc.py
"""

import json
import logging
import math
import random
from pathlib import Path

import kenlm
import numpy as np
from pyctcdecode import build_ctcdecoder

logging.disable(logging.WARNING)
HERE = Path(__file__).parent
random.seed(7)
rng = np.random.default_rng(7)

# ---- a trigram model, pruned so that some endings of an n-gram are no n-grams
WORDS = ["a", "ab", "b", "ba", "bab", "cab", "c", "ca", "abc", "bc"]


def number(low, high):
    return round(random.uniform(low, high), 4)


def arpa():
    unigrams = ["<unk>", "<s>", "</s>", *WORDS]
    starts = ["<s>", *WORDS]
    ends = ["</s>", *WORDS]
    pairs = [(a, b) for a in starts for b in ends if random.random() < 0.35]
    triples = [(a, b, c) for a, b in pairs if b != "</s>" for c in ends if random.random() < (0.4 if (b, c) in pairs else 0.03)]
    random.shuffle(pairs)
    lines = ["\\data\\", f"ngram 1={len(unigrams)}", f"ngram 2={len(pairs)}", f"ngram 3={len(triples)}", ""]
    lines += ["\\1-grams:"]
    for word in unigrams:
        backoff = "" if word in ("<unk>", "</s>") else f"\t{number(-1.0, 0.0)}"
        lines.append(f"{-99 if word == '<s>' else number(-2.5, -0.5)}\t{word}{backoff}")
    lines += ["", "\\2-grams:"]
    lines += [f"{number(-2.0, -0.1)}\t{a} {b}" + ("" if b == "</s>" else f"\t{number(-1.0, 0.0)}") for a, b in pairs]
    lines += ["", "\\3-grams:"]
    lines += [f"{number(-1.5, -0.05)}\t{' '.join(triple)}" for triple in triples]
    return "\n".join([*lines, "", "\\end\\", ""])


(HERE / "ngram.arpa").write_text(arpa())
model = kenlm.Model(str(HERE / "ngram.arpa"))
sentences = ["", "a", "zebra", "a zebra b"]
sentences += [" ".join(random.choices([*WORDS, "zzz"], k=random.randint(1, 9))) for _ in range(80)]
scores = [[sentence, model.score(sentence, bos=True, eos=True)] for sentence in sentences]

# ---- prefix beam search, wide enough that nothing is lost
CHARACTERS = ["", " ", "a", "b", "c"]
PIECES = ["", "▁a", "▁b", "▁c", "a", "b", "c", "▁ab"]


def frames(n_frames, labels):
    logits = rng.normal(0.0, 2.0, (n_frames, len(labels)))
    if " " in labels:
        # a letter ends every text: pyctcdecode takes a space at the end for one more word, an empty one
        logits[-1, :2] = -50.0
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return np.round(logits, 5)


def case(labels, log_probabilities, alpha, beta, hot_words):
    lm = dict(kenlm_model_path=str(HERE / "ngram.arpa"), unigrams=WORDS, alpha=alpha, beta=beta) if alpha is not None else {}
    decoder = build_ctcdecoder(labels, **lm)
    beams = decoder.decode_beams(
        log_probabilities, beam_width=20000, beam_prune_logp=-1e9, token_min_logp=-1e9,
        hotwords=hot_words or None, hotword_weight=4.0,
    )
    best = [[text, float(sound), float(everything)] for text, _, _, sound, everything in beams[:5]]
    return {
        "labels": labels, "frames": log_probabilities.flatten().tolist(), "alpha": alpha, "beta": beta,
        "hot_words": hot_words, "best": best,
    }


cases = []
for labels in (CHARACTERS, PIECES):
    for i in range(8):
        sound = frames(5, labels)
        for alpha, beta, hot_words in ((None, 0.0, []), (0.5, 1.5, []), (0.8, -0.5, ["ab", "cab"])):
            cases.append(case(labels, sound, alpha, beta, hot_words))

(HERE / "ctc.json").write_text(json.dumps({"sentences": scores, "cases": cases}, separators=(",", ":")) + "\n")
print(len(cases), [c["best"][:2] for c in cases[:3]], math.log(10))
