"""Golden values for Whisper's English normaliser, sacrebleu's scores and scikit-learn's, as metrics.py for the others.

    python -m venv venv && venv/bin/pip install sacrebleu==2.6.0 scikit-learn==1.9.1 more-itertools==11.2.1 regex numpy
    venv/bin/pip download --no-deps --no-binary :all: openai-whisper==20250625 && tar xzf openai_whisper-20250625.tar.gz
    venv/bin/python scores.py openai_whisper-20250625/whisper

Written with Python 3.11 (Unicode 14), sacrebleu 2.6.0, scikit-learn 1.9.1, NumPy 2.4.6, openai-whisper 20250625; seed 20252.
Only Whisper's `normalizers` are loaded, which need no torch. The sentences are made up here, of the words of metrics.py.
"""

import importlib.util
import random
import sys
import types
from pathlib import Path

import numpy as np
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, top_k_accuracy_score

from metrics import EDGE, ODD, SPOKEN, WORDS, damaged, dump, sentence

SEED = 20252

NUMBERS = """zero oh o one two three four five six seven eight nine ten eleven twelve thirteen nineteen twenty thirty
forty fifty ninety hundred thousand million billion trillion decillion first second third fifth eighth nineth twelfth
twentieth thirtieth hundredth millionth ones twos sixes twenties nineties hundreds thousands zeroth minus negative plus
positive pound pounds euro euros dollar dollars cent cents per percent and double triple point and-a-half half a 0 1 2 7 10
12 20 45 100 101 1,000 12,345 3.14 0.5 1.0 007 $5 $0.07 \u00a37 \u20ac20 \u00a25 5% 50% 1st 2nd 3rd 4th 1960s 12th 10s 1s 7am
123456789012345678901234567890123456789 \u0663\u0664 \u0e55 \u0967\u0968 \u00bd \u00b2""".split()
SAID = """um uh hmm mhm mmm umbrella won't can't Let's ain't y'all wanna gotta gonna I'ma imma woulda coulda shoulda ma'am
Mr. Mrs. St. Dr. Prof Capt. Gov. Gen. Sen. Rep. Pres. Rev. Hon. Asst. Assoc. Lt. Col. Jr. Sr. Esq. he'd been she's gone they'd
done it's got don't we're he's I'd you'll 'twas I've I'm mr_x mrsa colour favourite theatre organise travelled grey
flavour centre licence jewellery aluminium tyre \u0141\u00f3d\u017a \u00c6sop \u00d8re stra\u00dfe caf\u00e9 na\u00efve
\u0111\u1ed3ng \u00de\u00f3r .5 5. U.S. 3.5.7 a.b $ \u00a3 % .% $x x% 5%% ..""".split()


def english(rng, path):
    package = types.ModuleType("normalizers")
    package.__path__ = [str(path / "normalizers")]
    sys.modules["normalizers"] = package
    normalize = importlib.import_module("normalizers.english").EnglishTextNormalizer()
    texts = list(EDGE)
    for _ in range(1500):
        texts.append(" ".join(rng.choice(NUMBERS) if rng.random() < 0.85 else rng.choice(WORDS)
                              for _ in range(rng.randint(1, 8))).replace("-", " "))
    for _ in range(1200):
        pick = lambda: rng.choice(rng.choice([NUMBERS, SAID, SAID, SPOKEN, ODD, WORDS]))
        texts.append(rng.choice(["", " ", " ", " "]).join(pick() for _ in range(rng.randint(1, 8))))
    texts.append(" ".join(rng.choice(NUMBERS + SAID + WORDS) for _ in range(1500)))
    dump("english.json", [[text, normalize(text)] for text in texts])


def text(rng):
    pairs = [["", [""]], ["", ["a"]], ["a", [""]], ["a b c d", ["a b c d"]]]
    for _ in range(700):
        first = sentence(rng, 1, 14, rng.choice([0.0, 0.3, 0.8]))
        references = [first] + [" ".join(damaged(rng, first.split(" "), 0.5, WORDS)) for _ in range(rng.randint(0, 2))]
        hypothesis = " ".join(damaged(rng, rng.choice(references).split(" "), rng.choice([0.0, 0.3, 0.9]), WORDS + ODD))
        pairs.append([hypothesis, references])
    pairs.append([" ".join(rng.choices(WORDS, k=400)), [" ".join(rng.choices(WORDS, k=350))]])
    most = max(len(references) for _, references in pairs)
    streams = [[references[i] if i < len(references) else None for _, references in pairs] for i in range(most)]
    hypotheses = [hypothesis for hypothesis, _ in pairs]
    bleu, chrf = BLEU(), CHRF()
    alone = lambda metric, h, r: metric.corpus_score([h], [[x] for x in r]).score
    few = slice(100, 110)
    dump("text.json", {
        "pairs": pairs,
        "tokens": [Tokenizer13a()(hypothesis.rstrip()) for hypothesis in hypotheses],
        "BLEU": bleu.corpus_score(hypotheses, streams).score,
        "chrF": chrf.corpus_score(hypotheses, streams).score,
        "alone": [[alone(bleu, h, r), alone(chrf, h, r)] for h, r in pairs],
        "few": [metric.corpus_score(hypotheses[few], [stream[few] for stream in streams]).score for metric in (bleu, chrf)],
    })


def classification(rng):
    generator = np.random.default_rng(rng.randrange(1 << 30))
    n, n_classes = 400, 12
    labels = generator.integers(0, n_classes - 2, n)
    logits = generator.normal(size=(n, n_classes)).round(3)
    logits[np.arange(n), labels] += generator.normal(1.5, 1.0, n).round(3)
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    predicted, confidence = logits.argmax(1), shares.max(1)
    correct = (predicted == labels).astype(float)
    # Guo et al.'s bins: above the lower end, up to the upper
    edges, ece = np.linspace(0, 1, 16), 0.0
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            ece += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    order = np.argsort(confidence)
    masses = [abs((correct[part] - confidence[part]).sum()) for part in np.array_split(order, 15)]
    dump("classification.json", {
        "labels": labels.tolist(), "logits": logits.round(6).ravel().tolist(), "n_classes": n_classes,
        "accuracy": accuracy_score(labels, predicted),
        "top-5 accuracy": top_k_accuracy_score(labels, logits, k=5, labels=np.arange(n_classes)),
        "mean per-class accuracy": balanced_accuracy_score(labels, predicted),
        "macro F1": f1_score(labels, predicted, average="macro"),
        "ECE": float(ece), "adaptive ECE": float(sum(masses) / n),
    })


if __name__ == "__main__":
    english(random.Random(SEED), Path(sys.argv[1]))
    text(random.Random(SEED + 1))
    classification(random.Random(SEED + 2))
