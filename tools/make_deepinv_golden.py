#!/usr/bin/env python3
"""Makes tests/data/operators/deepinv.json: what deepinv 0.5 measures of small images, and the operator
here that does the same.

A development tool; neither dwgf nor its tests need it. Needs torch 2.13.0 and deepinv 0.5.0 with natsort,
hdf5storage, scipy, matplotlib, pandas, torchmetrics; torchvision, which deepinv imports and these operators
do not use, may be missing. To renew:

    tools/make_deepinv_golden.py tests/data/operators/deepinv.json

A list of {name, spec, shape [C, H, W], arrays: {kind: {shape, values}}, x, y_shape, y}, computed in float64.
Where conventions differ, y is turned to the ones here as a user would: deepinv's Fourier transform has
frequency and image origin in the middle, ours at [0, 0].
"""

import importlib.abc
import importlib.machinery
import importlib.util
import json
import sys
import types

import numpy as np
import torch


class StandIn(types.ModuleType):
    """In place of torchvision: every name is a class that does nothing."""

    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__init__": lambda self, *words, **named: None})


class StandInFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        return (
            importlib.machinery.ModuleSpec(name, self, is_package=True)
            if name.split(".")[0] == "torchvision"
            else None
        )

    def create_module(self, spec):
        return StandIn(spec.name)

    def exec_module(self, module):
        pass


if importlib.util.find_spec("torchvision") is None:
    sys.meta_path.insert(0, StandInFinder())

import deepinv.physics as physics  # noqa: E402


def at_origin(samples):
    """[..., H, W] complex samples of deepinv's centred transform as those of numpy.fft.fft2."""
    height, width = samples.shape[-2:]
    turn = np.exp(
        -2j
        * np.pi
        * (
            np.arange(height)[:, None] * (height // 2) / height
            + np.arange(width)[None] * (width // 2) / width
        )
    )
    return np.fft.ifftshift(samples, (-2, -1)) * turn


def parts(samples):
    return np.stack([samples.real, samples.imag])


def cases(generator):
    draw = lambda *shape: torch.rand(shape, generator=generator, dtype=torch.float64)
    grey, colour = 2 * draw(1, 1, 8, 10) - 1, 2 * draw(1, 3, 8, 10) - 1
    numpy = lambda tensor: tensor[0].detach().numpy()

    kernel = draw(1, 1, 3, 5)
    blur = physics.Blur(filter=kernel, padding="circular")
    yield "Blur", "kernel:kernel,circular", colour, {"kernel": kernel[0, 0].numpy()}, numpy(blur.A(colour))

    mask = (draw(8, 10) > 0.4).double()
    inpainting = physics.Inpainting(img_size=(3, 8, 10), mask=mask.expand(3, 8, 10))
    yield "Inpainting", "mask:mask", colour, {"mask": mask.numpy()}, numpy(inpainting.A(colour))

    yield "Decolorize", "grey", colour, {}, numpy(
        physics.Decolorize(srf=(0.299, 0.587, 0.114)).double().A(colour)
    )

    sensing = physics.CompressedSensing(
        m=7, img_size=(1, 8, 10), dtype=torch.float64, rng=torch.Generator().manual_seed(3)
    )
    yield "CompressedSensing", "matrix:matrix", grey, {"matrix": sensing._A.numpy()}, numpy(sensing.A(grey))

    smaller = physics.Downsampling(img_size=(1, 8, 10), filter="bicubic", factor=2).double()
    basis = torch.eye(80, dtype=torch.float64).view(80, 1, 8, 10)
    yield "Downsampling", "matrix:matrix", grey, {"matrix": smaller.A(basis).flatten(1).T.numpy()}, numpy(
        smaller.A(grey)
    ).ravel()

    sampled = np.fft.ifftshift(mask.numpy())
    complex_image = torch.cat([grey, torch.zeros_like(grey)], 1)
    seen = numpy(physics.MRI(mask=mask.expand(1, 2, 8, 10), img_size=(2, 8, 10)).A(complex_image))
    yield "MRI", "fourier:mask", grey, {"mask": sampled}, parts(at_origin(seen[0] + 1j * seen[1])[None])

    maps = torch.complex(draw(1, 3, 8, 10), draw(1, 3, 8, 10))
    several = physics.MultiCoilMRI(mask=mask.expand(1, 2, 8, 10), coil_maps=maps, img_size=(2, 8, 10))
    seen = numpy(several.A(complex_image))
    yield (
        "MultiCoilMRI",
        "sense:coils | fourier:mask,complex",
        grey,
        {"coils": parts(maps[0].numpy()), "mask": sampled},
        parts(at_origin(seen[0] + 1j * seen[1])),
    )


def main():
    values = lambda array: [float(f"{value:.12g}") for value in np.asarray(array).ravel()]
    stored = []
    for name, spec, x, arrays, y in cases(torch.Generator().manual_seed(1)):
        stored.append(
            {
                "name": name,
                "spec": spec,
                "shape": list(x.shape[1:]),
                "x": values(x),
                "arrays": {
                    kind: {"shape": list(array.shape), "values": values(array)}
                    for kind, array in arrays.items()
                },
                "y_shape": list(y.shape),
                "y": values(y),
            }
        )
        print(f"{name}: {spec}")
    with open(sys.argv[1], "w") as file:
        json.dump(stored, file)
        file.write("\n")


if __name__ == "__main__":
    main()
