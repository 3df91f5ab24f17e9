#!/usr/bin/env python3
"""Every recipe of tools/recipes whose packages are there: a file to measurements, restored, and back in its
units and with its geometry. The others are left out aloud.

    python3 tests/recipes/recipes_test.py PROGRAM [RECIPE]     with a recipe: that one, by this interpreter
"""

import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from python_with import python_with  # noqa: E402

if len(sys.argv) > 2:
    import h5py
    import numpy as np

RECIPES = pathlib.Path(__file__).resolve().parents[2] / "tools/recipes"
SIDE = 32  # of the built-in prior


def run(*words):
    finished = subprocess.run(
        [str(word) for word in words],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
    )
    assert finished.returncode == 0, f"{words}: exit code {finished.returncode}\n{finished.stdout}"
    return finished.stdout


def images(count, low, high):
    """[count, 32, 32], a square on a ramp, whose values are all of [low, high]."""
    ramp = np.linspace(0, 0.4, SIDE)[None] * np.ones((SIDE, 1))
    ramp[8:20, 6:20] = 1.0
    return np.stack([low + (high - low) * np.clip(ramp + 0.02 * k * (ramp < 1), 0, 1) for k in range(count)])


def round_trip(recipe, program, folder, files, to, unit, values, more=()):
    """Through the recipe and the program. @return what the results file has, in units, [n, 32, 32]"""
    sigma = 0.05 * (values.max() - values.min())
    run(sys.executable, RECIPES / recipe, "to", folder / "y.h5", *files, "--sigma", sigma, *more)
    with h5py.File(folder / "y.h5") as file:
        scale, offset = file.attrs["value_scale"], file.attrs["value_offset"]
        y = file["measurement/y"][:, 0] * scale + offset
        assert file.attrs.get("unit", "") == unit, (recipe, file.attrs.get("unit"))
        assert abs(file.attrs["sigma"] * scale - sigma) < 1e-9
        assert abs(y - values).max() < 1e-6 * abs(values).max(), f"{recipe}: other values in the measurements"
        assert abs(file["measurement/y"][:]).max() <= 1 + 1e-6
    run(
        program,
        "restore",
        "--input.data",
        folder / "y.h5",
        "--store.out",
        folder / "r.h5",
        "--flow.preset",
        "quick",
        "--flow.particles",
        2,
    )
    run(sys.executable, RECIPES / recipe, "back", folder / "r.h5", *files, "--to", to)
    with h5py.File(folder / "r.h5") as file:
        assert abs(float(file.attrs["value_scale"]) - scale) < 1e-6 * scale
        return file["posterior/mean"][:, 0] * scale + offset, file["posterior/std"][:, 0] * scale


def dicom(program, folder):
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    hounsfield = np.rint(images(2, -1000, 400))
    files = []
    for k, values in enumerate(hounsfield):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        file = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
        file.SOPClassUID, file.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        file.StudyInstanceUID, file.SeriesInstanceUID = generate_uid(), generate_uid()
        file.Modality, file.PatientName, file.InstanceNumber, file.PixelSpacing = (
            "CT",
            "Nobody",
            k + 1,
            [0.7, 0.7],
        )
        file.Rows = file.Columns = SIDE
        file.SamplesPerPixel, file.PhotometricInterpretation, file.PixelRepresentation = 1, "MONOCHROME2", 0
        file.BitsAllocated, file.BitsStored, file.HighBit = 16, 12, 11
        file.RescaleSlope, file.RescaleIntercept = 1, -1024
        file.PixelData = (values + 1024).astype(np.uint16).tobytes()
        files.append(folder / f"{k}.dcm")
        file.save_as(files[-1], enforce_file_format=True)
    mean, _ = round_trip("dicom.py", program, folder, files, folder / "back", "HU", hounsfield)
    for k, name in enumerate(files):
        back, before = pydicom.dcmread(folder / "back" / name.name), pydicom.dcmread(name)
        assert abs(back.pixel_array - 1024.0 - mean[k]).max() <= 0.51
        assert back.PixelSpacing == before.PixelSpacing and back.InstanceNumber == k + 1
        assert (
            back.SOPInstanceUID != before.SOPInstanceUID and back.StudyInstanceUID == before.StudyInstanceUID
        )


def nifti(program, folder):
    import nibabel

    values = images(2, 0, 900)
    affine = np.array([[-2, 0, 0, 10], [0, 2, 0, -20], [0, 0, 3.5, 5], [0, 0, 0, 1.0]])
    nibabel.save(nibabel.Nifti1Image(np.moveaxis(values, 0, 2), affine), folder / "x.nii.gz")
    mean, std = round_trip(
        "nifti.py", program, folder, [folder / "x.nii.gz"], folder / "back.nii.gz", "", values
    )
    for name, expected in (("back.nii.gz", mean), ("back_std.nii.gz", std)):
        back = nibabel.load(folder / name)
        assert abs(np.moveaxis(back.get_fdata(), 2, 0) - expected).max() < 1e-3
        assert np.array_equal(back.affine, affine) and back.header.get_zooms()[2] == 3.5


def fits(program, folder):
    from astropy.io import fits as astropy_fits

    values = images(2, -3, 250)
    files = []
    for k, image in enumerate(values):
        header = astropy_fits.Header(
            {
                "BUNIT": "adu",
                "CRVAL1": 83.8,
                "CRVAL2": -5.4,
                "CTYPE1": "RA---TAN",
                "CTYPE2": "DEC--TAN",
                "OBJECT": f"M{k}",
            }
        )
        files.append(folder / f"{k}.fits")
        astropy_fits.HDUList(
            [astropy_fits.PrimaryHDU(), astropy_fits.ImageHDU(image.astype(np.float64), header)]
        ).writeto(files[-1])
    mean, std = round_trip("fits.py", program, folder, files, folder / "back", "adu", values)
    for k, name in enumerate(files):
        with astropy_fits.open(folder / "back" / name.name) as back:
            assert abs(back[0].data - mean[k]).max() < 1e-3 and abs(back["STD"].data - std[k]).max() < 1e-3
            assert back[0].header["OBJECT"] == f"M{k}" and back[0].header["CRVAL1"] == 83.8
            assert back[0].header["BUNIT"] == "adu"


def ome_zarr(program, folder):
    import zarr

    values = images(4, 100, 4000)
    group = zarr.open_group(str(folder / "x.ome.zarr"), mode="w", zarr_format=2)
    group.create_array("0", data=values.reshape(2, 2, SIDE, SIDE).astype(np.uint16))
    axes = [
        {"name": name, "type": kind}
        for name, kind in (("c", "channel"), ("z", "space"), ("y", "space"), ("x", "space"))
    ]
    scales = [{"type": "scale", "scale": [1, 0.5, 0.11, 0.11]}]
    group.attrs["multiscales"] = [
        {"version": "0.4", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scales}]}
    ]
    mean, std = round_trip(
        "ome_zarr.py",
        program,
        folder,
        [folder / "x.ome.zarr"],
        folder / "back.ome.zarr",
        "",
        values.astype(np.uint16).astype(float),
    )
    for name, expected in (("back.ome.zarr", mean), ("back_std.ome.zarr", std)):
        back = zarr.open_group(str(folder / name), mode="r")
        assert back["0"].shape == (2, 2, SIDE, SIDE)
        assert abs(back["0"][...].reshape(-1, SIDE, SIDE) - expected).max() < 1e-2
        described = back.attrs["multiscales"][0]
        assert described["axes"] == axes and described["datasets"][0]["coordinateTransformations"] == scales


def deepinv_bridge(program, _):
    pullover = RECIPES.parents[1] / "jobs/data/fashion/01_pullover.png"
    said = run(sys.executable, RECIPES / "deepinv_bridge.py", pullover, "--dwgf", program)
    blurred, mean = (
        float(number) for number in re.findall(r"^(?:A\^T y|posterior mean) +\[(\S+)\]", said, re.M)
    )
    print(f"deepinv: {blurred} dB blurred, {mean} dB restored")
    assert mean > blurred, said


NEEDS = {
    dicom: ["pydicom"],
    nifti: ["nibabel"],
    fits: ["astropy"],
    ome_zarr: ["zarr"],
    deepinv_bridge: ["torch", "deepinv", "PIL"],
}


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    for recipe, packages in NEEDS.items():
        if sys.argv[2:] == [recipe.__name__]:
            with tempfile.TemporaryDirectory() as folder:
                recipe(program, pathlib.Path(folder))
            print(f"{recipe.__name__}: there and back")
        if len(sys.argv) > 2:
            continue
        python = python_with(["h5py", "numpy", *packages])
        if python:
            print(run(python, __file__, program, recipe.__name__).strip())
        else:
            print(f"{recipe.__name__}: left out, no Python here has h5py, numpy and {', '.join(packages)}")


if __name__ == "__main__":
    main()
