#!/usr/bin/env python3
"""Writes log_mel_whisper.npy: log-mel frames by openai-whisper itself, all cases behind each other.

    pip install numpy==2.4.6 librosa==0.11.0 torch==2.11.0 openai-whisper==20250625
    python3 log_mel_whisper.py

The cases stand in datasets/tests/all/log_mel.rs too, in the same order.
"""

import pathlib

import numpy as np
import torch
import whisper

from log_mel import signal

# n_mels, n_samples, seed
CASES = [(80, 4800, 1), (128, 4800, 1), (128, 3217, 2), (80, 401, 6)]


def main():
    found = []
    for n_mels, n_samples, seed in CASES:
        samples = torch.from_numpy(signal(n_samples, seed)).to(torch.float32)
        frames = whisper.log_mel_spectrogram(samples, n_mels=n_mels)
        found.append(frames.T.contiguous().numpy().astype("<f4").reshape(-1))
        print(n_mels, n_samples, tuple(frames.shape))
    np.save(pathlib.Path(__file__).resolve().parent / "log_mel_whisper.npy", np.concatenate(found))


if __name__ == "__main__":
    main()
