#!/usr/bin/env python3
"""Writes log_mel.json: log-mel frames by Whisper's definition, computed in float64 with numpy.

    pip install numpy==2.4.6 librosa==0.11.0
    python3 log_mel.py

The definition is that of openai-whisper 20250625, whisper/audio.py, log_mel_spectrogram:

    window = torch.hann_window(400)                                   # periodic
    stft = torch.stft(audio, 400, 160, window=window, return_complex=True)   # centred, reflected
    magnitudes = stft[..., :-1].abs() ** 2
    mel_spec = mel_filters(n_mels) @ magnitudes                       # librosa.filters.mel(sr=16000, n_fft=400)
    log_spec = torch.clamp(mel_spec, min=1e-10).log10()
    log_spec = torch.maximum(log_spec, log_spec.max() - 8.0)
    log_spec = (log_spec + 4.0) / 4.0

Here the transform is written out as a matrix product, so that nothing is shared with an FFT library. Clips shorter than
400 samples are first filled with silence: Whisper itself pads every clip to 30 s.
"""

import json
import pathlib

import librosa
import numpy as np

RATE_HZ, N_FFT, HOP = 16_000, 400, 160
CASES = [(80, 4800, 1), (128, 3217, 2), (64, 2400, 3), (40, 1600, 4), (80, 300, 5), (80, 401, 6)]


def signal(n_samples, seed):
    """A rising tone, a steady one and some noise; the Rust test makes the same."""
    i = np.arange(n_samples)
    t = i / RATE_HZ
    noise = ((i * 1103515245 + seed * 12345) % 65536) / 32768.0 - 1.0
    rising = 0.4 * np.sin(2 * np.pi * (300.0 * t + 4000.0 * t * t))
    steady = 0.2 * np.sin(2 * np.pi * 120.0 * seed * t)
    return (rising + steady + 0.01 * noise).astype(np.float32).astype(np.float64)


def log_mel(samples, n_mels):
    if len(samples) < N_FFT:
        samples = np.concatenate([samples, np.zeros(N_FFT - len(samples))])
    padded = np.pad(samples, N_FFT // 2, mode="reflect")
    n_frames = len(samples) // HOP + 1
    frames = np.stack([padded[k * HOP : k * HOP + N_FFT] for k in range(n_frames)])[:-1]
    n = np.arange(N_FFT)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / N_FFT)
    fourier = np.exp(-2j * np.pi * np.outer(n, np.arange(N_FFT // 2 + 1)) / N_FFT)
    power = np.abs((frames * window) @ fourier) ** 2
    filters = librosa.filters.mel(sr=RATE_HZ, n_fft=N_FFT, n_mels=n_mels, dtype=np.float64)
    log_spec = np.log10(np.maximum(power @ filters.T, 1e-10))
    log_spec = np.maximum(log_spec, log_spec.max() - 8.0)
    return (log_spec + 4.0) / 4.0


def main():
    cases = []
    for n_mels, n_samples, seed in CASES:
        frames = log_mel(signal(n_samples, seed), n_mels)
        cases.append(
            {
                "n_mels": n_mels,
                "n_samples": n_samples,
                "seed": seed,
                "n_frames": frames.shape[0],
                "values": [round(float(value), 6) for value in frames.reshape(-1)],
            }
        )
    path = pathlib.Path(__file__).resolve().parent / "log_mel.json"
    path.write_text(json.dumps({"numpy": np.__version__, "librosa": librosa.__version__, "cases": cases}) + "\n")


if __name__ == "__main__":
    main()
