#!/usr/bin/env python3
"""NIfTI to dwgf and back: every slice along the third axis is an image.

    python3 tools/recipes/nifti.py to y.h5 --sigma 0.02 brain.nii.gz
    dwgf restore --input.data y.h5 --store.out r.h5 --prior.path PRIOR
    python3 tools/recipes/nifti.py back r.h5 --to restored.nii.gz brain.nii.gz

`back` writes the posterior mean as float32 with the affine and the header of the file, and the standard
deviation beside it (restored_std.nii.gz). Needs nibabel, numpy, h5py.
"""

import nibabel
import numpy as np
from recipe import arguments, restored, write_measurements


def slices_of(volume):
    return np.moveaxis(volume, 2, 0)[:, None]


def to(options):
    (name,) = options.files
    volume = nibabel.load(name).get_fdata()
    if volume.ndim != 3:
        raise SystemExit(f"{name} has {volume.ndim} axes; give one volume of three")
    write_measurements(
        options.measurements,
        slices_of(volume),
        options.sigma,
        options.operator,
        "",
        options.low,
        options.high,
        [f"slice {k}" for k in range(volume.shape[2])],
    )


def back(options):
    (name,) = options.files
    like = nibabel.load(name)
    header = like.header.copy()
    header.set_data_dtype(np.float32)
    header["scl_slope"], header["scl_inter"] = 1, 0
    stem = options.to.removesuffix(".gz").removesuffix(".nii")
    ending = options.to[len(stem) :] or ".nii.gz"
    for values, more in zip(restored(options.results), ("", "_std"), strict=True):
        volume = np.moveaxis(values[:, 0], 0, 2).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(volume, like.affine, header), stem + more + ending)


if __name__ == "__main__":
    given = arguments(__doc__)
    {"to": to, "back": back}[given.way](given)
