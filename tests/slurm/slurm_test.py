#!/usr/bin/env python3
"""The scripts of slurm/ on a real Slurm: four virtual nodes on this machine (tools/mini-slurm).

    python3 tests/slurm/slurm_test.py PROGRAM            all scenarios, submitted at once and looked at one
                                                         after the other
    python3 tests/slurm/slurm_test.py PROGRAM --limit    a job of minutes under a time limit of one, requeued
                                                         until it is done

Exit code 77: skipped, with the reason. Needs h5dump (Debian: hdf5-tools).
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
DATASETS = ["/image/id", "/image/crc32", "/image/state", "/posterior/mean", "/posterior/std", "/particles/z",
            "/measurement/y",
            "/diagnostics/misfit"]
# For a machine that is busy with other tests; nothing is expected to be fast.
PATIENCE = 600


def run(*words, check=True, **more):
    done = subprocess.run([str(word)
                           for word in words], capture_output=True, text=True, timeout=PATIENCE, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, words))} gave {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def wait_until(what, condition):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what} did not happen within {PATIENCE} s")


def field(job, name):
    text = run("scontrol", "show", "job", "-o", job).stdout
    return dict(word.split("=", 1) for word in text.split() if "=" in word).get(name, "")


def ended(job):
    """The state of a job (of every task of an array) once nothing of it is left to do."""
    def states():
        lines = run("scontrol", "show", "job", "-o", job).stdout.splitlines()
        found = [word.split("=")[1] for line in lines
                 for word in line.split() if word.startswith("JobState=")]
        final = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL",
                 "DEADLINE")
        return set(found) if found and all(state in final for state in found) else None
    return wait_until(f"the end of job {job}", states)


class Slurm:
    def __init__(self, program):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dwgf-slurm-"))
        self.program = program
        self.slurm = self.folder / "slurm"
        done = run(SOURCE / "tools/mini-slurm", "up", self.slurm, check=False)
        if done.returncode != 0:
            self.remove()
            print("skipped:", done.stderr.strip())
            sys.exit(77 if done.returncode == 77 else 1)
        os.environ["SLURM_CONF"] = str(self.slurm / "slurm.conf")
        os.chdir(self.folder)
        # A site of the kind that users write: another launcher line, variables, the program's place.
        (self.folder / "site.sh").write_text(f"""
            dwgf_sbatch=(--partition=main)
            dwgf_launcher=(srun --mpi=pmix --overlap)
            dwgf_sbatch_gpus=()
            dwgf_launcher_gpus=()
            dwgf_program={program}
            dwgf_stage_to={self.folder}/node
            dwgf_environment() {{
              export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1
              export OMPI_MCA_btl_base_warn_component_unused=0 DWGF_TEST_SITE=was-read
            }}
            """)
        os.environ["DWGF_SITE"] = str(self.folder / "site.sh")

    def remove(self):
        run(SOURCE / "tools/mini-slurm", "down", self.slurm, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def job(self, out, **options):
        """The options of a small restoration."""
        words = {"input.data": SOURCE / "jobs/data/fashion", "input.count": 6,
                 "prior.path": "builtin:fashion",
                 "problem.operator": "mean:4", "flow.particles": 2, "flow.grid": 40, "flow.steps": 10,
                 "flow.encode": "mean",
                 "flow.consistency": 0, "store.latents": "float32", "store.out": out}
        words.update({key.replace("__", "."): value for key, value in options.items()})
        return [str(word) for key, value in words.items() if value is not None
                for word in (f"--{key}", value)]

    def submit(self, *words):
        """Numbers of the jobs by what they are for."""
        text = run(SOURCE / "slurm/submit", *words).stdout
        return dict(line.split() for line in text.splitlines())

    def log(self, job):
        path = self.folder / f"dwgf-{job}.log"
        return path.read_text() if path.exists() else ""

    def expect_complete(self, out, images):
        counts = json.loads(run(self.program, "status", out, "--json").stdout)
        assert counts["done"] == images and counts["left"] == 0, f"{out}: {counts}"
        run(self.program, "verify", out)

    def expect_same_bits(self, found, expected):
        for dataset in DATASETS:
            bits = []
            for path in (found, expected):
                run("h5dump", "-d", dataset, "-b", "LE", "-o", self.folder / "bits", path)
                bits.append((self.folder / "bits").read_bytes())
            assert bits[0] == bits[1], f"{dataset} of {found} differs from that of {expected}"


def expect_state(slurm, job, wanted):
    states = ended(job)
    assert states == {wanted}, f"job {job} ended as {states}; its log:\n{slurm.log(job)}"


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    if not shutil.which("h5dump"):
        print("skipped: h5dump is not installed (Debian: apt-get install hdf5-tools)")
        return 77
    slurm = Slurm(program)
    try:
        time_limit(slurm) if "--limit" in sys.argv[2:] else scenarios(slurm)
    finally:
        slurm.remove()
    print("all scenarios passed")
    return 0


def scenarios(slurm):
    def started(name):
        print(f"{time.monotonic() - begin:6.1f} s  {name}", flush=True)
    begin = time.monotonic()

    # The undivided run that all others are compared with; 8 ranks on 4 nodes, then what follows a
    # restoration.
    chain = slurm.submit("chain", "--nodes=4", "--ntasks-per-node=2", "--export-to", "pictures", "--",
                         *slurm.job("whole.h5"))
    # Slices, two at a time, and their merge.
    array = slurm.submit("array", "--images", "6", "--slice", "2", "--at-once", "2", "--ntasks=2", "--",
                         *slurm.job("sliced.h5",
                                                                                                             input__count=None))
    # Cancelled in mid-run; warned of its time limit in mid-run; one that loses a node in mid-run.
    endless = dict(flow__particles=4, flow__grid=999, flow__steps=900)
    cancelled = slurm.submit("restore", "--ntasks=1", "--",
                             *slurm.job("cancelled.h5", **endless, input__count=1))["restore"]

    started("restore, evaluate, export on 4 nodes")
    for job in chain.values():
        expect_state(slurm, job, "COMPLETED")
    slurm.expect_complete("whole.h5", 6)
    assert json.loads((slurm.folder / "whole.json").read_text())["summary"]["psnr"]["mean"] > 0
    assert (slurm.folder / "pictures/contact_sheet.png").exists()

    started("array with throttle, and merge")
    assert field(array["slices"], "ArrayTaskThrottle") in ("2", ""), "the throttle was not passed on"
    expect_state(slurm, array["slices"], "COMPLETED")
    expect_state(slurm, array["merge"], "COMPLETED")
    slurm.expect_complete("sliced.h5", 6)
    slurm.expect_same_bits("sliced.h5", "whole.h5")

    started("scancel")
    wait_until("the start of the job", lambda: (slurm.folder / "cancelled.h5").exists())
    run("scancel", cancelled)
    states = ended(cancelled)
    assert states == {"CANCELLED"}, states
    assert field(cancelled, "Restarts") == "0", "a cancelled job was requeued"
    assert run(slurm.program, "verify", "cancelled.h5",
               check=False).returncode == 3, "the file is not sound after scancel"
    wait_until("the end of the cancelled job's ranks", lambda: not left_over(slurm, "cancelled.h5"))


    started("the warning before a time limit, and a node set down, in mid-run")
    longer = dict(flow__particles=4, flow__grid=500, flow__steps=80, input__count=3,
                  run__checkpoint_seconds=0.1)
    # It reads its prior from a copy on its node, one for all virtual ones.
    os.environ["DWGF_STAGE"] = str(SOURCE / "configs/priors/fashion")
    warned = slurm.submit("restore", "--nodes=1", "--ntasks=2", "--",
                          *slurm.job("warned.h5", **longer, run__ranks_per_image=2))["restore"]
    del os.environ["DWGF_STAGE"]
    # The warning is the signal that --signal=B:USR1 has Slurm send to the batch script.
    wait_until("the first checkpoint", lambda: in_mid_image(slurm, warned, "warned.h5"))
    run("scancel", "--batch", "--signal=USR1", warned)
    # Only now: its ranks wait for nobody, and could be done before the first image of the other on a busy
    # machine.
    widowed = slurm.submit("restore", "--nodes=2", "--ntasks-per-node=1", "--",
                           *slurm.job("widowed.h5", **longer))["restore"]
    wait_until("the first checkpoint", lambda: in_mid_image(slurm, widowed, "widowed.h5"))
    node = run("scontrol", "show", "hostnames", field(widowed, "NodeList")).stdout.split()[1]
    run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
    wait_until("the requeue", lambda: field(warned, "Restarts") == "1")
    wait_until("the requeue", lambda: field(widowed, "Restarts") == "1")
    # it may have come back by itself
    run("scontrol", "update", f"NodeName={node}", "State=RESUME", check=False)
    for job, name in ((warned, "warned.h5"), (widowed, "widowed.h5")):
        expect_state(slurm, job, "COMPLETED")
        slurm.expect_complete(name, 3)
    assert "stopped with a checkpoint; requeued" in slurm.log(warned), slurm.log(warned)
    assert "goes on after step" in slurm.log(warned), slurm.log(warned)
    assert (slurm.folder / "node/unet/config.json").exists(), "no prior was sent to the nodes"
    slurm.expect_same_bits("warned.h5", "widowed.h5")  # other ranks, other interruptions


def time_limit(slurm):
    long = dict(flow__particles=4, flow__grid=999, flow__steps=900, input__count=2, run__ranks_per_image=2)
    job = slurm.submit("restore", "--ntasks=2", "--time=1", "--signal=B:USR1@25", "--",
                       *slurm.job("limited.h5", **long))["restore"]
    expect_state(slurm, job, "COMPLETED")
    slurm.expect_complete("limited.h5", 2)
    restarts = int(field(job, "Restarts"))
    assert restarts > 0, "the job was done before its time limit: nothing was tested"
    print(f"{restarts} restarts:\n{slurm.log(job)}")


def in_mid_image(slurm, job, out):
    """Whether a checkpoint of an image is there. No program is started to find out: the job would not wait
    for it."""
    assert "3 of 3 images in" not in slurm.log(job), f"{out} was done before anything could happen to it"
    return any((slurm.folder / (out + ".checkpoint")).glob("*"))


def left_over(slurm, words):
    """Ranks of the program whose command line has these words."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if command[0] == str(slurm.program).encode() and words.encode() in command:
            found.append(path.parent.name)
    return found


if __name__ == "__main__":
    sys.exit(main())
