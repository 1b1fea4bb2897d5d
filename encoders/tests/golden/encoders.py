#!/usr/bin/env python3
"""Runs small encoders by PyTorch and transformers with drawn weights, and writes those weights under our names, inputs,
outputs and gradients to encoders/NAME.json.

    pip install torch==2.15.0 transformers==5.24.0
    python3 encoders.py
"""

import json
import pathlib

import torch
import transformers as hf
from torch import nn
from transformers.models.wav2vec2_conformer import modeling_wav2vec2_conformer as conformer_code

HERE = pathlib.Path(__file__).parent / "encoders"
GENERATOR = torch.Generator().manual_seed(17)


def draw(*shape):
    return torch.randn(*shape, generator=GENERATOR)


def randomised(model):
    """Every parameter and statistic drawn so that each matters."""
    model = model.eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_scale = "norm" in name.lower() and name.endswith("weight")
            parameter.copy_(draw(*parameter.shape) * 0.2 + (1.0 if is_scale else 0.0))
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(draw(*buffer.shape) * 0.2)
            if name.endswith("running_var"):
                buffer.copy_(draw(*buffer.shape).abs() * 0.5 + 0.5)
    return model


def numbers(tensor):
    tensor = tensor.detach()
    return {"shape": list(tensor.shape), "values": [float(f"{value:.9g}") for value in tensor.flatten().tolist()]}


def gradient(output, inputs):
    """The gradient of a weighted sum of the outputs; the weights are 1, 2, .. 7, 1, 2, .. in the outputs' order."""
    weights = (torch.arange(output.numel()) % 7 + 1).float().reshape(output.shape)
    return torch.autograd.grad((output * weights).sum(), inputs)[0]


def write(name, weights, **values):
    HERE.mkdir(exist_ok=True)
    content = {"weights": {key: numbers(value) for key, value in weights.items()}}
    content |= {key: numbers(value) if isinstance(value, torch.Tensor) else value for key, value in values.items()}
    (HERE / f"{name}.json").write_text(json.dumps(content) + "\n")


def kernel(conv):
    """[d_out, d_in, height, width] as the matrix [height * width * d_in, d_out]."""
    return conv.weight.permute(2, 3, 1, 0).flatten(0, 2)


def linear(ours, layer):
    return {f"{ours}.weight": layer.weight.T} | ({} if layer.bias is None else {f"{ours}.bias": layer.bias})


def norm(ours, layer):
    return {f"{ours}.gamma": layer.weight, f"{ours}.beta": layer.bias}


def lstm():
    ids, lengths = torch.tensor([[3, 1, 4, 1, 5], [2, 6, 0, 0, 0], [5, 3, 5, 0, 0]]), [5, 2, 3]
    words = randomised(nn.Embedding(7, 6))
    model = randomised(nn.LSTM(6, 3, num_layers=2, bidirectional=True, batch_first=True))
    packed = nn.utils.rnn.pack_padded_sequence(words(ids), lengths, batch_first=True, enforce_sorted=False)
    hidden, _ = nn.utils.rnn.pad_packed_sequence(model(packed)[0], batch_first=True)
    weights = {"words.weight": words.weight}
    for layer in range(2):
        for direction, ending in [("forwards", ""), ("backwards", "_reverse")]:
            ours = f"layers.{layer}.{direction}"
            get = lambda name: getattr(model, f"{name}_l{layer}{ending}")
            weights[f"{ours}.input.weight"] = get("weight_ih").T
            weights[f"{ours}.input.bias"] = get("bias_ih") + get("bias_hh")
            weights[f"{ours}.recurrent.weight"] = get("weight_hh").T
    write("lstm", weights, ids=ids.tolist(), lengths=lengths, hidden=hidden,
          gradient=gradient(hidden, words.weight))


def convnext():
    config = hf.ConvNextConfig(num_stages=2, hidden_sizes=[4, 8], depths=[1, 2], layer_norm_eps=1e-6)
    model = randomised(hf.ConvNextModel(config))
    pixels = draw(1, 3, 16, 24).requires_grad_()
    hidden = model(pixels).last_hidden_state.flatten(2).transpose(1, 2)
    hidden = nn.functional.layer_norm(hidden, [8], model.layernorm.weight, model.layernorm.bias, 1e-6)
    weights = {"stem.weight.weight": kernel(model.embeddings.patch_embeddings),
               "stem.weight.bias": model.embeddings.patch_embeddings.bias}
    weights |= norm("stem_norm", model.embeddings.layernorm) | norm("norm", model.layernorm)
    for i, stage in enumerate(model.encoder.stages):
        if i > 0:
            weights |= norm(f"stages.{i}.halving_norm", stage.downsampling_layer[0])
            weights[f"stages.{i}.halving.weight.weight"] = kernel(stage.downsampling_layer[1])
            weights[f"stages.{i}.halving.weight.bias"] = stage.downsampling_layer[1].bias
        for j, block in enumerate(stage.layers):
            ours = f"stages.{i}.blocks.{j}"
            weights[f"{ours}.depthwise.weight"] = block.dwconv.weight.permute(2, 3, 1, 0).squeeze(2)
            weights[f"{ours}.depthwise.bias"] = block.dwconv.bias
            weights |= norm(f"{ours}.norm", block.layernorm)
            weights |= linear(f"{ours}.feed_forward.up", block.pwconv1)
            weights |= linear(f"{ours}.feed_forward.down", block.pwconv2)
            weights[f"{ours}.scale"] = block.layer_scale_parameter
    write("convnext", weights, pixels=pixels, hidden=hidden, gradient=gradient(hidden, pixels))


def resnet(kind, hidden_sizes, stem, grouped):
    config = hf.ResNetConfig(embedding_size=stem, hidden_sizes=hidden_sizes, depths=[1, 2], layer_type=kind)
    model = hf.ResNetModel(config)
    if grouped:
        for layer in [m for m in model.modules() if hasattr(m, "normalization")]:
            layer.normalization = nn.GroupNorm(2, layer.normalization.num_features)
    model = randomised(model)
    pixels = draw(1, 3, 16, 24).requires_grad_()
    hidden = model(pixels).last_hidden_state.flatten(2).transpose(1, 2)

    def normalised(ours, layer):
        bn = layer.normalization
        if grouped:
            gamma, beta = bn.weight, bn.bias
        else:
            gamma = bn.weight / (bn.running_var + bn.eps).sqrt()
            beta = bn.bias - bn.running_mean * gamma
        return {f"{ours}.convolution.weight.weight": kernel(layer.convolution), f"{ours}.norm.gamma": gamma,
                f"{ours}.norm.beta": beta}

    weights = normalised("stem", model.embedder.embedder)
    for k, block in enumerate(block for stage in model.encoder.stages for block in stage.layers):
        for c, layer in enumerate(block.layer):
            weights |= normalised(f"blocks.{k}.convolutions.{c}", layer)
        if not isinstance(block.shortcut, nn.Identity):
            weights |= normalised(f"blocks.{k}.shortcut", block.shortcut)
    name = "resnet_grouped" if grouped else "resnet_frozen"
    write(name, weights, pixels=pixels, hidden=hidden, gradient=gradient(hidden, pixels))


class OverChannels(nn.LayerNorm):
    """In place of batch normalisation over [batch, channels, n_tokens]."""

    def forward(self, x):
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


def conformer():
    d = 8
    config = hf.Wav2Vec2ConformerConfig(hidden_size=d, num_attention_heads=2, intermediate_size=4 * d, hidden_act="swish",
                                        conv_depthwise_kernel_size=5, position_embeddings_type="relative")
    blocks = nn.ModuleList(conformer_code.Wav2Vec2ConformerEncoderLayer(config) for _ in range(2))
    for block in blocks:
        module = block.conv_module
        module.pointwise_conv1 = nn.Conv1d(d, 2 * d, 1)
        module.depthwise_conv = nn.Conv1d(d, d, 5, padding=2, groups=d)
        module.pointwise_conv2 = nn.Conv1d(d, d, 1)
        module.batch_norm = OverChannels(d)
    stem = nn.ModuleList([nn.Conv2d(1, d, 3, 2, 1), nn.Conv2d(d, d, 3, 2, 1)])
    projection = nn.Linear(2 * d, d)
    positions = conformer_code.Wav2Vec2ConformerRelPositionalEmbedding(config)
    for model in (blocks, stem, projection):
        randomised(model)
    # of one row, as the reference's convolutions read over the end of a padded one
    frames = draw(1, 18, 6).requires_grad_()
    maps = torch.relu(stem[1](torch.relu(stem[0](frames[:, None]))))
    tokens = projection(maps.permute(0, 2, 3, 1).flatten(2))
    for block in blocks:
        tokens = block(tokens, relative_position_embeddings=positions(tokens))
    weights = linear("projection", projection)
    for ours, conv in [("first", stem[0]), ("second", stem[1])]:
        weights |= {f"{ours}.weight.weight": kernel(conv), f"{ours}.weight.bias": conv.bias}
    for i, block in enumerate(blocks):
        ours, attention, module = f"blocks.{i}", block.self_attn, block.conv_module
        weights |= norm(f"{ours}.first_norm", block.ffn1_layer_norm) | norm(f"{ours}.second_norm", block.ffn2_layer_norm)
        weights |= norm(f"{ours}.attention_norm", block.self_attn_layer_norm) | norm(f"{ours}.norm", block.final_layer_norm)
        for name, ffn in [("first", block.ffn1), ("second", block.ffn2)]:
            weights |= linear(f"{ours}.{name}.up", ffn.intermediate_dense) | linear(f"{ours}.{name}.down", ffn.output_dense)
        parts = [attention.linear_q, attention.linear_k, attention.linear_v]
        weights[f"{ours}.attention.query_key_value.weight"] = torch.cat([part.weight for part in parts]).T
        weights[f"{ours}.attention.query_key_value.bias"] = torch.cat([part.bias for part in parts])
        weights |= linear(f"{ours}.attention.position", attention.linear_pos)
        weights |= linear(f"{ours}.attention.out", attention.linear_out)
        weights[f"{ours}.attention.content_bias"] = attention.pos_bias_u.flatten()
        weights[f"{ours}.attention.position_bias"] = attention.pos_bias_v.flatten()
        convolution = f"{ours}.convolution"
        weights |= norm(f"{convolution}.norm", module.layer_norm) | norm(f"{convolution}.depthwise_norm", module.batch_norm)
        for name, conv in [("gated", module.pointwise_conv1), ("out", module.pointwise_conv2)]:
            weights |= {f"{convolution}.{name}.weight": conv.weight.squeeze(2).T, f"{convolution}.{name}.bias": conv.bias}
        weights[f"{convolution}.depthwise.weight"] = module.depthwise_conv.weight.permute(2, 1, 0)
        weights[f"{convolution}.depthwise.bias"] = module.depthwise_conv.bias
    write("conformer", weights, frames=frames, hidden=tokens, gradient=gradient(tokens, frames))


def sinusoids():
    from transformers.models.whisper.modeling_whisper import sinusoids as whisper

    write("sinusoids", {}, whisper=whisper(5, 8))


if __name__ == "__main__":
    lstm()
    convnext()
    resnet("basic", [4, 8], 4, grouped=True)
    resnet("bottleneck", [8, 16], 2, grouped=False)
    conformer()
    sinusoids()
