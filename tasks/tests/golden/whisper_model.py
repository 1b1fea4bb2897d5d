#!/usr/bin/env python3
"""Makes a Whisper of a few kilobytes in the published layout, in whisper_model/, half a second of sound, and what transformers'
`generate` writes about it, in whisper_model/expected.json.

    pip install torch==2.15.0 transformers==5.24.0 tokenizers==0.23.2 safetensors==0.8.0 numpy
    python3 whisper_model.py
"""

import json
import pathlib
import shutil
import wave

import numpy as np
import tokenizers as tk
import torch
import transformers as hf
from safetensors.torch import load_file, save_file

HERE = pathlib.Path(__file__).parent / "whisper_model"
GENERATOR = torch.Generator().manual_seed(5)
LANGUAGES = ["en", "de", "zh"]
N_TIMES = 1501
# half of this many tokens may be written
MAX_TEXT_TOKENS = 48


def tokenizer():
    """Bytes and some merges, with Whisper's marks behind them; its times have no names, as in older files."""
    alphabet = sorted(tk.pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("i", "n")]
    vocab = {piece: i for i, piece in enumerate(alphabet + ["".join(merge) for merge in merges])}
    inner = tk.Tokenizer(tk.models.BPE(vocab=vocab, merges=merges))
    inner.pre_tokenizer = tk.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = tk.decoders.ByteLevel()
    marks = ["endoftext", "startoftranscript", *LANGUAGES, "translate", "transcribe", "startoflm", "startofprev",
             "nospeech", "notimestamps"]
    inner.add_special_tokens([tk.AddedToken(f"<|{mark}|>", special=True, normalized=False) for mark in marks])
    return inner


def draw(*shape):
    return torch.randn(*shape, generator=GENERATOR)


def sound():
    """Half a second of three tones that come and go."""
    t = np.arange(8000) / 16000
    tones = [np.sin(2 * np.pi * hz * t) * np.sin(2 * np.pi * rate * t) ** 2 for hz, rate in ((220, 3), (910, 5), (2600, 7))]
    samples = np.round(sum(tones) * 6000).astype("<i2")
    with wave.open(str(HERE / "sound.wav"), "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(16000)
        file.writeframes(samples.tobytes())
    return samples.astype(np.float32) / 32768


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir()
    inner = tokenizer()
    inner.save(str(HERE / "tokenizer.json"), pretty=False)
    ids = {mark: inner.token_to_id(f"<|{mark}|>") for mark in ["endoftext", "startoftranscript", "startofprev", "nospeech",
           "notimestamps", "translate", "transcribe", "startoflm", *LANGUAGES]}
    n_vocab = inner.get_vocab_size() + N_TIMES
    space = inner.encode(" ").ids
    suppressed = [inner.token_to_id(piece) for piece in ("(", "[", "#")] + sorted(
        ids[mark] for mark in ("startoftranscript", "startofprev", "nospeech", "translate", "transcribe", "startoflm", *LANGUAGES))
    config = hf.WhisperConfig(
        vocab_size=n_vocab, d_model=8, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, num_mel_bins=8, max_source_positions=1500,
        max_target_positions=MAX_TEXT_TOKENS, pad_token_id=ids["endoftext"], bos_token_id=ids["endoftext"],
        eos_token_id=ids["endoftext"], decoder_start_token_id=ids["startoftranscript"], suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    model = hf.WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("encoder.embed_positions.weight"):
                continue
            is_scale = "norm" in name and name.endswith("weight")
            parameter.copy_(draw(*parameter.shape) * 0.3 + (1.0 if is_scale else 0.0))
        # otherwise a token mostly predicts itself, as the embedding is the classifier too
        model.model.decoder.embed_tokens.weight.mul_(0.5)
        model.model.decoder.embed_positions.weight.mul_(6)
        # so that what was heard, the language and the task matter
        for name, parameter in model.model.decoder.named_parameters():
            if "attn" in name and ("v_proj" in name or "out_proj" in name):
                parameter.mul_(3)
        for mark in (*LANGUAGES, "translate", "transcribe"):
            model.model.decoder.embed_tokens.weight[ids[mark]] *= 3
        # so that ends and texts come up
        model.model.decoder.embed_tokens.weight[ids["endoftext"]] *= 1.5
        model.model.decoder.embed_tokens.weight[ids["notimestamps"] + 1:] *= 0.6
    # the values of half precision, computed with in full
    model = model.half().float()
    generation = hf.GenerationConfig(
        suppress_tokens=suppressed, begin_suppress_tokens=[*space, ids["endoftext"]],
        decoder_start_token_id=ids["startoftranscript"], eos_token_id=ids["endoftext"], pad_token_id=ids["endoftext"],
        bos_token_id=ids["endoftext"],
    )
    generation.is_multilingual = True
    generation.lang_to_id = {f"<|{language}|>": ids[language] for language in LANGUAGES}
    generation.task_to_id = {task: ids[task] for task in ("transcribe", "translate")}
    generation.no_timestamps_token_id = ids["notimestamps"]
    generation.prev_sot_token_id = ids["startofprev"]
    generation.max_initial_timestamp_index = 50
    generation.return_timestamps = False
    model.generation_config = generation
    extractor = hf.WhisperFeatureExtractor(feature_size=8)

    samples = sound()
    features = extractor(samples, sampling_rate=16000, return_tensors="pt").input_features
    language = model.detect_language(features)[0].item()
    prompt = torch.tensor([ids["startofprev"], *inner.encode(" the tin").ids])
    cases = []
    for language_name, task, times, prompted in [
        (None, "transcribe", True, False), ("en", "transcribe", True, False), ("de", "translate", True, False),
        ("zh", "transcribe", True, True), ("en", "transcribe", False, False), ("de", "translate", False, True),
    ]:
        written = model.generate(
            features, language=language_name, task=task, return_timestamps=times, do_sample=False, num_beams=1,
            max_new_tokens=MAX_TEXT_TOKENS // 2, prompt_ids=prompt if prompted else None, return_segments=True,
            return_dict_in_generate=True,
        )
        # of the first window, behind what it was given
        written = written["segments"][0][0]["result"]["sequences"] if times else written["sequences"]
        written = written.flatten().tolist()
        if ids["startoftranscript"] in written:
            written = written[written.index(ids["startoftranscript"]) + (3 if times else 4):]
        written = written[: written.index(ids["endoftext"])] if ids["endoftext"] in written else written
        cases.append({"language": language_name, "task": task, "has_timestamps": times,
                      "prompt": " the tin" if prompted else None, "tokens": written})
        print(cases[-1])
    state = model.state_dict()
    state = {name: tensor.half().contiguous() for name, tensor in state.items() if name != "proj_out.weight"}
    save_file(state, HERE / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(HERE)
    generation.save_pretrained(HERE)
    settings = {"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 8, "sampling_rate": 16000,
                "n_fft": 400, "hop_length": 160, "chunk_length": 30, "padding_value": 0.0}
    (HERE / "preprocessor_config.json").write_text(json.dumps(settings) + "\n")
    frames = features[0].T[:52]
    expected = {
        "language": inner.id_to_token(language)[2:-2],
        "encoded": [float(f"{x:.7g}") for x in model.model.encoder(features).last_hidden_state[0, ::150].flatten().tolist()],
        "frames": [float(f"{x:.7g}") for x in frames.flatten().tolist()],
        "cases": cases,
    }
    (HERE / "expected.json").write_text(json.dumps(expected) + "\n")
    for path in HERE.iterdir():
        path.chmod(0o644)


if __name__ == "__main__":
    main()
