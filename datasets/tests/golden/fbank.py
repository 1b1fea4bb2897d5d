#!/usr/bin/env python3
"""Writes log filterbank energies, all cases behind each other: fbank.npy by torchaudio, which computes in float32, and
fbank_float64.npy by the same definition in float64.

    pip install numpy==2.4.6 librosa==0.11.0 torch==2.11.0 torchaudio==2.11.0
    python3 fbank.py

The cases stand in datasets/tests/all/fbank.rs too, in the same order.
"""

import pathlib

import numpy as np
import torch
import torchaudio

from log_mel import signal

# n_mels, n_samples, seed, snip_edges, scale
CASES = [
    (80, 4800, 1, True, 1.0),
    (128, 3217, 2, True, 32768.0),
    (80, 3217, 2, False, 1.0),
    (23, 1600, 4, False, 32768.0),
    (40, 400, 5, True, 1.0),
    (80, 401, 6, False, 1.0),
]


def hz_to_mel(hz):
    return 1127.0 * np.log(1.0 + hz / 700.0)


def in_float64(samples, n_mels, snip_edges):
    """compute-fbank-feats, written out."""
    if snip_edges:
        n_frames = 1 + (len(samples) - 400) // 160
    else:
        n_frames = (len(samples) + 80) // 160
        samples = np.concatenate([samples[::-1][-120:], samples, samples[::-1]])
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)) ** 0.85
    edges = np.linspace(hz_to_mel(20.0), hz_to_mel(8000.0), n_mels + 2)
    mels = hz_to_mel(np.arange(256) * 16_000 / 512)
    rising = (mels - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - mels) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.maximum(0.0, np.minimum(rising, falling))
    frames = np.stack([samples[k * 160 : k * 160 + 400] for k in range(n_frames)])
    frames = frames - frames.mean(axis=1, keepdims=True)
    frames = frames - 0.97 * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    power = np.abs(np.fft.rfft(frames * window, 512))[:, :256] ** 2
    return np.log(np.maximum(power @ filters.T, np.finfo(np.float32).eps))


def main():
    found, exact = [], []
    for n_mels, n_samples, seed, snip_edges, scale in CASES:
        samples = torch.from_numpy(signal(n_samples, seed)).to(torch.float32) * scale
        frames = torchaudio.compliance.kaldi.fbank(
            samples[None],
            num_mel_bins=n_mels,
            sample_frequency=16_000,
            dither=0.0,
            snip_edges=snip_edges,
        )
        found.append(frames.numpy().astype("<f4").reshape(-1))
        exact.append(in_float64(samples.numpy().astype(np.float64), n_mels, snip_edges).astype("<f4").reshape(-1))
        print(n_mels, n_samples, tuple(frames.shape), np.abs(found[-1] - exact[-1]).max())
    folder = pathlib.Path(__file__).resolve().parent
    np.save(folder / "fbank.npy", np.concatenate(found))
    np.save(folder / "fbank_float64.npy", np.concatenate(exact))


if __name__ == "__main__":
    main()
