#!/usr/bin/env python3
"""The bundle for GPU machines, in its CPU flavour, is enough: moved elsewhere, where Open MPI, HDF5, Boost,
the headers and everything else that it brings are hidden from it, it restores, alone and by mpirun, and every
block of tools/check-gpu runs dry. Its archive is small enough to be brought along.

    python3 tests/package/bundle_test.py BUILD LIBTORCH SCRATCH     SCRATCH: a folder to work in;
                                                                    replaced

Needs mount namespaces; 77 says there are none here.
"""

import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

SOURCE = pathlib.Path(__file__).resolve().parents[2]
LARGEST_ARCHIVE = 40 << 20  # [bytes]
HIDDEN_FOLDERS = [
    "/usr/include",
    "/usr/lib/x86_64-linux-gnu/openmpi",
    "/usr/lib/x86_64-linux-gnu/pmix2",
    "/usr/lib/x86_64-linux-gnu/hdf5",
    "/usr/lib/x86_64-linux-gnu/cmake",
    "/usr/lib/x86_64-linux-gnu/pkgconfig",
    "/usr/share/openmpi",
    "/etc/openmpi",
    str(SOURCE / "configs"),
]
# What Python itself needs, which every machine with Python has.
NOT_HIDDEN = ("libz.so", "liblzma.so", "libcrypto.so", "libssl.so", "libzstd.so", "libffi.so")
BLOCKS = {
    "environment",
    "parts",
    "weights",
    "agreement",
    "same-bits",
    "steps",
    "opponent",
    "jobs",
    "sanitizer",
    "goals",
}


def namespace():
    """The words that start a program in a mount namespace of its own; nothing where that is not permitted."""
    for words in (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"]):
        if (
            shutil.which("unshare")
            and subprocess.run(
                [*words, "mount", "-t", "tmpfs", "none", "/mnt"], stderr=subprocess.DEVNULL
            ).returncode
            == 0
        ):
            return words
    return None


def hiding(origins):
    """A shell script that hides the folders, and every file that the bundle has a copy of."""
    lines = [f"mount -t tmpfs none '{folder}'" for folder in HIDDEN_FOLDERS if os.path.isdir(folder)]
    for origin in sorted(set(origins)):
        within = any(origin.startswith(folder + "/") for folder in HIDDEN_FOLDERS)
        if not within and not os.path.basename(origin).startswith(NOT_HIDDEN):
            lines.append(f"mount --bind /dev/null '{origin}'")
    return "\n".join(["set -e", *lines])


def run(words, environment, code=0):
    finished = subprocess.run(
        [str(word) for word in words],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=800,
    )
    assert finished.returncode == code, f"{words}: exit code {finished.returncode}\n{finished.stdout[-6000:]}"
    return finished.stdout


class Hidden:
    """A moved bundle, and how a program is started where all else is hidden."""

    def __init__(self, words, libtorch, scratch):
        self.words, self.scratch, self.bundle = words, scratch, scratch / "elsewhere/made"
        ours = ("OMPI_", "PMIX_", "LD_")
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
        self.environment["DWGF_TORCH"] = str(libtorch)

    def make(self, build):
        words = [sys.executable, SOURCE / "tools/gpu-bundle", "--cpu", "--build", build]
        print(run([*words, "--out", self.scratch / "made"], self.environment), end="")
        archive = self.scratch / "made.tar.gz"
        size = archive.stat().st_size
        assert size <= LARGEST_ARCHIVE, f"the archive has {size / 2**20:.1f} MiB"
        with tarfile.open(archive) as tar:
            tar.extractall(self.scratch / "elsewhere")
        shutil.rmtree(self.scratch / "made")
        origins = json.loads((self.bundle / "bundle.json").read_text())["origins"].values()
        (self.scratch / "hide").write_text(hiding(origins) + '\nexec "$@"\n')

    def start(self, *program, code=0):
        return run([*self.words, "sh", self.scratch / "hide", *program], self.environment, code)

    def bundled(self, *words, code=0):
        return self.start(self.bundle / "run", *words, code=code)


def restores(hidden):
    bundle, scratch = hidden.bundle, hidden.scratch
    job = "--problem.operator mean:4 --flow.preset fast --flow.steps 2 --flow.particles 4".split()
    job += ["--flow.micro_batch", "2", "--input.data", bundle / "share/dwgf/check", "--input.count", "2"]
    hidden.bundled("bin/dwgf", "restore", *job, "--store.out", scratch / "alone.h5")
    two = ["bin/mpirun", "--oversubscribe", "-np", "2", bundle / "bin/dwgf", "restore"]
    hidden.bundled(*two, *job, "--run.ranks_per_image", "2", "--store.out", scratch / "two.h5")
    for name in ("alone.h5", "two.h5"):
        assert "2 done" in hidden.bundled("bin/dwgf", "status", scratch / name)


def names_what_is_missing(hidden):
    library = hidden.bundle / "lib/libhdf5_openmpi.so.103"
    library.rename(hidden.scratch / library.name)
    assert library.name in hidden.bundled("bin/dwgf", "--version", code=69)
    (hidden.scratch / library.name).rename(library)


def checks(hidden):
    results = hidden.scratch / "results"
    words = [sys.executable, hidden.bundle / "check-gpu", "--bundle", hidden.bundle, "--out", results]
    hidden.start(*words, "--dry")
    with open(results / "table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["block"] for row in rows} == BLOCKS, f"blocks: {sorted({row['block'] for row in rows})}"
    for block in BLOCKS:
        assert json.loads((results / f"{block}.json").read_text()), f"{block} wrote nothing"
    wrong = [row for row in rows if row["verdict"] == "WRONG"]
    good = sum(row["verdict"] == "good" for row in rows)
    assert good >= 64 and not wrong, f"{good} rows are good, and these are not: {wrong}"
    print(f"check-gpu --dry: {len(rows)} rows, {good} good")
    hidden.start(*words, "--dry", "--only", "parts", "--minutes", "0", code=1)  # what is late is wrong
    if not shutil.which("nvidia-smi"):
        hidden.start(*words, code=77)


def main():
    build, libtorch, scratch = (pathlib.Path(argument).resolve() for argument in sys.argv[1:4])
    words = namespace()
    if not words:
        print("bundle: no mount namespace is permitted here (unshare --mount), so nothing could be hidden")
        return 77
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    hidden = Hidden(words, libtorch, scratch)
    hidden.make(build)
    for program in ("dwgf", "libexec/dwgf/dwgf"):  # hidden it is: what was built here does not start
        hidden.start(build / program, "--version", code=127)
    hidden.bundled("--check")
    restores(hidden)
    names_what_is_missing(hidden)
    checks(hidden)
    shutil.rmtree(scratch)
    return 0


if __name__ == "__main__":
    sys.exit(main())
