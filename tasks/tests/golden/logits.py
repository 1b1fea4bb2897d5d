"""Makes logits.json: what the logits processors of transformers leave of random logits.

    pip install torch==2.15.0 transformers==5.24.0
    python logits.py
"""

import json
from pathlib import Path

import torch
from transformers.generation.logits_process import (
    MinPLogitsWarper, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper,
)

torch.manual_seed(5)


def rounded(values):
    return [None if x == -float("inf") else round(x, 6) for x in values.tolist()]


PROCESSORS = {
    "repetition_penalty": (RepetitionPenaltyLogitsProcessor, [1.3, 2.0, 0.5]),
    "temperature": (TemperatureLogitsWarper, [0.2, 0.7, 1.5]),
    "top_k": (TopKLogitsWarper, [1, 3, 40]),
    "top_p": (TopPLogitsWarper, [0.1, 0.5, 0.9, 0.99]),
    "min_p": (MinPLogitsWarper, [0.01, 0.1, 0.5, 1.0]),
}
cases = []
for n_vocab in (5, 30):
    for _ in range(4):
        logits = (torch.randn(1, n_vocab) * 2.0).round(decimals=3)
        written = torch.randint(0, n_vocab, (1, 6))
        for name, (processor, values) in PROCESSORS.items():
            for value in values:
                after = processor(value)(written, logits.clone())[0]
                cases.append({
                    "processor": name, "value": value, "written": written[0].tolist(), "logits": rounded(logits[0]),
                    "after": rounded(after),
                })
# in a row, as generation applies them
logits = (torch.randn(1, 30) * 2.0).round(decimals=3)
after = logits.clone()
for processor in (RepetitionPenaltyLogitsProcessor(1.2), TemperatureLogitsWarper(0.8), TopKLogitsWarper(12),
                  TopPLogitsWarper(0.8), MinPLogitsWarper(0.1)):
    after = processor(torch.tensor([[3, 7, 7]]), after)
cases.append({"processor": "all", "value": 0, "written": [3, 7, 7], "logits": rounded(logits[0]),
              "after": rounded(after[0])})
text = json.dumps(cases, separators=(",", ":"))
(Path(__file__).parent / "logits.json").write_text(text + "\n")
