#!/usr/bin/env python3
"""Writes tests/data/operators/operators.json: what the forward operators give for one small image, by
independent means.

    python3 tools/make_operator_golden.py        (needs numpy, scipy, torch, pillow, scikit-image)

PyTorch functionals in double stand for the definitions; `bicubic` also comes from Pillow (float32, first
channel), convolutions from scipy.ndimage, Fourier samples from NumPy, JPEG from Pillow's codec (no chroma
subsampling), line integrals from scikit-image. Where conventions differ: scipy's `mirror` is our `reflect`,
`wrap` our `circular`; scikit-image's radon does not divide by the side of the image, its views are columns,
and at the angle t it integrates along what we call -t. The image is [3, 8, 12] in multiples of 1/256, exact
in JSON. Random masks come from the Philox4x32-10 stream that include/dwgf/base/random.hpp specifies.
"""
import io
import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as functional
from PIL import Image
from scipy import ndimage
from skimage.transform import radon

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
        counter = [(second >> 32) ^ counter[1] ^ key[0], second & WORD, (first >> 32) ^ counter[3] ^ key[1],
                   first & WORD]
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
    return functional.interpolate(x, size=(x.shape[2] // factor, x.shape[3] // factor), mode="bicubic",
                                  antialias=True,
                                  align_corners=False)


def pillow_bicubic(x, height, width):
    channels = [np.asarray(Image.fromarray(channel).resize((width, height), Image.Resampling.BICUBIC))
                for channel in x[0].numpy().astype(np.float32)]
    return torch.from_numpy(np.stack(channels))[None]


def phase(x, oversample):
    padding = int(oversample / 8 * x.shape[-1])
    return torch.fft.fft2(functional.pad((x + 1) / 2, (padding,) * 4), norm="ortho").abs()


def convolve(x, kernel, border):
    mode = {"reflect": "mirror", "zero": "constant", "circular": "wrap"}[border]
    return torch.from_numpy(np.stack([ndimage.convolve(channel, kernel, mode=mode)
                                      for channel in x[0].numpy()]))[None]


def fourier(x, mask):
    spectrum = np.fft.fft2(x[0].numpy(), norm="ortho") * mask
    return torch.from_numpy(np.stack([spectrum.real, spectrum.imag]))[None]


def quantise(x, levels):
    grid = np.linspace(-1, 1, levels)
    return torch.from_numpy(grid[np.abs(x.numpy()[..., None] - grid).argmin(-1)])


def phantom(size):
    """Smooth blobs, off the centre, within the circle."""
    position = np.arange(size) - (size - 1) / 2
    y, x = np.meshgrid(position, position, indexing="ij")
    blobs = [(0.8, 3, -4, 3.0), (-0.5, -5, 3, 2.5), (0.6, 2, 6, 3.0)]
    return sum(a * np.exp(-((y - v) ** 2 + (x - u) ** 2) / (2 * w * w)) for a, v, u, w in blobs)


def radon_golden(size=41, views=12):
    # Their centre is at size // 2, ours at (size - 1) / 2: the same for an odd size.
    image = phantom(size)
    sinogram = radon(image, theta=-np.arange(views) * 180 / views, circle=True).T  # [views, size]
    return {"size": size, "views": views, "detectors": size, "x": image.flatten().round(9).tolist(),
            "y": sinogram.flatten().round(9).tolist()}


def jpeg_golden(generator, channels, height, width, quality):
    coarse = generator.uniform(0, 255, (height // 4 + 2, width // 4 + 2, channels))
    levels = np.clip(ndimage.zoom(coarse, (4, 4, 1), order=3)[:height, :width]
                     + generator.normal(0, 6, (height, width, channels)), 0, 255)
    levels = np.round(levels).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels.squeeze() if channels == 1 else levels).save(file, "JPEG", quality=quality,
        subsampling=0)
    decoded = np.asarray(Image.open(file)).reshape(height, width, channels)
    return {"shape": [channels, height, width], "x": np.moveaxis(levels, 2, 0).flatten().tolist(),
            "y": np.moveaxis(decoded, 2, 0).flatten().tolist()}


def main():
    values = np.random.default_rng(3).uniform(-1, 1, (1, *SHAPE))
    x = torch.from_numpy(np.round(values * 256) / 256)
    luma = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64).reshape(1, 3, 1, 1)
    generator = np.random.default_rng(4)
    arrays = {"k35": np.round(generator.uniform(-1, 1, (3, 5)) * 64) / 64,
              "k51": np.round(generator.uniform(0, 1, (5, 1)) * 64) / 64,
              "m": (generator.uniform(size=SHAPE[1:]) < 0.4).astype(float),
              "A": np.round(generator.normal(size=(7, x.numel())) * 64) / 64}
    results = {
        "identity": x,
        "mask:m": x * torch.from_numpy(arrays["m"]),
        "kernel:k35": convolve(x, arrays["k35"], "reflect"),
        "kernel:k35,zero": convolve(x, arrays["k35"], "zero"),
        "kernel:k51,circular": convolve(x, arrays["k51"], "circular"),
        "fourier:m": fourier(x, arrays["m"]),
        "matrix:A": torch.from_numpy(arrays["A"] @ x.numpy().reshape(-1))[None],
        "quantise:2": quantise(x, 2),
        "quantise:12": quantise(x, 12),
        "bicubic:3": bicubic(x, 3),
        "bicubic:5": bicubic(x, 5),
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
        "arrays": {name: {"shape": list(array.shape), "values": array.flatten().tolist()} for name,
                   array in arrays.items()},
        "radon": radon_golden(),
        "jpeg": {f"{quality} {channels}": jpeg_golden(generator, channels, 19, 24, quality) for quality,
                 channels in ((20, 1), (50, 3), (75, 3))},
        "shape": SHAPE, "seed": SEED, "image": IMAGE, "x": x.flatten().tolist(),
        "operators": {spec: {"shape": list(y.shape[1:]), "y": y.flatten().tolist()} for spec,
                      y in results.items()},
        "pillow": {spec: {"shape": list(y.shape[1:]), "y": y.flatten().tolist()}
                   for spec, y in {"down 2": pillow_bicubic(x[:, :1], 4, 6),
                                   "up 3": pillow_bicubic(x[:, :1], 24, 36)}.items()},
    }
    path = pathlib.Path(__file__).resolve().parent.parent / "tests/data/operators/operators.json"
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size, "bytes,", len(results), "operators")


if __name__ == "__main__":
    main()
