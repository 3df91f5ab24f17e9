#!/usr/bin/env python3
"""Every command that the documentation shows runs: here, in a folder of its own, on small pictures and few
steps, in the order of the page; or in the test that the table below names; or it is one that needs a cluster,
a GPU, hours or the network, and the table says which. A command that is in neither place fails this test.
What submits to Slurm does so to a stand-in for sbatch. Python examples run where their packages are there.

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

FIRST_WORDS = ("./tools/", "tools/", "build/", "dwgf ", "mpirun ", "srun ", "sbatch ", "slurm/", "cmake ",
               "python3 ",
               "ctest ", "module ", "example/", "spack ", "apptainer ", "source ")

# How a command that is not run here is seen to work.
ELSEWHERE = [
    (r"\./tools/(quickstart|test)\b|tools/(setup|build)\b",
     "they make the build that runs this test; they run it too"),
    (r"cmake --preset default|cmake --build --preset default", "this build"),
    (r"cmake --install build|cmake -S PREFIX|example/every_second_row|module (use|load)",
     "the test `package`"),
    (r"(python3 )?tests/slurm/slurm_test.py|ctest -R", "a test"),
    (r"tools/virtual-hosts\b", "the test `hosts`"),
    (r"python3 tools/(check_docs|check_layers|figures)\.py", "the tests `docs` and `layers`"),
    (r"tools/scaling --simulate", "the test `scaling`, in its quick form"),
    (r"tools/scaling\b(?!.*--sbatch)", "the test `scaling`, in its quick form"),
    (r"tools/scaling.*--sbatch|srun |sbatch ", "needs a cluster"),
    (r"tools/(check-gpu|gpu-bundle)\b|gpu-bundle/run", "the test `bundle`, on a CPU"),
    (r"tools/check-cuda\b", "needs wheels of 800 MB"),
    (r"tools/(train_prior|train_photo_prior|check_full_size|make_\w+|convert_\w+|flow_reference)\.py",
     "needs Python's torch; makes what the tests compare with"),
    (r"tools/(tables|calibrate|exact-posteriors|levy|finite-sample|ranks|curve)\b",
     "the test `studies`, in a short form"),
    (r"tools/(bench|fuzz|torture|photo-benchmark|mini-slurm|check-torch|format|fashion-moments)\b",
     "takes minutes to hours"),
    (r"python3 tools/levy_walks\.py", "the test `studies`, in a short form"),
    (r"tools/recipes/\w+\.py", "the test `recipes`"),
    (r"tools/claims", "the test `claims`, without running anything"),
    (r"calibrate-prior --prior.path sd21", "needs real weights; the tests of `job` have other priors"),
    (r"jobs/paper/", "needs real weights, and images of 512 x 512"),
    (r"--(lpips|fid) ", "needs the metrics' published weights; the tests have random ones"),
    (r"spack |apptainer ", "needs Spack or Apptainer: untested, and said so"),
]


# Of the README only these two: the other commands that it shows run here.
README_ELSEWHERE = r"\./tools/(quickstart|test)$"


def shown(path):
    """Yields what a document shows, in its order: (line number, "command" or "python", text)."""
    fence, block, begun, number = None, [], "", 0
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            if fence == "python":
                yield number, "python", "\n".join(block)
            fence, block = (line[3:].strip(), []) if fence is None else (None, [])
            continue
        if fence is not None:
            block.append(line)
        indented = fence is None and re.match(r"    \S| {8}", line)
        is_shell = indented or fence in ("sh", "bash", "shell", "console")
        if not is_shell:
            continue
        begun += re.split(r"\s+#\s", line)[0].strip()
        if begun.endswith("\\"):
            begun = begun[:-1]
            continue
        if begun.startswith(FIRST_WORDS):
            yield number, "command", begun
        begun = ""


class Place:
    """A folder with what the documents' commands name: photos/, two slices, a prior, the jobs; and a stand-in
    for sbatch that answers with a job's number if the batch script is there."""

    def __init__(self, folder, program, mpiexec):
        self.folder, self.program, self.mpiexec = folder, program, mpiexec
        self.environment = os.environ | {
            "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                                         "OMPI_MCA_rmaps_base_oversubscribe": "1",
            "OMPI_MCA_hwloc_base_binding_policy": "none", "OMPI_MCA_mpi_yield_when_idle": "1",
                                         "OMP_NUM_THREADS": "1",
            "OMPI_MCA_btl_base_warn_component_unused": "0", "PATH": f"{folder}/bin:{os.environ['PATH']}"}
        (folder / "bin").mkdir()
        (folder / "bin/sbatch").write_text(
            "#!/usr/bin/env bash\n"
            'for word in "$@"; do\n'
            '  case "$word" in *.sbatch) [ -f "$word" ] && echo 1 && exit 0 ;; esac\n'
            'done\n'
            'echo "sbatch: no batch script: $*" >&2; exit 1\n')
        (folder / "bin/sbatch").chmod(0o755)
        self.absent = set()  # files that a Python example would have written
        (folder / "build").mkdir()
        (folder / "build/dwgf").symlink_to(program)
        for name in ("jobs", "configs", "tools", "slurm"):
            (folder / name).symlink_to(ROOT / name)
        (folder / "photos").mkdir()
        for picture in sorted((ROOT / "jobs/data/fashion").glob("*.png"))[:4]:
            shutil.copy(picture, folder / "photos")
        (folder / "PRIOR").symlink_to(ROOT / "tests/data/prior/sd1")
        job = "[input]\ndata = photos\n[problem]\noperator = mean:4\n[flow]\npreset = fast\n"
        (folder / "JOB.ini").write_text(job)
        for out, first in (("a.h5", 0), ("b.h5", 2)):
            self.run(f"dwgf restore --config JOB.ini --input.first {first} --input.count 2 --store.out {out}")

    def run(self, command):
        words = shlex.split(command)
        if words[0] == "mpirun":
            words[0] = self.mpiexec
        if words[0] == "dwgf":
            words[0] = "build/dwgf"
        begins = "restore" in words and words[words.index("restore") + 1].startswith("--")
        if begins and "--rerun" not in words and words[0] != "slurm/submit":
            # Few steps, as these are about the commands.
            words += ["--flow.steps", "1", "--flow.particles", "2"]
            if "--input.data" not in words and "--config" in words:
                words += ["--input.count", "4"] if "--input.count" not in words else []
        finished = subprocess.run(words, cwd=self.folder, env=self.environment, text=True,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=120)
        return finished.returncode, finished.stdout


def documents():
    sys.path.insert(0, str(ROOT / "tools"))
    import check_docs
    return check_docs.documents()


def command(place, path, number, text):
    """Runs a command; returns (whether it ran, what is wrong)."""
    where = f"{path.relative_to(ROOT)}:{number}"
    if any(name in text for name in place.absent):
        return False, ""
    if path == ROOT / "README.md":
        elsewhere = re.search(README_ELSEWHERE, text)
    else:
        elsewhere = any(re.search(pattern, text) for pattern, _ in ELSEWHERE)
    if elsewhere:
        return False, ""
    if not re.search(r"\bdwgf [a-z-]+|slurm/submit ", text):
        return False, f"{where}: nothing runs this command, and no reason is given: {text}"
    code, said = place.run(text)
    # doctor has warnings about this machine; verify has images that were not restored.
    if code != 0 and not (" doctor" in text and code in (0, 64)):
        return True, f"{where}: exit code {code} of: {text}\n{said[-2000:]}"
    return True, ""


def python_example(place, path, block):
    """Runs an example that its import of h5py marks as a whole program, in the folder of the results; returns
    what is wrong."""
    if "import h5py" not in block:
        return ""
    name = path.relative_to(ROOT)
    packages = re.findall(r"^(?:import|from) (\w+)", block, re.M)
    python = python_with(packages)
    if not python:
        print(f"{name}: a Python example was not run, for want of a Python with {', '.join(packages)}")
        place.absent |= set(re.findall(r'"([\w-]+\.h5)", "w"', block))
        return ""
    finished = subprocess.run([python, "-c", block], cwd=place.folder, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
    if finished.returncode != 0:
        return f"{name}: a Python example fails\n{block}\n{finished.stdout}"
    print(f"{name}: a Python example ran: {finished.stdout.strip()[:200]}")
    return ""


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    mpiexec = sys.argv[2] if len(sys.argv) > 2 else "mpirun"
    mistakes, ran, done = [], 0, set()
    with tempfile.TemporaryDirectory(prefix="dwgf-docs-") as scratch:
        place = Place(pathlib.Path(scratch), program, mpiexec)
        for path in documents():
            for number, kind, text in shown(path):
                if text in done:
                    continue
                done.add(text)
                if kind == "python":
                    mistakes.append(python_example(place, path, text))
                else:
                    has_run, mistake = command(place, path, number, text)
                    ran += has_run
                    mistakes.append(mistake)
    mistakes = list(filter(None, mistakes))
    print("\n".join(mistakes + [f"{ran} commands ran"]))
    assert ran >= 8, "hardly any command was found"
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
