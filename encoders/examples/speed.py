#!/usr/bin/env python3
"""The cases of speed.rs by transformers, in PyTorch's eager mode; what to run stands there.

    pip install torch==2.15.0 transformers==5.24.0 safetensors==0.8.0
"""

import json
import os
import statistics
import sys
import time

RUNS = 5


def peak_mb():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) // 1024


def timed(case, pass_, batch, run):
    run()
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    print(json.dumps({"case": case, "pass": pass_, "batch": batch, "threads": torch.get_num_threads(),
                      "median_s": statistics.median(times), "least_s": min(times), "most_s": max(times),
                      "peak_mb": peak_mb()}), flush=True)


def both(case, model, inputs, batches):
    for batch, passes in batches:
        given = inputs(batch)
        if "forward" in passes:
            def forward():
                with torch.no_grad():
                    model(**given)
            timed(case, "forward", batch, forward)
        if "forward-backward" in passes:
            def backward():
                model(**given).last_hidden_state.mean().backward()
                model.zero_grad()
            timed(case, "forward-backward", batch, backward)


def run(cases):
    both_passes = ["forward", "forward-backward"]
    if "vit" in cases:
        model = hf.ViTModel(hf.ViTConfig(), add_pooling_layer=False).eval()
        both("vit-b/16", model, lambda batch: {"pixel_values": torch.randn(batch, 3, 224, 224)},
             [(1, both_passes), (8, both_passes)])
    if "bert" in cases:
        model = hf.BertModel(hf.BertConfig(), add_pooling_layer=False).eval()
        ids = lambda batch: {"input_ids": torch.randint(30000, (batch, 128)), "attention_mask": torch.ones(batch, 128).long()}
        both("bert-base", model, ids, [(1, both_passes), (8, both_passes)])
    if "whisper" in cases:
        config = hf.WhisperConfig(d_model=512, encoder_layers=6, encoder_attention_heads=8, encoder_ffn_dim=2048,
                                  decoder_layers=1, decoder_attention_heads=8, decoder_ffn_dim=2048)
        model = hf.WhisperModel(config).eval().encoder
        both("whisper-base encoder", model, lambda batch: {"input_features": torch.randn(batch, 80, 3000)},
             [(1, both_passes), (8, ["forward"])])
    if "decode" in cases:
        model = hf.WhisperForConditionalGeneration(hf.WhisperConfig(suppress_tokens=None, begin_suppress_tokens=None)).eval()
        encoded = model.model.encoder(torch.randn(1, 80, 3000))
        start = torch.tensor([[50258]])
        # the plain loop of `generate`, without what Whisper's own puts around it
        loop = hf.GenerationMixin.generate

        def greedy():
            with torch.no_grad():
                out = loop(model, encoder_outputs=encoded, decoder_input_ids=start, do_sample=False, num_beams=1,
                           min_new_tokens=199, max_new_tokens=199, use_cache=True)
            assert out.shape[1] == 200, out.shape
        timed("whisper-tiny decoder, 200 tokens", "greedy", 1, greedy)


def table(ours, theirs):
    key = lambda row: (row["case"], row["pass"], row["batch"], row["threads"])
    read = lambda path: {key(row): row for row in map(json.loads, open(path))}
    ours, theirs = read(ours), read(theirs)
    print("| case | pass | batch | threads | ours, s [least, most] | transformers, s [least, most] | ratio |\n|---|---|---|---|---|---|---|")
    for at, row in ours.items():
        if at in theirs:
            shown = lambda row: f"{row['median_s']:.3f} [{row['least_s']:.3f}, {row['most_s']:.3f}]"
            ratio = row["median_s"] / theirs[at]["median_s"]
            print("| " + " | ".join(map(str, at)) + f" | {shown(row)} | {shown(theirs[at])} | {ratio:.2f} |")


if __name__ == "__main__":
    if sys.argv[1] == "--table":
        table(*sys.argv[2:])
        sys.exit()
    import torch
    import transformers as hf

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    if sys.argv[1] == "--make":
        hf.BertModel(hf.BertConfig(num_hidden_layers=36)).save_pretrained(sys.argv[2])
    elif sys.argv[1] == "load":
        timed("1.1 GB of safetensors", "load", 1, lambda: hf.BertModel.from_pretrained(sys.argv[2]))
    else:
        run(sys.argv[1:])
