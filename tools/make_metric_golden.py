#!/usr/bin/env python3
"""Writes tests/data/metric/image_quality.json: small image pairs with scikit-image's PSNR and SSIM of them.

    python3 tools/make_metric_golden.py        (needs numpy, scikit-image, scipy)

Images are [C, H, W], multiples of 1/256 (exact in JSON and in float32), partly outside [-1, 1] because
clipping is part of the definition.
"""
import json
import pathlib

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity


def smooth_image(random, channels, height, width):
    field = random.standard_normal((channels, height, width))
    field = gaussian_filter(field, (0, 2, 2))
    return 0.7 * field / field.std()


def grid(image):
    return np.round(image * 256) / 256


def case(name, random, shape, noise):
    truth = grid(smooth_image(random, *shape))
    x = grid(truth + noise * random.standard_normal(shape))
    a, b = np.clip(x, -1, 1), np.clip(truth, -1, 1)
    similarity = structural_similarity(b, a, data_range=2, channel_axis=0, gaussian_weights=True)
    return {"name": name, "shape": list(shape), "x": x.ravel().tolist(), "truth": truth.ravel().tolist(),
            "psnr": float(peak_signal_noise_ratio(b, a, data_range=2)), "ssim": float(similarity)}


def main():
    random = np.random.default_rng(1)
    cases = [case("grey", random, (1, 32, 32), 0.1), case("colour", random, (3, 48, 40), 0.3),
             case("smallest", random, (1, 11, 11), 0.2), case("narrow", random, (1, 24, 12), 0.02)]
    path = pathlib.Path(__file__).resolve().parent.parent / "tests/data/metric/image_quality.json"
    path.write_text(json.dumps(cases, separators=(",", ":")) + "\n")
    print(path, [(c["name"], c["psnr"], c["ssim"]) for c in cases])


if __name__ == "__main__":
    main()
