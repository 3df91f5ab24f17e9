#!/usr/bin/env python3
"""FITS to dwgf and back: the first image of each file, in the unit of its BUNIT.

    python3 tools/recipes/fits.py to y.h5 --sigma 3 --operator kernel:psf.npy galaxy.fits
    dwgf restore --input.data y.h5 --store.out r.h5 --prior.path PRIOR
    python3 tools/recipes/fits.py back r.h5 --to restored/ galaxy.fits

`back` writes each file anew: the posterior mean under the header of the image, world coordinates included,
and the standard deviation as the extension STD. Needs astropy, numpy, h5py.
"""

import pathlib

import numpy as np
from astropy.io import fits
from recipe import arguments, restored, write_measurements


def image_of(name):
    with fits.open(name) as file:
        for part in file:
            if part.data is not None and part.data.ndim == 2:
                return part.data.astype(np.float64), part.header.copy()
    raise SystemExit(f"{name} holds no image of two axes")


def to(options):
    images = [image_of(name) for name in options.files]
    write_measurements(
        options.measurements,
        np.stack([data[None] for data, _ in images]),
        options.sigma,
        options.operator,
        images[0][1].get("BUNIT", ""),
        options.low,
        options.high,
        [pathlib.Path(name).name for name in options.files],
    )


def back(options):
    folder = pathlib.Path(options.to)
    folder.mkdir(parents=True, exist_ok=True)
    for name, mean, std in zip(options.files, *restored(options.results), strict=True):
        header = image_of(name)[1]
        for key in ("BSCALE", "BZERO", "BLANK", "XTENSION", "PCOUNT", "GCOUNT"):
            header.remove(key, ignore_missing=True)
        header["HISTORY"] = "posterior mean and standard deviation by dwgf"
        parts = [
            fits.PrimaryHDU(mean[0].astype(np.float32), header),
            fits.ImageHDU(std[0].astype(np.float32), name="STD"),
        ]
        fits.HDUList(parts).writeto(folder / pathlib.Path(name).name, overwrite=True)


if __name__ == "__main__":
    given = arguments(__doc__)
    {"to": to, "back": back}[given.way](given)
