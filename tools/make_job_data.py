#!/usr/bin/env python3
"""Writes the arrays that the studies in jobs/ measure with, jobs/data/*: the same bytes every time.

    python3 tools/make_job_data.py        (needs numpy and pillow)

mri-mask.png: which columns of the 32 x 32 Fourier plane are sampled: the 5 lowest and 6 of the others, by
chance, denser near the middle; frequency 0 first. single-pixel.npy: 256 patterns of +-1/32 by chance, one a
row.
"""
import pathlib

import numpy as np
from PIL import Image

SIDE = 32


def main():
    folder = pathlib.Path(__file__).resolve().parent.parent / "jobs/data"
    generator = np.random.default_rng(7)
    frequency = np.abs(np.fft.fftfreq(SIDE) * SIDE)
    sampled = frequency <= 2
    others = np.flatnonzero(~sampled)
    density = 1 / frequency[others] ** 2
    sampled[generator.choice(others, 6, replace=False, p=density / density.sum())] = True
    Image.fromarray(np.broadcast_to(sampled,
                                    (SIDE, SIDE)).astype(np.uint8) * 255).save(folder / "mri-mask.png")
    patterns = generator.choice([-1, 1], (256, SIDE * SIDE)).astype(np.float32) / SIDE
    np.save(folder / "single-pixel.npy", patterns)
    for name in ("mri-mask.png", "single-pixel.npy"):
        print(folder / name, (folder / name).stat().st_size, "bytes")


if __name__ == "__main__":
    main()
