#!/usr/bin/env python3
"""Makes a small checkpoint of each published family with transformers, in published/FAMILY/, and what it computes, in
published/FAMILY/expected.json. The layouts of the files differ on purpose.

    pip install torch==2.15.0 transformers==5.24.0 safetensors==0.8.0
    python3 published.py
"""

import json
import pathlib
import shutil

import torch
import transformers as hf
from safetensors.torch import load_file, save_file

HERE = pathlib.Path(__file__).parent / "published"
GENERATOR = torch.Generator().manual_seed(11)

BLOCKS = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24)
PICTURE = dict(image_size=12, patch_size=4, num_channels=3)


def draw(*shape):
    return torch.randn(*shape, generator=GENERATOR)


def randomised(model):
    """Every parameter drawn so that each matters: fresh ones are mostly 0, 1 or tiny."""
    model = model.eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_scale = "norm" in name.lower() and name.endswith("weight")
            if "logit" in name:
                continue
            parameter.copy_(draw(*parameter.shape) * 0.2 + (1.0 if is_scale else 0.0))
    return model


def numbers(tensor):
    tensor = tensor.detach()
    return {"shape": list(tensor.shape), "values": [float(f"{value:.9g}") for value in tensor.flatten().tolist()]}


def write(family, model, expected, layout, older={}):
    folder = HERE / family
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # under the names of published files, which are not always those in memory
    model.save_pretrained(folder)
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    (folder / "generation_config.json").unlink(missing_ok=True)
    state = {older.get(name, name): tensor for name, tensor in state.items()}
    names = sorted(state)
    halves = [names[: len(names) // 2], names[len(names) // 2 :]]
    shards = [{name: state[name] for name in half} for half in halves]
    if layout == "safetensors":
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    elif layout == "bin":
        torch.save(state, folder / "pytorch_model.bin")
    elif layout == "sharded safetensors":
        files = [f"model-{i}-of-00002.safetensors" for i in ("00001", "00002")]
        for file, shard in zip(files, shards):
            save_file(shard, folder / file, metadata={"format": "pt"})
        index(folder / "model.safetensors.index.json", files, shards)
    elif layout == "sharded bin":
        files = [f"pytorch_model-{i}-of-00002.bin" for i in ("00001", "00002")]
        for file, shard in zip(files, shards):
            torch.save(shard, folder / file)
        index(folder / "pytorch_model.bin.index.json", files, shards)
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")
    for path in folder.iterdir():
        path.chmod(0o644)


def index(path, files, shards):
    weight_map = {name: file for file, shard in zip(files, shards) for name in shard}
    size = sum(tensor.numel() * tensor.element_size() for shard in shards for tensor in shard.values())
    path.write_text(json.dumps({"metadata": {"total_size": size}, "weight_map": weight_map}, indent=1) + "\n")


def gradient(output, *inputs):
    """The gradients of a weighted sum of the outputs; the weights are 1, 2, .. 7, 1, 2, .. in the outputs' order."""
    weights = (torch.arange(output.numel()) % 7 + 1).float().reshape(output.shape)
    return torch.autograd.grad((output * weights).sum(), inputs, retain_graph=True)


def bert():
    config = hf.BertConfig(vocab_size=40, max_position_embeddings=12, **BLOCKS)
    # with a head, whose names have a prefix; what is tied is there twice
    model = randomised(hf.BertForMaskedLM(config))
    ids = torch.tensor([[2, 7, 9, 30, 3], [2, 11, 3, 0, 0]])
    mask = (ids != 0).long()
    segments = torch.tensor([[0, 0, 0, 1, 1], [0, 0, 0, 0, 0]])
    hidden = model.bert(ids, attention_mask=mask, token_type_ids=segments).last_hidden_state
    # of what is no padding, into the table of words
    words = gradient(hidden * mask[..., None], model.bert.embeddings.word_embeddings.weight)[0]
    expected = {"ids": ids.tolist(), "mask": mask.tolist(), "segments": segments.tolist(), "hidden": numbers(hidden),
                "words_gradient": numbers(words)}
    write("bert", model, expected, "bin")


def sentence_bert():
    config = hf.BertConfig(vocab_size=40, max_position_embeddings=12, **BLOCKS)
    model = randomised(hf.BertModel(config))
    ids = torch.tensor([[2, 7, 9, 30, 3], [2, 11, 3, 0, 0]])
    mask = (ids != 0).long()
    out = model(ids, attention_mask=mask)
    mean = (out.last_hidden_state * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    expected = {
        "ids": ids.tolist(),
        "mask": mask.tolist(),
        "hidden": numbers(out.last_hidden_state),
        "pooled": numbers(out.pooler_output),
        "embedding": numbers(torch.nn.functional.normalize(mean, dim=-1)),
    }
    write("sentence_bert", model, expected, "safetensors")
    folder = HERE / "sentence_bert"
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 16, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True,
               "pooling_mode_max_tokens": False, "pooling_mode_mean_sqrt_len_tokens": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling) + "\n")
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules) + "\n")


def vit():
    model = randomised(hf.ViTModel(hf.ViTConfig(**BLOCKS, **PICTURE)))
    pixels = draw(2, 3, 12, 12).requires_grad_()
    out = model(pixels)
    expected = {
        "pixels": numbers(pixels),
        "hidden": numbers(out.last_hidden_state),
        "pooled": numbers(out.pooler_output),
        "gradient": numbers(gradient(out.last_hidden_state, pixels)[0]),
        "other_size": numbers(model(other_size(pixels), interpolate_pos_encoding=True).last_hidden_state),
    }
    write("vit", model, expected, "safetensors")


def other_size(pixels):
    """The first of the values as a picture of 2 x 4 patches, where the models were made for 3 x 3."""
    return pixels.detach().flatten()[: 3 * 8 * 16].reshape(1, 3, 8, 16)


def embedded(model, pixels):
    pooled = model.vision_model(pixels, interpolate_pos_encoding=True).pooler_output
    pooled = model.visual_projection(pooled) if hasattr(model, "visual_projection") else pooled
    return torch.nn.functional.normalize(pooled, dim=-1)


def two_towers(model, ids, mask):
    pixels = draw(3, 3, 12, 12).requires_grad_()
    out = model(input_ids=ids, attention_mask=mask, pixel_values=pixels)
    return {
        "ids": ids.tolist(),
        "mask": None if mask is None else mask.tolist(),
        "pixels": numbers(pixels),
        "text": numbers(out.text_embeds),
        "image": numbers(out.image_embeds),
        "logits_per_text": numbers(out.logits_per_text),
        "words_gradient": numbers(gradient(out.text_embeds, model.text_model.embeddings.token_embedding.weight)[0]),
        "gradient": numbers(gradient(out.image_embeds, pixels)[0]),
        "other_size": numbers(embedded(model, other_size(pixels))),
    }


def clip():
    text = dict(vocab_size=40, max_position_embeddings=12, bos_token_id=38, eos_token_id=39, pad_token_id=0, **BLOCKS)
    config = hf.CLIPConfig(text_config=text, vision_config=dict(**BLOCKS, **PICTURE), projection_dim=8)
    model = randomised(hf.CLIPModel(config))
    ids = torch.tensor([[38, 4, 9, 39, 0], [38, 39, 0, 0, 0]])
    write("clip", model, two_towers(model, ids, (ids != 0).long()), "sharded safetensors")


def siglip():
    text = dict(vocab_size=40, max_position_embeddings=5, bos_token_id=38, eos_token_id=1, pad_token_id=1, **BLOCKS)
    config = hf.SiglipConfig(text_config=text, vision_config=dict(**BLOCKS, **PICTURE))
    model = randomised(hf.SiglipModel(config))
    # padded to the full length, and without a mask: so it was trained
    ids = torch.tensor([[4, 9, 1, 1, 1], [7, 8, 9, 10, 1]])
    write("siglip", model, two_towers(model, ids, None), "safetensors")


def whisper():
    config = hf.WhisperConfig(
        vocab_size=40, d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=24, decoder_ffn_dim=24, num_mel_bins=8, max_source_positions=10,
        max_target_positions=12, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=3,
        suppress_tokens=None, begin_suppress_tokens=None,
    )
    model = randomised(hf.WhisperForConditionalGeneration(config))
    with torch.no_grad():
        # otherwise a token mostly predicts itself, as the embedding is the classifier too
        model.model.decoder.embed_tokens.weight.mul_(0.1)
        model.model.decoder.embed_positions.weight.mul_(5)
    features = draw(2, 8, 20).requires_grad_()
    ids = torch.tensor([[3, 8, 21, 6], [3, 30, 2, 17]])
    encoded = model.model.encoder(features).last_hidden_state
    logits = model(features, decoder_input_ids=ids).logits
    greedy = model.generate(features.detach(), do_sample=False, num_beams=1, max_new_tokens=8)
    assert min(len(set(row)) for row in greedy.tolist()) > 3, greedy
    expected = {
        "features": numbers(features),
        "ids": ids.tolist(),
        "encoded": numbers(encoded),
        "logits": numbers(logits),
        "gradient": numbers(gradient(logits, features)[0]),
        "greedy": greedy.tolist(),
    }
    write("whisper", model, expected, "sharded bin")


def wav2vec2():
    config = hf.Wav2Vec2Config(
        vocab_size=40, conv_dim=[8, 8], conv_kernel=[4, 3], conv_stride=[2, 2], num_feat_extract_layers=2,
        num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, apply_spec_augment=False, **BLOCKS,
    )
    # the values of half precision, computed with in full
    model = randomised(hf.Wav2Vec2Model(config)).half().float()
    waveform = draw(2, 60).requires_grad_()
    hidden = model(waveform).last_hidden_state
    expected = {
        "waveform": numbers(waveform),
        "hidden": numbers(hidden),
        "gradient": numbers(gradient(hidden, waveform)[0]),
    }
    # as PyTorch called them when the models were published
    convolution = "encoder.pos_conv_embed.conv"
    older = {
        f"{convolution}.parametrizations.weight.original0": f"{convolution}.weight_g",
        f"{convolution}.parametrizations.weight.original1": f"{convolution}.weight_v",
    }
    write("wav2vec2", model.half(), expected, "bin", older)


def wav2vec2_large():
    """The large size's way: pre-norm blocks, every convolution normalised and with a bias, rows of their own lengths."""
    config = hf.Wav2Vec2Config(
        vocab_size=40, conv_dim=[8, 8], conv_kernel=[4, 3], conv_stride=[2, 2], num_feat_extract_layers=2,
        num_conv_pos_embeddings=5, num_conv_pos_embedding_groups=4, apply_spec_augment=False,
        do_stable_layer_norm=True, feat_extract_norm="layer", conv_bias=True, **BLOCKS,
    )
    model = randomised(hf.Wav2Vec2ForCTC(config))
    lengths = [60, 43]
    mask = torch.tensor([[position < length for position in range(60)] for length in lengths]).long()
    waveform = draw(2, 60) * mask
    hidden = model.wav2vec2(waveform, attention_mask=mask).last_hidden_state
    write("wav2vec2_large", model, {"waveform": numbers(waveform), "lengths": lengths, "hidden": numbers(hidden)},
          "safetensors")


if __name__ == "__main__":
    for family in (bert, sentence_bert, vit, clip, siglip, whisper, wav2vec2, wav2vec2_large):
        family()
