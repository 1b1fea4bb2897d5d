"""Golden values for triptych_tasks::metrics, by the implementations that papers use.

    python -m venv venv && venv/bin/pip install jiwer==4.0.0 pycocoevalcap==1.2 regex numpy
    venv/bin/pip download --no-deps --no-binary :all: openai-whisper==20250625 && tar xzf openai_whisper-20250625.tar.gz
    venv/bin/python metrics.py openai_whisper-20250625/whisper/normalizers/basic.py

Written with Python 3.11.7 (Unicode 14), jiwer 4.0.0 (RapidFuzz 3.14.6), pycocoevalcap 1.2 (Stanford CoreNLP 3.4.1 on
OpenJDK 17.0.15), openai-whisper 20250625, NumPy 2.4.6; seed 20251. Only Whisper's `basic.py` is loaded: it needs no torch.

The sentences are made up here. Two things the references do are kept out on purpose: the caption tokenizer reads all
captions as one file, so that `no.` at a caption's end looks at the next one, and a line separator in a caption breaks
that file.
"""

import contextlib
import importlib.util
import io
import json
import random
import sys
from pathlib import Path

import jiwer
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

SEED = 20251
HERE = Path(__file__).parent

WORDS = """a the two three some man woman dog cat child people horse bus train street table field snow beach kitchen
red black small large old wooden sitting standing riding holding looking running near on in with under behind of and
is are to down up front top side phone umbrella pizza skateboard surfboard tennis ball frisbee clock tower sign
giraffe zebra elephant motorcycle bicycle laptop sandwich banana""".split()
ODD = """T-shirt well-known O'Brien women's don't can't isn't it's he'll they've I'm I'd who's cannot gonna 'em rock'n'roll
o'clock ma'am Mr. Dr. St. U.S. p.m. e.g. etc. vs. jr. inc. street's dogs' 1 2 10 1st 1990s '90s 1,000 3.5 12:30
10-year-old 4x4 1/2 50% $5 #1 and/or he/she b&w AT&T caf\u00e9 na\u00efve \u00dcn\u00ef don\u2019t it\u2019s \u201csmart\u201d
\u2018quote\u2019 (paren) [br] {c} "quoted" 'single' ... ! !! ? ?! , ; : - -- \u2014 * & / + = @ _ \u00b0 \u00bd \u00a35
\U0001f600 \u2764 \u2605 \u2122 \u0645\u0631\u062d\u0628\u0627\u060c \u0e04\u0e38\u0e13 \u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22
\u65e5\u672c\u3002 x-ray's end.start yes/no/maybe -5 non-stop 6'2" V8""".split()
SPOKEN = """[noise] [laughter] <unk> (cough) HELLO Don't, U.S.A. 3.14 $5 50% \uff26\uff55\uff4c\uff4c \ufb01sh \u2122 \u00bd \u2460
stra\u00dfe \u0130stanbul \u03a3\u039f\u03a3 e\u0301te\u0301 \u0645\u064e\u0631\u0652\u062d\u064e\u0628\u064b\u0627 \u0e44\u0e17\u0e22
\u0928\u092e\u0938\u094d\u0924\u0947 \U0001f44d\U0001f3fd \u2764\ufe0f \u3000 \u00a0 \t - _ ' "q" () ( ) [ ] < > [a (b) c] x\u200by \u00ad""".split(" ")
EDGE = ["", " ", "  \t ", "a", ".", "()", "[]", "((a))", "<a b", "a] b [c", "\U0001f600", "\u0645\u0631\u062d\u0628\u0627",
        "a\tb", "a \t b", "a\u00a0b", "a\u00a0\u00a0b", " lead", "trail ", "a  b", "\u001fa\u001f", "a\u3000b"]


def dump(name, value):
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    (HERE / name).write_text(text + "\n", encoding="utf-8")
    print(name, len(text.encode()), "bytes")


def sentence(rng, shortest, longest, odd):
    pick = lambda: rng.choice(ODD) if rng.random() < odd else rng.choice(WORDS)
    return " ".join(pick() for _ in range(rng.randint(shortest, longest)))


def damaged(rng, tokens, rate, alphabet):
    out = []
    for token in tokens:
        roll = rng.random()
        if roll < rate / 3:
            continue
        out.append(rng.choice(alphabet) if roll < 2 * rate / 3 else token)
        if rng.random() < rate / 3:
            out.append(rng.choice(alphabet))
    return out


def counts(output):
    return [output.hits, output.substitutions, output.deletions, output.insertions]


def word_errors(rng):
    pairs = [[reference, hypothesis] for reference in EDGE for hypothesis in ("", "a", "a b", reference)]
    for _ in range(1200):
        reference = sentence(rng, 1, 12, 0.15)
        hypothesis = " ".join(damaged(rng, reference.split(" "), rng.choice([0.0, 0.2, 0.6, 1.5]), WORDS[:12]))
        if rng.random() < 0.3:
            hypothesis = "".join(damaged(rng, hypothesis, 0.2, "abcde "))
        pairs.append([reference, hypothesis])
    # few symbols, so that many alignments tie
    for _ in range(600):
        pairs.append([" ".join(rng.choices("abc", k=rng.randint(0, 14))) for _ in range(2)])
    for length in (70, 300, 900):
        pairs.append([" ".join(rng.choices("abcd", k=length)) for _ in range(2)])
    # long enough that the references are aligned in halves, which changes the counts of some
    for symbols in (2, 4, 8, 16) * 4:
        reference = rng.choices("abcdefghijklmnop"[:symbols], k=rng.randint(2200, 2600))
        hypothesis = [c if rng.random() < 0.5 else rng.choice(reference) * rng.randint(0, 2) for c in reference]
        pairs.append(["".join(reference), "".join(hypothesis)])

    references, hypotheses = (list(side) for side in zip(*pairs))
    words = jiwer.process_words(references, hypotheses)
    characters = jiwer.process_characters(references, hypotheses)
    dump("word_errors.json", {
        "pairs": pairs,
        "words": [counts(jiwer.process_words(r, h)) for r, h in pairs],
        "characters": [counts(jiwer.process_characters(r, h)) for r, h in pairs],
        "rates": [[o.wer, o.mer, o.wil] for o in (jiwer.process_words(r, h) for r, h in pairs[:400])],
        "corpus": {"WER": words.wer, "MER": words.mer, "WIL": words.wil, "CER": characters.cer},
    })


def normalizer(rng, path):
    spec = importlib.util.spec_from_file_location("basic", path)
    basic = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(basic)
    normalize = basic.BasicTextNormalizer()
    texts = list(EDGE)
    for _ in range(700):
        tokens = [rng.choice(SPOKEN + ODD) if rng.random() < 0.6 else rng.choice(WORDS) for _ in range(rng.randint(1, 7))]
        texts.append(rng.choice(["", " "]).join(tokens))
    dump("normalizer.json", [[text, normalize(text)] for text in texts])


def scored(hypotheses, references):
    with contextlib.redirect_stdout(io.StringIO()):
        bleu, bleu_images = Bleu(4).compute_score(references, hypotheses)
    cider, cider_images = Cider().compute_score(references, hypotheses)
    rouge, rouge_images = Rouge().compute_score(references, hypotheses)
    rounded = lambda values: [round(float(value), 10) for value in values]
    return {
        "BLEU": rounded(bleu), "CIDEr-D": float(cider), "ROUGE-L": float(rouge),
        "images": {"BLEU-1": rounded(bleu_images[0]), "BLEU-4": rounded(bleu_images[3]),
                   "CIDEr-D": rounded(cider_images), "ROUGE-L": rounded(rouge_images)},
    }


def captions(rng):
    images = []
    for image in range(300):
        first = sentence(rng, 4, 14, 0.12)
        references = [first] + [
            " ".join(damaged(rng, first.split(" "), rng.choice([0.3, 0.9, 1.5]), WORDS)) for _ in range(rng.randint(0, 4))
        ]
        hypothesis = " ".join(damaged(rng, rng.choice(references).split(" "), rng.choice([0.0, 0.3, 0.9]), WORDS))
        images.append([hypothesis.capitalize() + rng.choice(["", ".", " !"]), references])
    images.append(["", ["a dog"]])
    images.append(["...", ["a dog", "!"]])
    images.append([" ".join(rng.choices(WORDS, k=250)), [" ".join(rng.choices(WORDS, k=200))]])
    images.append(["the the the the", ["the cat the", "a the"]])

    flat = [[hypothesis] + references for hypothesis, references in images]
    tokens = PTBTokenizer().tokenize({i: [{"caption": c} for c in group] for i, group in enumerate(flat)})
    hypotheses = {i: tokens[i][:1] for i in tokens}
    references = {i: tokens[i][1:] for i in tokens}
    few = lambda table, n: {i: table[i] for i in range(n)}
    dump("captions.json", {
        "images": images,
        "tokens": [tokens[i] for i in range(len(images))],
        "all": scored(hypotheses, references),
        "one": scored(few(hypotheses, 1), few(references, 1)),
        "two": scored(few(hypotheses, 2), few(references, 2)),
    })


def tokens(rng):
    texts = [sentence(rng, 1, 8, 0.6) for _ in range(1500)]
    texts = [text for text in texts if not text.lower().endswith("no.")] + ["end"]
    out = PTBTokenizer().tokenize({i: [{"caption": text}] for i, text in enumerate(texts)})
    dump("tokens.json", [[text, out[i][0]] for i, text in enumerate(texts)])


if __name__ == "__main__":
    word_errors(random.Random(SEED))
    normalizer(random.Random(SEED + 1), sys.argv[1])
    captions(random.Random(SEED + 2))
    tokens(random.Random(SEED + 3))
