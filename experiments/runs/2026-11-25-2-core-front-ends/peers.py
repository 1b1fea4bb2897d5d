#!/usr/bin/env python3
"""The same work by openai-whisper, torchaudio and Pillow, and the inputs for all of them.

    peers.py inputs FOLDER
    peers.py PEER SIZE REPEATS INPUT OUT.npy      # whisper, torchaudio-log-mel, torchaudio-fbank, pillow-VERSION

Prints the milliseconds of each repeat, a line each, and writes what came out last.
"""

import pathlib
import sys
import time

import numpy as np

PICTURES = [(500, 375, 90), (640, 480, 90), (1920, 1080, 85)]


def inputs(folder):
    """Half a minute of chirps and noise; pictures whose spectrum falls like a photograph's, 4:2:0."""
    from PIL import Image

    random = np.random.default_rng(1)
    folder.mkdir(parents=True, exist_ok=True)
    t = np.arange(30 * 16_000) / 16_000
    tone = 0.3 * np.sin(2 * np.pi * (200.0 * t + 800.0 * np.sin(2.0 * t)))
    np.save(folder / "sound.npy", (tone + 0.02 * random.standard_normal(t.size)).astype("<f4"))
    for width, height, quality in PICTURES:
        y, x = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
        fall = 1.0 / np.maximum(np.hypot(x, y), 1.0 / max(width, height))
        planes = []
        for _ in range(3):
            spectrum = np.fft.rfft2(random.standard_normal((height, width))) * fall
            plane = np.fft.irfft2(spectrum, (height, width))
            planes.append(plane / plane.std())
        luma, blue, red = planes
        rgb = np.stack([luma + 0.3 * red, luma - 0.1 * red - 0.1 * blue, luma + 0.3 * blue], axis=-1)
        image = Image.fromarray(np.clip(128 + 50 * rgb, 0, 255).astype(np.uint8))
        image.save(folder / f"{width}x{height}.jpg", quality=quality, subsampling=2)


def timed(repeats, work):
    for _ in range(3):
        work()
    last = work()
    for _ in range(repeats):
        start = time.perf_counter()
        last = work()
        print(f"{(time.perf_counter() - start) * 1e3:.4f}")
    return last


def sound(peer, size, repeats, path):
    import torch

    torch.set_num_threads(1)
    samples = torch.from_numpy(np.load(path))
    with torch.inference_mode():
        if peer == "whisper":
            import whisper

            return timed(repeats, lambda: whisper.log_mel_spectrogram(samples, n_mels=size)).T.numpy()
        import torchaudio

        if peer == "torchaudio-fbank":
            kaldi = torchaudio.compliance.kaldi
            return timed(repeats, lambda: kaldi.fbank(samples[None], num_mel_bins=size, dither=0.0)).numpy()
        mel = torchaudio.transforms.MelSpectrogram(
            16_000, n_fft=400, hop_length=160, n_mels=size, norm="slaney", mel_scale="slaney"
        )

        def log_mel():
            log_spec = torch.clamp(mel(samples)[:, :-1], min=1e-10).log10()
            return (torch.maximum(log_spec, log_spec.max() - 8.0) + 4.0) / 4.0

        return timed(repeats, log_mel).T.numpy()


def picture(peer, size, repeats, path):
    import io

    import PIL
    from PIL import Image

    if not PIL.__version__.startswith(peer.removeprefix("pillow-") + "."):
        sys.exit(f"expected {peer}, got Pillow {PIL.__version__}")
    data = pathlib.Path(path).read_bytes()

    def work():
        image = Image.open(io.BytesIO(data)).convert("RGB")
        return image.resize((size, size), Image.Resampling.BICUBIC)

    return np.asarray(timed(repeats, work))


def main():
    if sys.argv[1] == "inputs":
        return inputs(pathlib.Path(sys.argv[2]))
    peer, size, repeats, path, out = sys.argv[1:]
    size, repeats = int(size), int(repeats)
    made = picture(peer, size, repeats, path) if peer.startswith("pillow") else sound(peer, size, repeats, path)
    np.save(out, np.ascontiguousarray(made))


if __name__ == "__main__":
    main()
