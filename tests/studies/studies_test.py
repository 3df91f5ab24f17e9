#!/usr/bin/env python3
"""The studies of tools/ in a short form, on images made here: every table is whole, and a study that is
started again makes nothing anew. What the numbers are is no part of it: after two steps they mean nothing.

    python3 tests/studies/studies_test.py PROGRAM
"""
import gzip
import math
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
from python_with import python_with  # noqa: E402
SIDE = 28


def write_images(path, count, first):
    """`count` images as Fashion-MNIST has them, of which those before `first` are black."""
    drawn = random.Random(count)
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(struct.pack(">IIII", 2051, count, SIDE, SIDE) + bytes(first * SIDE * SIDE))
        for _ in range(count - first):
            x, y, radius, shade = drawn.uniform(8, 20), drawn.uniform(8, 20), drawn.uniform(4,
                9), drawn.randrange(80, 256)
            file.write(bytes(shade if math.hypot(i - y, j - x) < radius else 0 for i in range(SIDE)
                             for j in range(SIDE)))


def printed(*command, python=sys.executable):
    """Standard output of a study."""
    done = subprocess.run([python, str(ROOT / "tools" / command[0]), *map(str, command[1:])], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr[-3000:]}"
    return done.stdout


def rows(table):
    """The cells of a Markdown table's rows, without its head; every row has as many as the head."""
    lines = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("|")]
    lines = [line for line in lines if not line[0].startswith("---")]
    assert lines and all(len(line) == len(lines[0]) for line in lines if len(line) > 3), table
    return lines[1:]


def numbers(cells):
    return [float(part) for cell in cells for part in cell.strip("* %").split(" / ")]


def known_posteriors(program, folder, python):
    """The studies whose truths are drawn from a prior: what is exact is told from what is not."""
    command = ["levy", "--program", program, "--short", "--signals", 3, "--laws", "gauss", "--operators",
               "imputation", "--methods", "exact", "bayes", "--out", folder / "levy"]
    table = printed(*command, python=python)
    found = [row for row in rows(table) if row[0] == "imputation"]
    assert [row[1] for row in found] == ["exact", "bayes"] * 3, table
    gaps = [float(row[2].split(" +- ")[0]) for row in found[:2]]
    assert all(abs(gap) < 1 for gap in gaps), f"both are near E[x | y] where all is Gaussian\n{table}"
    distances = [float(row[2]) for row in found[4:]]
    assert distances[1] < 1.5 * distances[0] < 1, table
    assert printed(*command, python=python) == table

    table = printed("finite-sample", "--program", program, "--particles", 32, "--measurements", 1,
                    "--operators", "mean:4", "--methods", "bayes", "fast", "--out", folder / "finite",
                    python=python)
    (exact, bayes, _) = [[float(cell.strip(" %")) for cell in row[2:]] for row in rows(table)]
    assert exact[0] < 25 and all(0 <= value <= 100 for value in bayes), table

    table = printed("ranks", "--program", program, "--draws", 24, "--particles", 7, "--problems", "gaussian",
                    "--presets", "bayes", "fast", "--out", folder / "ranks", python=python)
    (bayes, fast) = rows(table)
    assert bayes[-1] != "below 0.01" and fast[-1] == "below 0.01", f"bayes is exact there\n{table}"

    walks = [python, str(ROOT / "tests/studies/walks_test.py")]
    done = subprocess.run(walks, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="dwgf-studies-test-") as name:
        folder = pathlib.Path(name)
        write_images(folder / "t10k-images-idx3-ubyte.gz", 20, 0)
        write_images(folder / "train-images-idx3-ubyte.gz", 60000, 59744)
        common = ["--data", folder, "--program", program, "--images", 2]
        short = ["--", "--flow.steps", 2]

        command = ["tables", "--methods", *common, "--out", folder / "methods", "fast", "rlsd", *short]
        table = printed(*command)
        methods = [row for row in rows(table) if row[1] in ("fast", "rlsd")]
        assert [row[:2] for row in methods] == [[problem, method]
                                                for problem in ("super-resolution", "inpainting")
                                                for method in ("fast", "rlsd")], table
        assert all(len(numbers(row[2:])) == 7 for row in methods), table
        restored = sorted((path, path.stat().st_mtime_ns) for path in (folder / "methods").glob("*.h5"))
        assert len(restored) == 4
        assert printed(*command) == table, "the same files give the same table, seconds included"

        table = printed("tables", *common, "--out", folder / "tables", "mri", *short)
        assert [row[:2] for row in rows(table)] == [["mri", "2"]], table

        table = printed("calibrate", *common, "--particles", 4, "--out", folder / "calibrate",
                        "super-resolution", *short)
        (row,) = rows(table)
        assert row[:2] == ["super-resolution", "2"] and numbers(row[3:4])[0] >= numbers(row[4:5])[0], table

        table = printed("curve", *common, "--evaluations", 998, 16, "--out", folder / "curve", *short)
        assert [row[0] for row in rows(table)] == ["998 (`paper`)", "16", "trivial baseline",
                                                   "linear MMSE"], table

        python = python_with(["h5py", "numpy"])
        if not python:
            print("exact-posteriors, levy, finite-sample, ranks: not run, for want of a Python with h5py")
            return
        table = printed("exact-posteriors", "--program", program, "--only", "two-modes", "--largest", 4,
                        "--out", folder / "exact",
                        "--methods", "affine, gaussian full", "gibbs, diagonal (preset bayes)", python=python)
        found = rows(table)
        assert [row[0] for row in found] == ["exact, independent samples", "affine, gaussian full",
                                             "gibbs, diagonal (preset bayes)"], table
        assert all(0 < float(row[1]) < 3 for row in found), table
        known_posteriors(program, folder, python)


if __name__ == "__main__":
    main()
