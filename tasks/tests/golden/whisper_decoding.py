"""Makes whisper.json: openai-whisper's logit filters on random logits, and its segments of scripted windows.

    pip install openai-whisper==20250625
    python whisper_decoding.py
"""

import json
import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from whisper.decoding import ApplyTimestampRules, DecodingResult, SuppressBlank, SuppressTokens
from whisper.tokenizer import get_tokenizer
from whisper.transcribe import transcribe

random.seed(3)
torch.manual_seed(3)
HERE = Path(__file__).parent

# ---- filters: a small vocabulary; 0 to 9 are text, of which 9 is a space, times begin at 20
TIMES = 20
fake = SimpleNamespace(eot=10, no_timestamps=16, timestamp_begin=TIMES, encode=lambda text: [9])
PROMPT = [11, 12, 13]
filters = []
for i in range(80):
    written = []
    for _ in range(random.randint(0, 5)):
        later = max([TIMES, *[t for t in written if t >= TIMES]])
        written.append(random.choice([random.randint(0, 9), random.randint(later, 29)]))
    logits = (torch.randn(1, 30) * 3.0).round(decimals=3)
    latest = random.choice([None, 3])
    after = logits.clone()
    context = torch.tensor([PROMPT + written])
    for rule in (SuppressBlank(fake, len(PROMPT)), SuppressTokens([4, 11, 14, 15]), ApplyTimestampRules(fake, len(PROMPT), latest)):
        rule.apply(after, context)
    filters.append({
        "written": written, "latest": latest, "logits": [round(x, 3) for x in logits[0].tolist()],
        "kept": [i for i, x in enumerate(after[0].tolist()) if x > -float("inf")],
    })

# ---- windows: a model that says what a script says
tokenizer = get_tokenizer(True, num_languages=99, language="en", task="transcribe")
BEGIN = tokenizer.timestamp_begin


class Scripted:
    device = torch.device("cpu")
    is_multilingual = True
    num_languages = 99
    dims = SimpleNamespace(n_mels=80, n_audio_ctx=1500, n_text_ctx=448)

    def __init__(self):
        self.calls = []

    def decode(self, mel, options):
        assert mel.shape[-1] == 3000
        tokens = self.tokens()
        words = [t for t in tokens if t < tokenizer.eot]
        result = DecodingResult(
            audio_features=None, language="en", tokens=tokens, text=tokenizer.decode(words).strip(),
            avg_logprob=round(random.uniform(-1.6, 0.0), 3), no_speech_prob=round(random.uniform(0.0, 0.9), 3),
            temperature=options.temperature, compression_ratio=round(random.uniform(0.5, 3.0), 3),
        )
        prompt = list(options.prompt or [])
        self.calls.append({
            "temperature": options.temperature, "n_prompt": len(prompt), "prompt_end": prompt[-6:], "tokens": tokens,
            "mean_log_probability": result.avg_logprob, "no_speech": result.no_speech_prob,
            "compression_ratio": result.compression_ratio,
        })
        return result

    def tokens(self):
        text = lambda: [random.randint(500, 4000) for _ in range(random.randint(1, 4))]
        kind = random.randint(0, 5)
        time = random.randint(0, 200)
        if kind == 0:  # text alone
            return text()
        if kind == 1:  # one segment, its end told
            return [BEGIN, *text(), BEGIN + random.randint(1, 1400)]
        if kind == 2:  # no end
            return [BEGIN + time, *text()]
        out = [BEGIN + time]
        for _ in range(random.randint(1, 3)):
            time += random.randint(0 if random.random() < 0.2 else 10, 400)
            out += [*text(), BEGIN + time]
            time += random.choice([0, 0, 20])
            out += [BEGIN + time]
        if kind == 3:  # unfinished
            return out + text()
        if kind == 4:  # a pair at the end
            return out
        return out + [*text(), BEGIN + time + 50]  # a single one at the end


recordings = []
for seconds in (3.0, 29.99, 30.0, 71.3, 200.0, 431.07):
    for conditioned in (True, False):
        model = Scripted()
        result = transcribe(
            model, np.zeros(int(seconds * 16000), dtype=np.float32), language="en", fp16=False,
            temperature=(0.0, 0.2, 0.4, 0.6, 0.8, 1.0), condition_on_previous_text=conditioned, verbose=None,
        )
        segments = [
            [s["seek"], s["start"], s["end"], bool(s["text"]), s["temperature"], len(s["tokens"])] for s in result["segments"]
        ]
        n_frames = int(seconds * 16000) // 160
        recordings.append({"n_frames": n_frames, "is_conditioned": conditioned, "calls": model.calls, "segments": segments})

golden = {"filters": filters, "end": tokenizer.eot, "timestamp_begin": BEGIN, "recordings": recordings}
(HERE / "whisper.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
print([(r["n_frames"], len(r["calls"]), len(r["segments"])) for r in recordings])
