#!/usr/bin/env python3
"""DICOM to dwgf and back: one image a file, values in the units that its rescale slope and intercept
give (HU of CT).

    python3 tools/recipes/dicom.py to y.h5 --sigma 20 --low -1024 --high 3071 ct/*.dcm
    dwgf restore --input.data y.h5 --store.out r.h5 --prior.path PRIOR
    python3 tools/recipes/dicom.py back r.h5 --to restored/ ct/*.dcm

`back` writes copies of the files with the posterior mean as pixels, rounded to the stored type, as a new
series. Needs pydicom, numpy, h5py.
"""

import pathlib

import numpy as np
import pydicom
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from recipe import arguments, restored, write_measurements


def scale_of(header):
    return float(header.get("RescaleSlope", 1)), float(header.get("RescaleIntercept", 0))


def to(options):
    images, unit = [], ""
    for name in options.files:
        header = pydicom.dcmread(name)
        slope, intercept = scale_of(header)
        if header.pixel_array.ndim != 2:
            raise SystemExit(f"{name}: {header.pixel_array.ndim} axes; one grey frame a file is taken")
        images.append(header.pixel_array[None] * slope + intercept)
        unit = str(header.get("RescaleType", "HU" if header.get("Modality") == "CT" else ""))
    write_measurements(
        options.measurements,
        np.stack(images),
        options.sigma,
        options.operator,
        unit,
        options.low,
        options.high,
        [pathlib.Path(name).name for name in options.files],
    )


def back(options):
    folder, series = pathlib.Path(options.to), generate_uid()
    folder.mkdir(parents=True, exist_ok=True)
    for name, mean in zip(options.files, restored(options.results)[0], strict=True):
        header = pydicom.dcmread(name)
        slope, intercept = scale_of(header)
        stored, bounds = header.pixel_array.dtype, np.iinfo(header.pixel_array.dtype)
        pixels = np.clip(np.rint((mean[0] - intercept) / slope), bounds.min, bounds.max).astype(stored)
        header.PixelData = pixels.tobytes()
        header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        header.SeriesInstanceUID = series
        header.SeriesDescription = f"{header.get('SeriesDescription', '')} (dwgf, posterior mean)".strip()[
            :64
        ]
        header.ImageType = ["DERIVED", "SECONDARY"]
        header.save_as(folder / pathlib.Path(name).name)


if __name__ == "__main__":
    given = arguments(__doc__)
    {"to": to, "back": back}[given.way](given)
