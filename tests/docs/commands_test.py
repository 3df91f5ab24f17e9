#!/usr/bin/env python3
"""Every command that the documentation shows runs: here, in a folder of its own, on small pictures and few steps; or in the test that
the table below names; or it is one that needs a cluster, a GPU, hours or the network, and the table says which. A command that is in
neither place fails this test. Python examples run where their packages are there.

    python3 tests/docs/commands_test.py PROGRAM [MPIEXEC]
"""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
from python_with import python_with  # noqa: E402

FIRST_WORDS = ("./tools/", "tools/", "build/", "dwgf ", "mpirun ", "srun ", "sbatch ", "slurm/", "cmake ", "python3 ", "ctest ", "module ",
               "example/", "spack ", "apptainer ", "source ")

# How a command that is not run here is seen to work.
ELSEWHERE = [
    (r"\./tools/(quickstart|test)\b|tools/(setup|build)\b", "they make the build that runs this test; they run it too"),
    (r"cmake --preset default|cmake --build --preset default", "this build"),
    (r"cmake --install build|cmake -S PREFIX|example/every_second_row|module (use|load)", "the test `package`"),
    (r"slurm/submit (restore|array|chain)\b", "the test `slurm`"),
    (r"(python3 )?tests/slurm/slurm_test.py|ctest -R", "a test"),
    (r"tools/virtual-hosts\b", "the test `hosts`"),
    (r"python3 tools/check_(docs|layers)\.py", "the tests `docs` and `layers`"),
    (r"tools/scaling --simulate", "the test `scaling`, in its quick form"),
    (r"tools/scaling\b(?!.*--sbatch)", "the test `scaling`, in its quick form"),
    (r"tools/scaling.*--sbatch|srun |sbatch ", "needs a cluster"),
    (r"tools/check-gpu\b|tools/check-cuda\b", "needs a GPU, or wheels of gigabytes"),
    (r"tools/(train_prior|check_full_size|make_\w+|convert_\w+|flow_reference)\.py", "needs Python's torch; makes what the tests compare with"),
    (r"tools/(tables|calibrate|exact-posteriors|curve)\b", "the test `studies`, in a short form"),
    (r"tools/(bench|fuzz|torture|mini-slurm|check-torch|format)\b", "takes minutes to hours"),
    (r"--(lpips|fid) ", "needs the metrics' published weights; the tests have random ones"),
    (r"spack |apptainer ", "needs Spack or Apptainer: untested, and said so"),
]


def shown(path):
    """(line number, command) of the blocks of commands in a document."""
    in_fence, language = False, ""
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        if line.startswith("```"):
            in_fence, language = not in_fence, line[3:].strip()
            continue
        text = None
        if in_fence and language in ("sh", "bash", "shell", "console"):
            text = line.strip()
        elif not in_fence and re.match(r"    \S", line):
            text = line.strip()
        if text and text.startswith(FIRST_WORDS):
            yield number, re.split(r"\s+#\s", text)[0].strip()


def python_blocks(path):
    return re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.S)


class Place:
    """A folder with what the documents' commands name: photos/, two slices, a prior, the jobs."""

    def __init__(self, folder, program, mpiexec):
        self.folder, self.program, self.mpiexec = folder, program, mpiexec
        self.environment = os.environ | {
            "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1",
            "OMPI_MCA_hwloc_base_binding_policy": "none", "OMPI_MCA_mpi_yield_when_idle": "1", "OMP_NUM_THREADS": "1",
            "OMPI_MCA_btl_base_warn_component_unused": "0"}
        (folder / "build").mkdir()
        (folder / "build/dwgf").symlink_to(program)
        for name in ("jobs", "configs", "tools", "slurm"):
            (folder / name).symlink_to(ROOT / name)
        (folder / "photos").mkdir()
        for picture in sorted((ROOT / "jobs/data/fashion").glob("*.png"))[:4]:
            shutil.copy(picture, folder / "photos")
        (folder / "PRIOR").symlink_to(ROOT / "tests/data/prior/sd1")
        (folder / "JOB.ini").write_text("[input]\ndata = photos\n[problem]\noperator = mean:4\n[flow]\npreset = fast\n")
        for slice, first in (("a", 0), ("b", 2)):
            self.run(f"build/dwgf restore --config JOB.ini --input.first {first} --input.count 2 --store.out {slice}.h5")

    def run(self, command):
        words = shlex.split(command)
        if words[0] == "mpirun":
            words[0] = self.mpiexec
        if words[0] == "dwgf":
            words[0] = "build/dwgf"
        if "restore" in words and "--rerun" not in words and not any("--dry-run" == word for word in words):
            # Few steps, as these are about the commands.
            words += ["--flow.steps", "1", "--flow.particles", "2"]
            if "--input.data" not in words and "--config" in words:
                words += ["--input.count", "4"] if "--input.count" not in words else []
        finished = subprocess.run(words, cwd=self.folder, env=self.environment, text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=120)
        return finished.returncode, finished.stdout


def documents():
    sys.path.insert(0, str(ROOT / "tools"))
    import check_docs
    return check_docs.documents()


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    mpiexec = sys.argv[2] if len(sys.argv) > 2 else "mpirun"
    wrong = ran = 0
    with tempfile.TemporaryDirectory(prefix="dwgf-docs-") as scratch:
        place = Place(pathlib.Path(scratch), program, mpiexec)
        done = set()
        for path in documents():
            for number, command in shown(path):
                where = f"{path.relative_to(ROOT)}:{number}"
                if command in done or any(re.search(pattern, command) for pattern, _ in ELSEWHERE):
                    continue
                done.add(command)
                if not re.search(r"\bdwgf [a-z-]+", command):
                    print(f"{where}: nothing runs this command, and no reason is given: {command}")
                    wrong += 1
                    continue
                code, said = place.run(command)
                ran += 1
                # doctor has warnings about this machine; verify has images that were not restored.
                if code != 0 and not (" doctor" in command and code in (0, 64)):
                    print(f"{where}: exit code {code} of: {command}\n{said[-2000:]}")
                    wrong += 1
        wrong += python_examples(place)
    print(f"{ran} commands ran")
    assert ran >= 8, "hardly any command was found"
    return 1 if wrong else 0


def python_examples(place):
    """The examples that are marked as whole programs by their import of h5py, in the folder of the results."""
    wrong = 0
    for path in documents():
        for block in python_blocks(path):
            if "import h5py" not in block:
                continue
            packages = re.findall(r"^(?:import|from) (\w+)", block, re.M)
            python = python_with(packages)
            if not python:
                print(f"{path.relative_to(ROOT)}: a Python example was not run, for want of a Python with {', '.join(packages)}")
                continue
            finished = subprocess.run([python, "-c", block], cwd=place.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if finished.returncode != 0:
                print(f"{path.relative_to(ROOT)}: a Python example fails\n{block}\n{finished.stdout}")
                wrong += 1
            else:
                print(f"{path.relative_to(ROOT)}: a Python example ran: {finished.stdout.strip()[:200]}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
