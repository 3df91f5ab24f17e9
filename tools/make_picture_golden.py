#!/usr/bin/env python3
"""Writes tests/data/pictures: small pictures by Pillow and tifffile, and expected.json of what Pillow and
NumPy say is in them.

    python3 tools/make_picture_golden.py        (needs numpy, pillow, tifffile)

7 x 11 pixels each. `refused` are good files of kinds that are not taken. The arrays are seeds for tools/fuzz.
"""
import json
import pathlib

import numpy as np
import tifffile
from PIL import Image


def main():
    folder = pathlib.Path(__file__).resolve().parent.parent / "tests/data/pictures"
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(6)
    colour = generator.integers(0, 256, (7, 11, 3), dtype=np.uint8)
    grey = colour[..., 0]
    deep = generator.integers(0, 65536, (7, 11, 3), dtype=np.uint16)
    real = np.round(generator.uniform(-1, 1, (7, 11)) * 256) / 256
    expected = {}

    def note(name, levels, top):
        values = np.asarray(levels, np.float64)
        values = values if top is None else values / (top / 2) - 1
        values = values[None] if values.ndim == 2 else np.moveaxis(values, 2, 0)
        expected[name] = {"shape": list(values.shape), "values": values.astype(np.float32).flatten().tolist()}

    smooth = np.asarray(Image.fromarray(colour).resize((11, 7), Image.Resampling.BOX).resize((11, 7)))
    for name, picture, options in (("grey.jpg", grey, {}), ("colour.jpeg", smooth, {"subsampling": 0}),
                                   ("subsampled.JPG", smooth, {"subsampling": 2}),
                                   ("progressive.jpg", smooth, {"progressive": True})):
        Image.fromarray(picture).save(folder / name, "JPEG", quality=90, **options)
        note(name, np.asarray(Image.open(folder / name)), 255)
    note("grey8.tif", grey, 255)
    Image.fromarray(grey).save(folder / "grey8.tif")
    note("white-is-zero.tif", 255 - grey.astype(int), 255)
    tifffile.imwrite(folder / "white-is-zero.tif", grey, photometric="miniswhite", metadata=None)
    note("colour8.tiff", colour, 255)
    Image.fromarray(colour).save(folder / "colour8.tiff", compression="tiff_adobe_deflate")
    note("lzw.tif", colour, 255)
    Image.fromarray(colour).save(folder / "lzw.tif", compression="tiff_lzw")
    note("grey16.tif", deep[..., 0], 65535)
    tifffile.imwrite(folder / "grey16.tif", deep[..., 0], photometric="minisblack", metadata=None,
                     rowsperstrip=2)
    note("colour16-big-endian.TIF", deep, 65535)
    tifffile.imwrite(folder / "colour16-big-endian.TIF", deep, photometric="rgb", byteorder=">",
                     metadata=None)
    note("planes.tif", deep, 65535)
    tifffile.imwrite(folder / "planes.tif", np.moveaxis(deep, 2, 0), photometric="rgb",
                     planarconfig="separate", metadata=None)
    note("tiles.tif", colour, 255)
    tifffile.imwrite(folder / "tiles.tif", colour, photometric="rgb", tile=(16, 16), metadata=None)
    note("pyramid.tif", colour, 255)
    with tifffile.TiffWriter(folder / "pyramid.tif", bigtiff=True) as file:
        options = dict(photometric="rgb", tile=(16, 16), compression="zlib", metadata=None)
        file.write(colour, **options)
        file.write(colour[::2, ::2], subfiletype=1, **options)
    note("float32.tif", real, None)
    tifffile.imwrite(folder / "float32.tif", real.astype(np.float32), photometric="minisblack", metadata=None)
    note("float64.tif", real, None)
    tifffile.imwrite(folder / "float64.tif", real, photometric="minisblack", metadata=None)
    opaque = np.concatenate([colour, np.full((7, 11, 1), 255, np.uint8)], 2)
    note("opaque.tif", colour, 255)
    tifffile.imwrite(folder / "opaque.tif", opaque, photometric="rgb", extrasamples=["unassalpha"],
                     metadata=None)

    np.save(folder / "levels.npy", np.moveaxis(colour, 2, 0))
    np.save(folder / "floats.npy", np.stack([real, -real]).astype(np.float32)[:, None])
    refused = {}
    Image.fromarray(colour).convert("CMYK").save(folder / "cmyk.jpg")
    refused["cmyk.jpg"] = "CMYK"
    Image.fromarray(colour).convert("P").save(folder / "palette.tif")
    note("palette.tif", np.asarray(Image.open(folder / "palette.tif").convert("RGB")), 255)
    tifffile.imwrite(folder / "pages.tif", np.stack([grey, grey]), photometric="minisblack", metadata=None)
    refused["pages.tif"] = "several pages"
    tifffile.imwrite(folder / "int16.tif", grey.astype(np.int16), photometric="minisblack", metadata=None)
    refused["int16.tif"] = "16 bit of kind 2"
    tifffile.imwrite(folder / "range.tif", grey.astype(np.float32), photometric="minisblack", metadata=None)
    refused["range.tif"] = "finite and on [-1, 1]"
    opaque[3, 4, 3] = 254
    tifffile.imwrite(folder / "transparent.tif", opaque, photometric="rgb", extrasamples=["unassalpha"],
                     metadata=None)
    refused["transparent.tif"] = "transparent pixel, (3, 4)"
    Image.fromarray(grey).save(folder / "turned.tif", tiffinfo={274: 6})
    note("turned.tif", np.rot90(grey, -1), 255)
    (folder / "expected.json").write_text(json.dumps({"read": expected, "refused": refused}) + "\n")
    print(folder, len(expected), "pictures,", len(refused), "refused,",
          sum(file.stat().st_size for file in folder.iterdir()), "bytes")


if __name__ == "__main__":
    main()
