"""Makes vocabularies/: small vocabularies in the older files of BERT, CLIP, GPT-2 and Whisper, and what `transformers` makes
of odd texts with them.

    python vocabularies.py

Made with transformers 5.24.0, tokenizers 0.23.3; nothing is drawn at random.
"""

import json
import shutil
import unicodedata
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import BertTokenizer, CLIPTokenizer, GPT2Tokenizer, WhisperTokenizer
from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

OUT = Path(__file__).parent / "vocabularies"

CORPUS = [
    "the cat sat on the mat and the dog saw it: a red heart, a red hat, 1024 cats!",
    "it's what they're saying; don't you think we'll see? i'd say so, i've seen it, i'm sure.",
    "café naïve résumé über straße, 北京 東京, 🙂🙂 ❤️ [brackets] (and) <more> {of} them",
] * 4

TEXTS = [
    "",
    " ",
    "The Cat SAT on the mat.",
    "  two  spaces,\ttabs\nand lines\r\n",
    "it's they're don't we'll i'd i've I'M",
    "café cafe\u0301 naïve ÜBER Straße İstanbul",
    "北京 and 東京タワー 한국어",
    "🙂 👩‍👩‍👧 ❤️ 🏳️‍🌈",
    "[brackets] (and) <more> {of} them [MASK] [UNK] <|endoftext|> <|startoftext|>",
    "\u0000nul \u200bzero width \u00adsoft \ufffd replaced \u2028 line",
    "a" * 120,
    "1024 3.14 ½ ² 10,000",
    "##the ## the</w> Ġthe",
    "the cat " * 60,
    "مرحبا שלום हिन्दी ไทย",
    "…—“quotes” ‘single’",
]


def write(folder, files):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        (folder / name).write_bytes(text.encode())


def expect(folder, tokenizer, also=None):
    rows = []
    for text in TEXTS:
        ids = tokenizer(text)["input_ids"]
        if also is not None:
            # which composes accents first, whatever the case
            composed = unicodedata.normalize("NFC", text)
            assert also(composed)["input_ids"] == tokenizer(composed)["input_ids"], (folder, text)
        plain = tokenizer(text, add_special_tokens=False)["input_ids"]
        rows.append({"text": text, "ids": ids, "plain": plain, "decoded": tokenizer.decode(plain, skip_special_tokens=True)})
    (folder / "expected.json").write_text(json.dumps(rows, ensure_ascii=False) + "\n")


def bert(name, lower):
    inner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer(lowercase=lower)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    inner.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=220, special_tokens=marks, show_progress=False))
    words = sorted(inner.get_vocab().items(), key=lambda item: item[1])
    # lines as some systems end them in one of the two
    end = "\n" if lower else "\r\n"
    files = {"vocab.txt": "".join(word + end for word, _ in words)}
    files["tokenizer_config.json"] = {"do_lower_case": lower, "tokenizer_class": "BertTokenizer", "model_max_length": 512}
    write(OUT / name, files)
    options = {"do_lower_case": lower}
    # the one in Python alone has no opinion on a mark that is spelt in a text
    expect(OUT / name, BertTokenizer.from_pretrained(OUT / name, **options), BertTokenizerLegacy(OUT / name / "vocab.txt", **options))


def merges(suffix, normalizer, size):
    inner = Tokenizer(models.BPE(**({"end_of_word_suffix": suffix} if suffix else {})))
    if normalizer is not None:
        inner.normalizer = normalizer
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    options = {"end_of_word_suffix": suffix} if suffix else {}
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False, **options)
    # CLIP's words have no space before them
    corpus = [word for line in CORPUS for word in line.split()] if suffix else CORPUS
    inner.train_from_iterator(corpus, trainer)
    learned = [tuple(pair) for pair in json.loads(inner.to_str())["model"]["merges"]]
    words = sorted(alphabet) + ([byte + suffix for byte in sorted(alphabet)] if suffix else [])
    words += list(dict.fromkeys("".join(pair) for pair in learned if "".join(pair) not in words))
    text = "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in learned)
    return {word: i for i, word in enumerate(words)}, text


def clip():
    vocabulary, text = merges("</w>", normalizers.Lowercase(), 640)
    for mark in ["<|startoftext|>", "<|endoftext|>"]:
        vocabulary[mark] = len(vocabulary)
    files = {"vocab.json": vocabulary, "merges.txt": text}
    end = {"content": "<|endoftext|>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": True}
    files["special_tokens_map.json"] = {"bos_token": {**end, "content": "<|startoftext|>"}, "eos_token": end, "unk_token": end, "pad_token": "<|endoftext|>"}
    files["tokenizer_config.json"] = {"tokenizer_class": "CLIPTokenizer", "do_lower_case": True}
    write(OUT / "clip", files)
    expect(OUT / "clip", CLIPTokenizer.from_pretrained(OUT / "clip"))


def gpt2():
    vocabulary, text = merges("", None, 340)
    vocabulary["<|endoftext|>"] = len(vocabulary)
    write(OUT / "gpt2", {"vocab.json": vocabulary, "merges.txt": text})
    expect(OUT / "gpt2", GPT2Tokenizer.from_pretrained(OUT / "gpt2"))


def whisper():
    vocabulary, text = merges("", None, 300)
    added = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>", "<|0.00|>", "<|0.02|>"]
    first = len(vocabulary)
    # the end is in the vocabulary, the rest is added to it
    vocabulary[added[0]] = first
    files = {"vocab.json": vocabulary, "merges.txt": text}
    files["added_tokens.json"] = {name: first + i for i, name in enumerate(added) if i > 0}
    files["special_tokens_map.json"] = {"bos_token": added[0], "eos_token": added[0], "unk_token": added[0], "additional_special_tokens": added[:5]}
    files["tokenizer_config.json"] = {"tokenizer_class": "WhisperTokenizer", "add_prefix_space": False}
    write(OUT / "whisper", files)
    expect(OUT / "whisper", WhisperTokenizer.from_pretrained(OUT / "whisper"))


bert("bert", True)
bert("bert_cased", False)
clip()
gpt2()
whisper()
