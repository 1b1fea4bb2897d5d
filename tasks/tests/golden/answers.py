"""Golden values for answers to questions, by the VQA evaluation tools.

    git clone https://github.com/GT-Vision-Lab/VQA && git -C VQA checkout a013f0043c1e2cdc995922dfe257f7149aa9af06
    python answers.py VQA/PythonEvaluationTools/vqaEvaluation/vqaEval.py

Written with Python 3.11, seed 20253. The tools are for Python 2: their `print` statements are left out, and `\\d` is made to mean
an ASCII digit as it does there. Figures are taken before they are rounded. Answers are made up here.
"""

import json
import random
import re
import sys
import types
from pathlib import Path

SEED = 20253

ODD = [
    "", " ", ".", "...", "a", "the", "A.", "an  apple", "The Red one", "1,000", "10,000 people, or so", "2.5", "3 . 5", ".5",
    "U.S.A.", "U.S. 1.5", "black/white", "black / white", "black-and-white", "don't know", "dont know", "couldnt've",
    "it's 5 o'clock", "5 oclock", "Im", "IM FINE", "none", "None of the ten", "zero", "ten", "eleven", "t-shirt", "t - shirt",
    "yes!", "yes !", "no?", "(left)", "[right]", "{both}", "a<b", "a = b", "x@y.z", "`quoted`", '"quoted"', 'say "hi" now',
    "under_score", "back\\slash", "semi;colon", "semi ; colon", "tab\tin", "line\nbreak", "  spaces  ", "caf\u00e9", "\u00c9t\u00e9",
    "\u0130stanbul", "\u0e44\u0e17\u0e22", "\u0661\u066c\u0662", "\u0661,\u0662", "\u05d0\u05d1", "\U0001f431", "1,2", "1, 2", ",", "a, b,c",
    "no\u00a0break", "file\x1cseparator", "." * 40, "a." * 40, "1." * 40, "it'll", "itll", "yall'd've", "somebody'd", "ows'at", "'ow'sat",
]
WORDS = """yes no red blue green white black a the an one two three 2 3 10 1,000 left right cat dog t-shirt it's its dont can't
man woman none nothing on table. tennis, racket? ball! 2.5 o'clock oclock theyre they're of in""".split()


def evaluator(path):
    """The module of the tools, and what it computes for each question."""
    source = Path(path).read_text(encoding="utf-8")
    source = re.sub(r"^(\s*)print .*$", r"\1pass", source, flags=re.MULTILINE)
    source = re.sub(r're\.compile\((".*")\)', r"re.compile(\1, re.ASCII)", source)
    module = types.ModuleType("vqaEval")
    exec(compile(source, path, "exec"), module.__dict__)
    return module.VQAEval


def accuracies(tools, questions):
    """Each question's accuracy, as the tools keep it for their mean."""
    ids = list(range(len(questions)))
    gts = {
        idx: {
            "answers": [{"answer": answer, "answer_id": n + 1} for n, answer in enumerate(given)],
            "question_type": "what",
            "answer_type": "other",
        }
        for idx, (_, given) in enumerate(questions)
    }
    vqa = types.SimpleNamespace(qa=gts, getQuesIds=lambda: ids)
    results = types.SimpleNamespace(qa={idx: {"answer": answer} for idx, (answer, _) in enumerate(questions)})
    evaluation = tools(vqa, results, n=12)
    evaluation.updateProgress = lambda progress: None
    evaluation.evaluate()
    return [evaluation.evalQA[idx] for idx in ids], evaluation.accuracy["overall"]


def main():
    tools = evaluator(sys.argv[1])
    rng = random.Random(SEED)
    phrase = lambda: " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 3)))
    shaken = lambda text: rng.choice([text, text.upper(), f"the {text}", f" {text}", f"{text}.", text.replace(" ", "-")])
    questions = []
    for place in range(160):
        pool = [phrase() for _ in range(rng.randint(1, 4))] + ([rng.choice(ODD)] if place % 2 else [])
        given = [shaken(rng.choice(pool)) if place % 4 else pool[0] for _ in range(rng.choice([10, 10, 10, 5, 4]))]
        questions.append((shaken(rng.choice(pool)), given))
    plain = tools(types.SimpleNamespace(getQuesIds=list), None)
    form = lambda text: plain.processDigitArticle(plain.processPunctuation(text))
    texts = ODD + sorted({text for answer, given in questions for text in [answer, *given]})[:300]
    each, overall = accuracies(tools, [(answer, list(given)) for answer, given in questions])
    golden = {
        "forms": [[text, form(text)] for text in texts],
        "questions": questions,
        "accuracies": each,
        "overall": overall,
    }
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(golden, ensure_ascii=True, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
