#!/usr/bin/env python3
"""tools/scaling in its quick forms: the tables are whole, the times add up, the plot is a picture. What the
simulation says does not depend on how busy this machine is, so that is compared with the goals; what is
measured here is not.

    python3 tests/scaling/scaling_test.py measure|simulate PROGRAM BUILD
"""
import csv
import json
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]


def rows_of(path):
    rows = json.loads(path.with_suffix(".json").read_text())["rows"]
    with open(path.with_suffix(".csv"), encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(rows) > 0
    for row in rows:
        shares = [row[part] for part in ("computing", "exchange", "waiting", "writing", "other")]
        assert all(0 <= share <= 1 for share in shares) and abs(sum(shares) - 1) < 0.02, row
        assert row["seconds"] > 0 and row["groups"] == -(-row["ranks"] // row["ranks_per_image"]), row
    picture = xml.etree.ElementTree.parse(path.with_suffix(".svg")).getroot()
    words = " ".join(text.strip() for text in picture.itertext())
    assert "ideal" in words and "Command: tools/scaling" in words, words
    return rows, words


def main():
    mode, program, build = sys.argv[1:4]
    with tempfile.TemporaryDirectory(prefix="dwgf-scaling-test-") as folder:
        command = [str(ROOT / "tools/scaling"), "--quick", "--out", folder, "--program", program, "--build", build]
        command += ["--simulate"] if mode == "simulate" else ["--ranks", "2", "--steps", "2"]
        finished = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        print(finished.stdout[-4000:])
        if finished.returncode == 77:
            sys.exit(77)
        assert finished.returncode == 0
        rows, words = rows_of(pathlib.Path(folder) / ("simulated-h100" if mode == "simulate" else "scaling"))
    studies = {row["study"] for row in rows}
    if mode == "measure":
        assert studies == {"strong, images", "weak, images", "strong, particles", "weak, particles",
                           "groups"}, studies
        assert all(row["computing"] > 0 for row in rows) and "Measured" in words
        return
    assert "Simulated" in words and "Assumed" in words and "Counted" in words
    for row in rows:
        # A tenth of the steps of the fast preset: the end of an image weighs more than it would.
        assert row["efficiency"] > 0.9, row
        if row["study"].startswith("weak"):
            assert row["efficiency"] > 0.99, row
    assert sum("windows" in row["study"] for row in rows) == 4
    alone = [row for row in rows if row["ranks"] == 1]
    assert {row["interaction"] for row in alone} == {"mixture", "gaussian", "repulsion", "none"}
    assert all(row["exchange"] < 1e-3 for row in alone), "a rank alone has nobody to exchange with"
    shared = {row["interaction"]: row["exchange"]
              for row in rows
              if row["study"].startswith("strong") and "windows" not in row["study"] and row["ranks"] > 1}
    assert shared["none"] == min(shared.values()) and shared["repulsion"] == max(shared.values()), shared


if __name__ == "__main__":
    main()
