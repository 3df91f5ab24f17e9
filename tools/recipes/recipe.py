"""What the recipes of this folder share: images in their own units to a measurements file of dwgf, and
results back.

On [-1, 1], which dwgf computes on, a value v of your units is (v - offset) / scale; the file carries scale,
offset and unit on, so that `dwgf export` and `restored` give your units again. Needs numpy and h5py.
"""

import argparse

import h5py
import numpy as np


def write_measurements(path, images, sigma, operator, unit="", low=None, high=None, names=None):
    """images: [n, C, H, W] that are measurements already, in their own units, as `sigma` is, the standard
    deviation of their noise. `low` and `high`, black and white, are the images' own unless they are given."""
    images = np.asarray(images, np.float64)
    if not np.isfinite(images).all():
        raise SystemExit("a value is not finite: fill it, or mask it (mask:@)")
    low = float(images.min() if low is None else low)
    high = float(images.max() if high is None else high)
    if not high > low:
        raise SystemExit(f"black is {low} and white {high}: give --low and --high")
    scale, offset = (high - low) / 2, (high + low) / 2
    with h5py.File(path, "w") as file:
        file.attrs.update(
            dwgf_measurements=1,
            operator=operator,
            sigma=sigma / scale,
            image_shape=images.shape[1:],
            value_scale=scale,
            value_offset=offset,
        )
        if unit:
            file.attrs["unit"] = unit
        file["measurement/y"] = ((images - offset) / scale).astype(np.float32)
        if names is not None:
            file["image/name"] = np.array([name.encode() for name in names])


def restored(path):
    """Posterior mean and standard deviation [n, C, H, W] of a results file, in its measurements' units."""
    with h5py.File(path) as file:
        if not np.all(file["image/state"][:] == 1):
            raise SystemExit(f"{path}: not every image is done; `dwgf status {path}` says which")
        scale, offset = (
            float(file.attrs.get(name, missing))
            for name, missing in (("value_scale", 1), ("value_offset", 0))
        )
        return file["posterior/mean"][:] * scale + offset, file["posterior/std"][:] * abs(scale)


def arguments(description):
    """`RECIPE to y.h5 FILE... --sigma S`, and `RECIPE back results.h5 FILE... --to OUT`."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ways = parser.add_subparsers(dest="way", required=True)
    to = ways.add_parser("to", help="files to a measurements file")
    to.add_argument("measurements", help="the measurements file to write")
    to.add_argument("files", nargs="+")
    to.add_argument(
        "--sigma", type=float, required=True, help="standard deviation of the noise, in the files' units"
    )
    to.add_argument(
        "--operator", default="identity", help="how the images were measured: identity, blur:5,1 ..."
    )
    to.add_argument("--low", type=float, help="the value that is black")
    to.add_argument("--high", type=float, help="the value that is white")
    back = ways.add_parser("back", help="results to files like those that were measured")
    back.add_argument("results", help="what `dwgf restore` wrote")
    back.add_argument("files", nargs="+", help="the same files in the same order")
    back.add_argument("--to", required=True, help="the file or the folder to write")
    return parser.parse_args()
