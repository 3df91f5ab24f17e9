#!/usr/bin/env python3
"""dwgf as a reconstructor of deepinv 0.5, and a benchmark of it: any linear physics of deepinv, traced, is
the operator.

    python3 tools/recipes/deepinv_bridge.py PICTURE...     [--dwgf build/dwgf] [-- OPTIONS OF dwgf restore]

prints PSNR [dB] of A^T y and of the posterior mean, for grey pictures of the prior's size. Needs torch,
deepinv 0.5, h5py, Pillow.
"""

import argparse
import pathlib
import subprocess
import tempfile

import deepinv
import h5py
import numpy as np
import torch
from PIL import Image


class Dwgf(deepinv.models.Reconstructor):
    """x on [0, 1] as deepinv has it; dwgf's is 2 x - 1, so that A (2 x - 1) = 2 y - A 1 and noise doubles."""

    def __init__(self, sigma, program="dwgf", options=("--flow.preset", "quick")):
        super().__init__()
        self.sigma, self.program, self.options = sigma, program, options

    def forward(self, y, physics, **_):
        shape = physics.A_adjoint(y).shape[1:]
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            torch.jit.trace(lambda x: physics.A(x), torch.rand(1, *shape), check_trace=False).save(
                str(folder / "A.pt")
            )
            with h5py.File(folder / "y.h5", "w") as file:
                file.attrs.update(
                    dwgf_measurements=1,
                    sigma=2 * self.sigma,
                    image_shape=shape,
                    operator=f"torch:{folder}/A.pt,linear",
                )
                file["measurement/y"] = (2 * y - physics.A(torch.ones(1, *shape))).numpy()
            subprocess.run(
                [
                    self.program,
                    "restore",
                    "--input.data",
                    folder / "y.h5",
                    "--store.out",
                    folder / "r.h5",
                    *self.options,
                ],
                check=True,
            )
            with h5py.File(folder / "r.h5") as file:
                return torch.from_numpy((file["posterior/mean"][:] + 1) / 2).clamp(0, 1)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--dwgf", default="dwgf")
    options, more = parser.parse_known_args()
    x = torch.stack(
        [
            torch.from_numpy(np.asarray(Image.open(p).convert("L"), np.float32))[None] / 255
            for p in options.pictures
        ]
    )
    physics = deepinv.physics.Blur(deepinv.physics.blur.gaussian_blur(sigma=1.5), padding="circular")
    y = physics.A(x) + 0.02 * torch.randn_like(x, generator=None)
    psnr = lambda estimate: [round(float(v), 2) for v in deepinv.metric.PSNR()(estimate, x)]
    print("A^T y         ", psnr(physics.A_adjoint(y)))
    print(
        "posterior mean",
        psnr(
            Dwgf(0.02, options.dwgf, [o for o in more if o != "--"] or ("--flow.preset", "quick"))(y, physics)
        ),
    )


if __name__ == "__main__":
    main()
