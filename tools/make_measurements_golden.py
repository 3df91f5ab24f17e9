#!/usr/bin/env python3
"""Writes tests/data/measurements/h5py.h5: measurements as a user writes them with h5py, by the layout that
the README gives.

    python3 tools/make_measurements_golden.py        (needs numpy and h5py)

Two images of 8 x 8, measured by `mask:@ | kernel:@` without noise: float64 measurements, a boolean mask for
each image, names as variable-length texts, no identities, no truth, no sigma. The values are multiples of
1/8. fixed-texts.h5 is the same with truth, identities and texts of fixed length: the seed of tools/fuzz.
complex.h5 has Fourier samples of such images as complex64, [n, C, H, W], a level an image, and units.
levels.h5 has pictures of 8 bits, [n, C, H, W], measured by `identity`; positive.h5 the same on 0 ... 1.
no-axis.h5 has Fourier samples as [n, 2, H, W]; no-level.h5 says that sigma is to be estimated.
coils.h5 has samples of two coils as complex64 [n, J, H, W] with their maps [J, H, W], and the truth; angles.h5
tomographies of nothing at angles of each image, [n, views].
"""
import pathlib

import h5py
import numpy as np


def main():
    generator = np.random.default_rng(5)
    x = generator.integers(-8, 9, (2, 1, 8, 8)) / 8
    mask = generator.random((2, 8, 8)) < 0.7
    kernel = np.zeros((3, 3))
    kernel[1] = 0.25, 0.5, 0.25
    wide = np.pad(x * mask[:, None], ((0, 0), (0, 0), (0, 0), (1, 1)), mode="reflect")
    y = 0.25 * wide[..., :-2] + 0.5 * wide[..., 1:-1] + 0.25 * wide[..., 2:]
    path = pathlib.Path(__file__).resolve().parent.parent / "tests/data/measurements/h5py.h5"
    with h5py.File(path, "w") as file:
        file.attrs["dwgf_measurements"] = 1
        file.attrs["operator"] = "mask:@ | kernel:@"
        file.attrs["image_shape"] = (1, 8, 8)
        file["measurement/y"] = y
        file["operator/mask"] = mask
        file["operator/kernel"] = kernel
        file["image/name"] = ["left.png", "höher.png"]
    print(path, path.stat().st_size, "bytes")
    path = path.with_name("fixed-texts.h5")
    with h5py.File(path, "w") as file:
        file.attrs["dwgf_measurements"] = 1
        file.attrs["operator"] = np.bytes_("mask:@ | kernel:@")
        file.attrs["sigma"] = 0.1
        file["measurement/y"] = y.astype(np.float32)
        file["truth/x"] = x.astype(np.float32)
        file["operator/mask"] = mask
        file["operator/kernel"] = kernel
        file["image/id"] = np.arange(2, dtype=np.uint64) + 5
        file["image/name"] = np.array([b"left.png", b"right.png"])
    print(path, path.stat().st_size, "bytes")
    path = path.with_name("complex.h5")
    with h5py.File(path, "w") as file:
        file.attrs["dwgf_measurements"] = 1
        file.attrs["operator"] = "fourier:@"
        file.attrs["sigma"] = [0.05, 0.1]
        file.attrs["image_shape"] = (1, 8, 8)
        file.attrs["value_scale"] = 1000.0
        file.attrs["value_offset"] = 24.0
        file.attrs["unit"] = "HU"
        file["measurement/y"] = np.fft.fft2(x, norm="ortho").astype(np.complex64)
        file["operator/mask"] = np.ones((8, 8), bool)
    print(path, path.stat().st_size, "bytes")
    path = path.with_name("levels.h5")
    with h5py.File(path, "w") as file:
        file.attrs["dwgf_measurements"] = 1
        file.attrs["operator"] = "identity"
        file.attrs["sigma"] = 0.1
        file.attrs["image_shape"] = (1, 8, 8)
        file["measurement/y"] = ((x + 1) * 127.5).astype(np.uint8)
    print(path, path.stat().st_size, "bytes")
    samples = np.fft.fft2(x[:, 0], norm="ortho")
    for name, forward, sigma, values in (
            ("positive", "identity", 0.02, (x + 1) / 2), ("no-level", "identity", "estimate", x),
            ("no-axis", "fourier:@", 0.1, np.stack([samples.real, samples.imag], 1))):
        with h5py.File(path.with_name(name + ".h5"), "w") as file:
            file.attrs["dwgf_measurements"] = 1
            file.attrs["operator"] = forward
            file.attrs["sigma"] = sigma
            file.attrs["image_shape"] = (1, 8, 8)
            file["measurement/y"] = values.astype(np.float32)
            if forward.startswith("fourier"):
                file["operator/mask"] = np.ones((8, 8), bool)
    maps = (generator.integers(-8, 9, (2, 8, 8)) + 1j * generator.integers(-8, 9, (2, 8, 8))) / 8
    with h5py.File(path.with_name("coils.h5"), "w") as file:
        file.attrs["dwgf_measurements"] = 1
        file.attrs["operator"] = "sense:@ | fourier:@,complex"
        file.attrs["sigma"] = 0.05
        file.attrs["image_shape"] = (1, 8, 8)
        file["measurement/y"] = (np.fft.fft2(maps * x, norm="ortho") * mask[0]).astype(np.complex64)
        file["operator/coils"] = maps.astype(np.complex64)
        file["operator/mask"] = mask[0]
        file["truth/x"] = x.astype(np.float32)
    with h5py.File(path.with_name("angles.h5"), "w") as file:
        file.attrs["dwgf_measurements"] = 1
        file.attrs["operator"] = "radon:@"
        file.attrs["sigma"] = 0.05
        file.attrs["image_shape"] = (1, 8, 8)
        file["measurement/y"] = np.zeros((2, 1, 2, 13), np.float32)
        file["operator/angles"] = [[0.0, 90.0], [10.0, 40.0]]


if __name__ == "__main__":
    main()
