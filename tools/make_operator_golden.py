#!/usr/bin/env python3
"""Writes tests/data/operators/operators.json: what the forward operators give for one small image, by independent means.

    python3 tools/make_operator_golden.py        (needs numpy, torch, pillow)

PyTorch functionals in double stand for the definitions; `bicubic` also comes from Pillow (float32, first channel). The image is
[3, 8, 12] in multiples of 1/256, exact in JSON. Random masks come from the Philox4x32-10 stream that
include/dwgf/base/random.hpp specifies.
"""
import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as functional
from PIL import Image

SHAPE = (3, 8, 12)
SEED, IMAGE = 5, 11
MASK = 5
WORD, LONG = (1 << 32) - 1, (1 << 64) - 1


def splitmix(value):
    value = (value + 0x9E3779B97F4A7C15) & LONG
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & LONG
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & LONG
    return value ^ (value >> 31)


def philox(counter, key):
    for _ in range(10):
        first, second = counter[0] * 0xD2511F53, counter[2] * 0xCD9E8D57
        counter = [(second >> 32) ^ counter[1] ^ key[0], second & WORD, (first >> 32) ^ counter[3] ^ key[1], first & WORD]
        key = [(key[0] + 0x9E3779B9) & WORD, (key[1] + 0xBB67AE85) & WORD]
    return counter


def mask_uniforms(seed, image, count):
    key = splitmix((splitmix(seed) + image) & LONG)
    values = []
    for block in range((count + 3) // 4):
        values += philox([block, 0, 0, MASK], [key & WORD, key >> 32])
    return np.array(values[:count]) * 2.0**-32


def box(x, top, left, height, width):
    y = x.clone()
    y[..., top:top + height, left:left + width] = 0
    return y


def random_mask(x, fraction):
    uniforms = mask_uniforms(SEED, IMAGE, x[0].numel())
    return x * torch.from_numpy(uniforms >= fraction).reshape(x.shape[1:])


def blur(x, size, std, border):
    offset = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    kernel = torch.exp(-(offset[:, None] ** 2 + offset[None, :] ** 2) / (2 * std**2))
    kernel = kernel / kernel.sum()
    mode = {"reflect": "reflect", "zero": "constant", "circular": "circular"}[border]
    padded = functional.pad(x, (size // 2,) * 4, mode=mode)
    return functional.conv2d(padded, kernel.expand(x.shape[1], 1, size, size), groups=x.shape[1])


def bicubic(x, factor):
    return functional.interpolate(x, size=(x.shape[2] // factor, x.shape[3] // factor), mode="bicubic", antialias=True,
                                  align_corners=False)


def pillow_bicubic(x, height, width):
    channels = [np.asarray(Image.fromarray(channel).resize((width, height), Image.Resampling.BICUBIC))
                for channel in x[0].numpy().astype(np.float32)]
    return torch.from_numpy(np.stack(channels))[None]


def phase(x, oversample):
    padding = int(oversample / 8 * x.shape[-1])
    return torch.fft.fft2(functional.pad((x + 1) / 2, (padding,) * 4), norm="ortho").abs()


def main():
    values = np.random.default_rng(3).uniform(-1, 1, (1, *SHAPE))
    x = torch.from_numpy(np.round(values * 256) / 256)
    luma = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64).reshape(1, 3, 1, 1)
    results = {
        "identity": x,
        "box:2,3,4,5": box(x, 2, 3, 4, 5),
        "random:0.7": random_mask(x, 0.7),
        "mean:2": functional.avg_pool2d(x, 2),
        "mean:4": functional.avg_pool2d(x, 4),
        "bicubic:2": bicubic(x, 2),
        "bicubic:4": bicubic(x, 4),
        "blur:5,1.5": blur(x, 5, 1.5, "reflect"),
        "blur:15,3": blur(x, 15, 3.0, "reflect"),
        "blur:5,1.5,zero": blur(x, 5, 1.5, "zero"),
        "blur:7,0.8,circular": blur(x, 7, 0.8, "circular"),
        "grey": (x * luma).sum(1, keepdim=True),
        "hdr": (2 * x).clamp(-1, 1),
        "phase": phase(x, 2.0),
        "phase:4": phase(x, 4.0),
        "blur:5,1.5 | mean:2 | hdr": (2 * functional.avg_pool2d(blur(x, 5, 1.5, "reflect"), 2)).clamp(-1, 1),
    }
    golden = {
        "shape": SHAPE, "seed": SEED, "image": IMAGE, "x": x.flatten().tolist(),
        "operators": {spec: {"shape": list(y.shape[1:]), "y": y.flatten().tolist()} for spec, y in results.items()},
        "pillow": {spec: {"shape": list(y.shape[1:]), "y": y.flatten().tolist()}
                   for spec, y in {"down 2": pillow_bicubic(x[:, :1], 4, 6), "up 3": pillow_bicubic(x[:, :1], 24, 36)}.items()},
    }
    path = pathlib.Path(__file__).resolve().parent.parent / "tests/data/operators/operators.json"
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size, "bytes,", len(results), "operators")


if __name__ == "__main__":
    main()
