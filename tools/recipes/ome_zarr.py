#!/usr/bin/env python3
"""OME-Zarr to dwgf and back: the largest scale; every plane [y, x] of its other axes (t, c, z) is an image.

    python3 tools/recipes/ome_zarr.py to y.h5 --sigma 40 --operator blur:9,1.4 cells.ome.zarr
    dwgf restore --input.data y.h5 --store.out r.h5 --prior.path PRIOR
    python3 tools/recipes/ome_zarr.py back r.h5 --to restored.ome.zarr cells.ome.zarr

`back` writes one scale of float32 with the axes and the pixel sizes of the original, and the standard
deviation beside it (restored_std.ome.zarr). Needs zarr 3, numpy, h5py.
"""

import numpy as np
import zarr
from recipe import arguments, restored, write_measurements


def multiscale_of(group):
    """The description of the first image, where versions 0.4 and 0.5 of the format have it."""
    return group.attrs.asdict().get("ome", group.attrs.asdict())["multiscales"][0]


def largest(name):
    group = zarr.open_group(name, mode="r")
    described = multiscale_of(group)
    return group[described["datasets"][0]["path"]], described


def to(options):
    (name,) = options.files
    array, described = largest(name)
    if [axis["name"] for axis in described["axes"]][-2:] != ["y", "x"]:
        raise SystemExit(f"{name}: the last axes are not y and x")
    planes = np.asarray(array[...], np.float64).reshape(-1, 1, *array.shape[-2:])
    names = [" ".join(map(str, np.unravel_index(k, array.shape[:-2]))) or "plane" for k in range(len(planes))]
    write_measurements(
        options.measurements, planes, options.sigma, options.operator, "", options.low, options.high, names
    )


def back(options):
    (name,) = options.files
    array, described = largest(name)
    stem = options.to.removesuffix(".zarr").removesuffix(".ome")
    for values, more in zip(restored(options.results), ("", "_std"), strict=True):
        group = zarr.open_group(stem + more + ".ome.zarr", mode="w", zarr_format=2)
        group.create_array("0", data=values[:, 0].reshape(array.shape).astype(np.float32))
        group.attrs["multiscales"] = [
            {
                "version": "0.4",
                "name": f"posterior {'mean' if not more else 'deviation'}",
                "axes": described["axes"],
                "datasets": [described["datasets"][0] | {"path": "0"}],
            }
        ]


if __name__ == "__main__":
    given = arguments(__doc__)
    {"to": to, "back": back}[given.way](given)
