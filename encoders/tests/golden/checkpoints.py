#!/usr/bin/env python3
"""Writes small checkpoints with PyTorch and safetensors into checkpoints/, and what they hold into checkpoints.json.

    pip install torch==2.15.0 safetensors==0.8.0 numpy==1.26.4
    python3 checkpoints.py
"""

import collections
import json
import pathlib

import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
FOLDER = HERE / "checkpoints"


def main():
    generator = torch.Generator().manual_seed(4)
    draw = lambda *shape: torch.randn(*shape, generator=generator)
    base = draw(3, 4)
    plain = collections.OrderedDict(
        float32=base,
        float16=draw(2, 3).half(),
        bfloat16=draw(5).bfloat16(),
        float64=draw(2, 2).double(),
        scalar=torch.tensor(2.5),
        empty=torch.zeros(0, 4),
        int64=torch.arange(3),
        boolean=torch.tensor([True, False]),
    )
    views = collections.OrderedDict(
        whole=base,
        transposed=base.t(),
        rows=base[1:],
        every_second_column=base[:, ::2],
        permuted=draw(2, 3, 4).permute(2, 0, 1),
        expanded=draw(1, 3).expand(4, 3),
        last_column=base[:, 3],
        parameter=torch.nn.Parameter(draw(2, 2)),
    )
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(draw(*parameter.shape))

    FOLDER.mkdir(exist_ok=True)
    torch.save(plain, FOLDER / "plain.bin")
    torch.save(views, FOLDER / "views.bin")
    torch.save(module.state_dict(), FOLDER / "module.bin")
    torch.save(plain, FOLDER / "protocol4.bin", pickle_protocol=4)
    torch.save({"epoch": 3, "state_dict": module.state_dict()}, FOLDER / "nested.pt")
    torch.save(module.state_dict(), FOLDER / "before_1.6.bin", _use_new_zipfile_serialization=False)
    torch.save(module, FOLDER / "whole_module.pt")
    save_file(plain, FOLDER / "plain.safetensors", metadata={"format": "pt"})

    def values(state):
        return {
            name: {"shape": list(tensor.shape), "values": tensor.detach().float().flatten().tolist()}
            for name, tensor in state.items()
        }

    expected = {
        "plain.bin": values(plain),
        "protocol4.bin": values(plain),
        "plain.safetensors": values(plain),
        "views.bin": values(views),
        "module.bin": values(module.state_dict()),
        "nested.pt": values(module.state_dict()),
    }
    (HERE / "checkpoints.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
