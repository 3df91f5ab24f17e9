#!/usr/bin/env python3
"""How to share a node's processors: ranks against threads of a rank; `tools/bench split` starts it.

    tools/bench split [--images 64] [--first 16] [--steps 12] [--rounds 3] [--job super-resolution]

Restores the same test images of Fashion-MNIST with one rank of one thread, and with every split of all
processors into ranks of as many threads; the splits take turns, --rounds times. Seconds are those from the
first image's begin to the last one's end, so that loading is left out. Prints Markdown: medians (least to
most), and the rate against one rank of one thread.
"""
import argparse
import os
import pathlib
import statistics
import tempfile

import fashion_images
from event_logs import events_of, seconds_of


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--first", type=int, default=16)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--job", default="super-resolution")
    parser.add_argument("--data", type=pathlib.Path, default=fashion_images.DATA)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    splits = [(1, 1)] + [(ranks, cores // ranks)
                         for ranks in range(1, cores + 1) if cores > 1 and cores % ranks == 0]
    found = {split: [] for split in splits}
    with tempfile.TemporaryDirectory(prefix="dwgf-split-") as scratch:
        scratch = pathlib.Path(scratch)
        images = scratch / "images.npy"
        fashion_images.write_images(options.data / fashion_images.TEST, options.first, options.images, images)
        for turn in range(options.rounds):
            for ranks, threads in splits:
                name = scratch / f"{turn}-{ranks}-{threads}"
                fashion_images.run("mpirun", "--bind-to", "none", "--oversubscribe", "-np", ranks,
                                   "build/dwgf", "restore", "--config",
                                   f"jobs/{options.job}.ini", "--input.data", images, "--flow.steps",
                                   options.steps, "--run.threads", threads,
                                   "--store.out", f"{name}.h5", "--log.file", f"{name}.log-%r")
                found[ranks, threads].append(seconds_of(events_of(f"{name}.log", ranks)))
    print(f"{options.images} images of {options.job}, {options.steps} steps, {cores} processors.\n\n| ranks | threads of each | seconds (least ... most) | rate |\n|---|---|---|---|")
    one = statistics.median(found[1, 1])
    for (ranks, threads), seconds in found.items():
        median = statistics.median(seconds)
        print(f"| {ranks} | {threads} | {median:.1f} ({min(seconds):.1f} ... {max(seconds):.1f}) | {one / median:.2f} |")


if __name__ == "__main__":
    main()
