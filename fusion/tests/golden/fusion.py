#!/usr/bin/env python3
"""Runs a resampler and co-attention by PyTorch's own decoder layers with drawn weights, and writes those weights under our
names, inputs, outputs and gradients to resampler.json and co_attention.json.

    pip install torch==2.15.0
    python3 fusion.py
"""

import json
import pathlib

import torch
from torch import nn

HERE = pathlib.Path(__file__).parent
GENERATOR = torch.Generator().manual_seed(23)
HEADS = 2


def draw(*shape):
    return torch.randn(*shape, generator=GENERATOR)


def randomised(module):
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            is_scale = "norm" in name and name.endswith("weight")
            parameter.copy_(draw(*parameter.shape) * 0.3 + (1.0 if is_scale else 0.0))
    return module.eval()


def layer(d_model, d_hidden, d_context):
    """Self-attention, cross-attention, feed-forward, each behind its normalisation."""
    made = nn.TransformerDecoderLayer(d_model, HEADS, d_hidden, 0.0, "gelu", batch_first=True, norm_first=True)
    made.multihead_attn = nn.MultiheadAttention(d_model, HEADS, kdim=d_context, vdim=d_context, batch_first=True)
    return randomised(made)


def layer_weights(at, made):
    attention, cross = made.self_attn, made.multihead_attn
    if cross.in_proj_weight is None:
        query, key, value = cross.q_proj_weight, cross.k_proj_weight, cross.v_proj_weight
    else:
        query, key, value = cross.in_proj_weight.chunk(3)
    query_bias, key_bias, value_bias = cross.in_proj_bias.chunk(3)
    found = {
        "query_key_value.weight": attention.in_proj_weight.T,
        "query_key_value.bias": attention.in_proj_bias,
        "cross.query.weight": query.T,
        "cross.query.bias": query_bias,
        "cross.key_value.weight": torch.cat([key.T, value.T], 1),
        "cross.key_value.bias": torch.cat([key_bias, value_bias]),
    }
    linears = {
        "attention_out": attention.out_proj,
        "cross.out": cross.out_proj,
        "feed_forward.up": made.linear1,
        "feed_forward.down": made.linear2,
    }
    for name, linear in linears.items():
        found |= {f"{name}.weight": linear.weight.T, f"{name}.bias": linear.bias}
    norms = {"attention_norm": made.norm1, "cross.norm": made.norm2, "feed_forward_norm": made.norm3}
    for name, norm in norms.items():
        found |= norm_weights(name, norm)
    return {f"{at}.{name}": value for name, value in found.items()}


def norm_weights(at, norm):
    return {f"{at}.gamma": norm.weight, f"{at}.beta": norm.bias}


def padding(lengths, width):
    return torch.arange(width)[None, :] >= torch.tensor(lengths)[:, None]


def numbers(tensor):
    tensor = tensor.detach()
    return {"shape": list(tensor.shape), "values": [float(f"{value:.9g}") for value in tensor.flatten().tolist()]}


def gradients(output, is_pad, inputs):
    """Of a weighted sum of the outputs that are no padding; the weights are 1, 2, .. 7, 1, 2, .. in the outputs' order."""
    weights = (torch.arange(output.numel()) % 7 + 1).float().reshape(output.shape)
    return torch.autograd.grad((output * weights * ~is_pad[:, :, None]).sum(), inputs)


def write(name, weights, **values):
    content = {"weights": {key: numbers(value) for key, value in weights.items()}}
    content |= {key: numbers(value) if isinstance(value, torch.Tensor) else value for key, value in values.items()}
    (HERE / f"{name}.json").write_text(json.dumps(content) + "\n")


def resampler():
    d_model, d_context, lengths = 8, 6, [9, 4]
    layers = [layer(d_model, 16, d_context) for _ in range(2)]
    norm = randomised(nn.LayerNorm(d_model))
    latents = draw(3, d_model)
    tokens = draw(2, 9, d_context).requires_grad_()
    is_pad = padding(lengths, 9)
    hidden = latents[None].repeat(2, 1, 1)
    for made in layers:
        hidden = made(hidden, tokens, memory_key_padding_mask=is_pad)
    hidden = norm(hidden)
    (gradient,) = gradients(hidden, torch.zeros(2, 3, dtype=bool), [tokens])
    weights = {"latents": latents} | norm_weights("transformer.norm", norm)
    for idx, made in enumerate(layers):
        weights |= layer_weights(f"transformer.blocks.{idx}", made)
    write("resampler", weights, tokens=tokens, lengths=lengths, hidden=hidden, gradient=gradient)


def co_attention():
    d_model, n_vocab, n_causal = 8, 7, 3
    widths, lengths, width = [5, 6, 7], [[4, 2], [3, 3], [2, 5]], [4, 3, 5]
    language, perception = ([layer(d_model, 16, d_model) for _ in range(2)] for _ in range(2))
    last = [randomised(nn.LayerNorm(d_model)) for _ in range(2)]
    seen = [[randomised(nn.LayerNorm(d_model)) for _ in range(2)] for _ in range(2)]
    maps = [randomised(nn.Linear(d, d_model)) for d in widths]
    modalities, words, positions, bias = draw(3, d_model), draw(n_vocab, d_model), draw(5, d_model), draw(n_vocab)
    inputs = [draw(2, n, d).requires_grad_() for n, d in zip(width, widths)]
    pads = [padding(of_input, n) for of_input, n in zip(lengths, width)]
    ids = torch.tensor([[1, 4, 2], [6, 0, 3]])
    n_text = width[0]

    text, image, audio = (linear(x) + modalities[i] for i, (linear, x) in enumerate(zip(maps, inputs)))
    a = torch.cat([text, words[ids] + positions[:n_causal]], 1)
    b = torch.cat([image, audio], 1)
    a_pad = torch.cat([pads[0], torch.zeros(2, n_causal, dtype=bool)], 1)
    b_pad = torch.cat(pads[1:], 1)
    rows = torch.arange(n_text + n_causal)
    # true = hidden: inputs do not see the causal text, which sees its past
    hidden = rows[None, :] >= (rows[:, None] + 1).clamp(min=n_text)
    for idx in range(2):
        by_a, by_b = seen[1][idx](b), seen[0][idx](a[:, :n_text])
        a, b = (
            language[idx](a, by_a, tgt_mask=hidden, tgt_key_padding_mask=a_pad, memory_key_padding_mask=b_pad),
            perception[idx](b, by_b, tgt_key_padding_mask=b_pad, memory_key_padding_mask=a_pad[:, :n_text]),
        )
    a, b = last[0](a), last[1](b)
    fused = torch.cat([a[:, :n_text], b, a[:, n_text:]], 1)
    is_pad = torch.cat([pads[0], b_pad, torch.zeros(2, n_causal, dtype=bool)], 1)
    logits = a[:, n_text:] @ words.T + bias
    found = gradients(fused, is_pad, inputs)

    weights = {"modalities": modalities, "causal.weight": words, "causal_positions": positions, "vocabulary_bias": bias}
    for idx, linear in enumerate(maps):
        weights |= {f"inputs.{idx}.weight": linear.weight.T, f"inputs.{idx}.bias": linear.bias}
    for at, layers, norm in [("transformer", language, last[0]), ("co_attention.perception", perception, last[1])]:
        weights |= norm_weights(f"{at}.norm", norm)
        for idx, made in enumerate(layers):
            weights |= layer_weights(f"{at}.blocks.{idx}", made)
    for name, norms in zip(["language", "perception"], seen):
        for idx, norm in enumerate(norms):
            weights |= norm_weights(f"co_attention.{name}_norms.{idx}", norm)
    values = {name: x for name, x in zip(["text", "image", "audio"], inputs)}
    values |= {f"{name}_gradient": x for name, x in zip(["text", "image", "audio"], found)}
    write(
        "co_attention",
        weights,
        lengths=lengths,
        ids=ids.tolist(),
        visible=(~is_pad).float(),
        fused=fused * ~is_pad[:, :, None],
        logits=logits,
        **values,
    )


resampler()
co_attention()
