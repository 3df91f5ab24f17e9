#!/usr/bin/env python3
"""Writes tests/data/photos: one scene as cameras, phones, scanners and paint programs write it, and
expected.json of what has to be seen in each file.

    python3 tools/make_photo_golden.py        (needs numpy, pillow)

`scene` and `grey` are 8 x 12 pixels; a file of them, read upright and in sRGB, is one of the two within its
number of levels. `inks` are 16 squares of the 16 mixtures of four full inks; their colours follow from the
profile's own table by the definitions of CIE L*a*b* and sRGB, without a colour library.
"""
import io
import json
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image

D50 = np.array([0.9642, 1.0, 0.8249])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
D65 = (0.3127, 0.3290)
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
WIDE = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06))  # those of Display P3
WIDE_EXPONENT = 1.8
# What undoes EXIF's orientation.
STORED_AS = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
             4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90,
             7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270}


def xyz(chromaticity):
    x, y = chromaticity
    return np.array([x / y, 1, (1 - x - y) / y])


def adapted(white):
    """White to D50."""
    return np.linalg.inv(BRADFORD) @ np.diag((BRADFORD @ D50) / (BRADFORD @ xyz(white))) @ BRADFORD


def to_d50(primaries, white=D65):
    """Linear RGB to XYZ relative to D50."""
    columns = np.stack([xyz(primary) for primary in primaries], 1)
    return adapted(white) @ columns @ np.diag(np.linalg.solve(columns, xyz(white)))


def decode(srgb):
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def encode(linear):
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def levels(values):
    return np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)


def fixed(values):
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def profile(kind, colours, space, tags):
    """An ICC profile of version 2 with these tags."""
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(8 + 3 + 67)
    tags = {b"desc": text, b"cprt": b"text\0\0\0\0none\0", b"wtpt": b"XYZ \0\0\0\0" + fixed(D50), **tags}
    at, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = (struct.pack(">I", at + len(body)) + bytes(4) + struct.pack(">I", 0x02100000) + kind + colours
              + space + bytes(12) + b"acsp" + bytes(28) + fixed(D50))
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def gamma_curve(exponent):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(exponent * 256)) + bytes(2)


def srgb_curve():
    table = np.round(decode(np.arange(1024) / 1023) * 65535).astype(">u2")
    return b"curv\0\0\0\0" + struct.pack(">I", len(table)) + table.tobytes()


def rgb_profile(primaries, curve):
    matrix = to_d50(primaries)
    tags = {name: b"XYZ \0\0\0\0" + fixed(matrix[:, k]) for k, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    return profile(b"mntr", b"RGB ", b"XYZ ", {**tags, b"rTRC": curve, b"gTRC": curve, b"bTRC": curve})


def lab_of_inks(c, m, y, k):
    light = 100 * (1 - 0.35 * c) * (1 - 0.4 * m) * (1 - 0.1 * y) * (1 - k)
    return light, (-25 * c + 45 * m - 5 * y) * (1 - k), (-30 * c - 5 * m + 60 * y) * (1 - k)


def mixtures():
    return [(n >> 3 & 1, n >> 2 & 1, n >> 1 & 1, n & 1) for n in range(16)]


def ink_profile():
    corners = b"".join(bytes((round(light * 2.55), round(a + 128), round(b + 128)))
                       for light, a, b in (lab_of_inks(*inks) for inks in mixtures()))
    identity = bytes(range(256))
    table = (b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + fixed(np.eye(3).flatten()) + identity * 4 + corners
             + identity * 3)
    return profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": table})


def srgb_of_lab(light, a, b):
    y = (light + 16) / 116
    steps = np.array([y + a / 500, y, y - b / 200])
    relative = np.where(steps > 6 / 29, steps ** 3, 3 * (6 / 29) ** 2 * (steps - 4 / 29))
    return encode(np.linalg.solve(to_d50(SRGB), relative * D50))


def with_chunks(picture, chunks):
    """A PNG's bytes with more chunks behind its header."""
    out = io.BytesIO()
    picture.save(out, "PNG")
    whole, header = out.getvalue(), 8 + 25
    more = b"".join(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
                    for name, data in chunks)
    return whole[:header] + more + whole[header:]


class Photos:
    def __init__(self, folder):
        self.folder = folder
        self.files = {}
        row, column = np.mgrid[0:8, 0:12]
        planes = [30 + 18 * column, 40 + 24 * row, 210 - 8 * column - 6 * row]
        self.scene = np.stack(planes, 2).astype(np.uint8)
        self.grey = (20 + 14 * column + 8 * row).astype(np.uint8)

    def note(self, name, what, tolerance, **more):
        self.files[name] = {"shows": what, "levels": tolerance, **more}

    def save(self, name, picture, what="scene", tolerance=0, **options):
        more = {key: options.pop(key) for key in ("background", "range", "note") if key in options}
        picture.save(self.folder / name, **options)
        self.note(name, what, tolerance, **more)

    def write(self, name, content, what="scene", tolerance=0, **more):
        (self.folder / name).write_bytes(content)
        self.note(name, what, tolerance, **more)

    def orientations(self):
        upright = Image.fromarray(self.scene)
        for number in range(1, 9):
            exif = Image.Exif()
            exif[274] = number
            stored = upright.transpose(STORED_AS[number]) if number in STORED_AS else upright
            self.save(f"orientation-{number}.jpg", stored, tolerance=6, quality=95, subsampling=0, exif=exif)
            if number in (6, 8):
                self.save(f"orientation-{number}.png", stored, exif=exif)
            if number in (3, 7):
                self.save(f"orientation-{number}.tif", stored, tiffinfo={274: number})

    def webp(self):
        upright = Image.fromarray(self.scene)
        exif = Image.Exif()
        exif[274] = 6
        self.save("orientation-6.webp", upright.transpose(STORED_AS[6]), lossless=True, exif=exif)
        self.save("animated.webp", upright, save_all=True, append_images=[Image.fromarray(255 - self.scene)],
                  lossless=True, note="is animated")
        self.save("clear.webp", Image.fromarray(np.dstack([self.scene, self.opacity])), "mixed", 1,
                  background="#ff8000", lossless=True, exact=True)
        icc = rgb_profile(WIDE, gamma_curve(WIDE_EXPONENT))
        self.save("wide.webp", self.wide, tolerance=3, icc_profile=icc, lossless=True)

    def colours(self):
        linear = decode(self.scene / 255.0) @ np.linalg.solve(to_d50(WIDE), to_d50(SRGB)).T
        wide = Image.fromarray(levels(np.clip(linear, 0, 1) ** (1 / WIDE_EXPONENT)))
        icc = rgb_profile(WIDE, gamma_curve(WIDE_EXPONENT))
        self.wide = wide
        self.save("wide.png", wide, tolerance=3, icc_profile=icc)
        self.save("wide.tif", wide, tolerance=3, icc_profile=icc)
        self.save("wide.jpg", wide, tolerance=12, icc_profile=icc, quality=95, subsampling=0)
        plain = Image.fromarray(self.scene)
        self.save("srgb-profile.png", plain, icc_profile=rgb_profile(SRGB, srgb_curve()))
        self.save("damaged-profile.png", plain, icc_profile=icc[:200], note="colour profile is damaged")
        dark = Image.fromarray(levels(decode(self.grey / 255.0) ** (1 / 1.8)))
        self.save("grey-profile.png", dark, "grey", 2, icc_profile=profile(
            b"mntr", b"GRAY", b"XYZ ", {b"kTRC": gamma_curve(1.8)}))
        usual = struct.pack(">I", 45455)
        self.write("gamma-usual.png", with_chunks(plain, [(b"gAMA", usual)]))
        other = Image.fromarray(levels(decode(self.scene / 255.0) ** (1 / 1.4)))
        self.write("gamma-other.png", with_chunks(other, [(b"gAMA", struct.pack(">I", round(1e5 / 1.4)))]),
                   tolerance=2)
        named = [round(1e5 * value) for point in (D65, *WIDE) for value in point]
        self.write("gamma-wide.png", with_chunks(wide, [
            (b"gAMA", struct.pack(">I", round(1e5 / WIDE_EXPONENT))), (b"cHRM", struct.pack(">8I", *named))]),
                   tolerance=3)

    def inks(self):
        squares = np.array(mixtures(), np.uint8).reshape(4, 4, 4) * 255
        picture = Image.fromarray(np.kron(squares, np.ones((8, 8, 1), np.uint8)), "CMYK")
        icc = ink_profile()
        self.save("inks.tif", picture, "inks", 3, icc_profile=icc)
        self.save("inks.jpg", picture, "inks", 5, icc_profile=icc, quality=95, subsampling=0)

    def kinds(self):
        plain, grey = Image.fromarray(self.scene), Image.fromarray(self.grey)
        few = plain.quantize(96, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        self.save("palette.png", few, tolerance=8)
        self.save("palette.tif", grey.convert("P"), "grey of three", 0)
        self.save("sixteen-bits.png", Image.fromarray(self.grey.astype(np.uint16) * 257), "grey")
        twelve = Image.fromarray(((self.grey.astype(np.uint32) * 4095 + 127) // 255).astype(np.uint16))
        self.save("twelve-bits.png", twelve, "grey", 1, range=[0, 4095])
        self.save("floats.tif", Image.fromarray((self.grey / 255.0).astype(np.float32)), "grey", range=[0, 1])
        self.save("animated.png", plain, save_all=True, append_images=[Image.fromarray(255 - self.scene)],
                  note="is animated")
        self.save("several.jpg", plain, tolerance=6, format="MPO", save_all=True,
                  append_images=[Image.fromarray(255 - self.scene)], quality=95, subsampling=0,
                  note="several pictures")
        self.opacity = opacity = np.full((8, 12), 255, np.uint8)
        opacity[:, 6:] = 51
        behind = np.array([255, 128, 0])
        mixed = np.where(opacity[..., None] == 255, self.scene, np.round(0.2 * self.scene + 0.8 * behind))
        self.save("clear.png", Image.fromarray(np.dstack([self.scene, opacity])), "mixed", 1,
                  background="#ff8000")
        self.save("grey-clear.png", Image.merge("LA", (grey, Image.fromarray(opacity))), "grey mixed", 1,
                  background="white")
        self.mixed = mixed.astype(np.uint8)
        lighter = np.round(0.2 * self.grey + 0.8 * 255)
        self.grey_mixed = np.where(opacity == 255, self.grey, lighter).astype(np.uint8)

    def shown(self):
        def planes(picture):
            return picture[None] if picture.ndim == 2 else np.moveaxis(picture, 2, 0)
        colours = [levels(srgb_of_lab(*lab_of_inks(*inks))).tolist() for inks in mixtures()]
        pictures = {"scene": self.scene, "grey": self.grey, "grey of three": np.stack([self.grey] * 3, 2),
                    "mixed": self.mixed, "grey mixed": self.grey_mixed}
        return {"inks": colours,
                **{name: {"shape": list(planes(picture).shape), "levels": planes(picture).flatten().tolist()}
                   for name, picture in pictures.items()}}


def main():
    folder = pathlib.Path(__file__).resolve().parent.parent / "tests/data/photos"
    folder.mkdir(exist_ok=True)
    photos = Photos(folder)
    photos.orientations()
    photos.colours()
    photos.inks()
    photos.kinds()
    photos.webp()
    Image.merge("LAB", [Image.fromarray(photos.grey)] * 3).save(folder / "lab.tif")
    Image.fromarray(photos.scene).convert("YCbCr").save(folder / "ycbcr.tif")
    refused = {"lab.tif": "CIE L*a*b*, neither grey nor RGB", "ycbcr.tif": "YCbCr, neither grey nor RGB"}
    text = json.dumps({"shows": photos.shown(), "files": photos.files, "refused": refused})
    (folder / "expected.json").write_text(text + "\n")
    print(folder, len(photos.files), "pictures,", sum(file.stat().st_size for file in folder.iterdir()),
          "bytes")


if __name__ == "__main__":
    main()
