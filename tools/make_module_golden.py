#!/usr/bin/env python3
"""Makes the modules that the tests use as operators of a user's own (`torch:FILE`), as a user makes them.

A development tool; neither dwgf nor its tests need it. Needs torch 2.13.0. To renew:

    tools/make_module_golden.py tests/data/operators

Written there:
  mean4.pt     means of blocks of 4 x 4, linear, as the native `mean:4`
  gamma.pt     ((x + 1) / 2)^2.2, which is not linear
"""

import argparse
import warnings
from pathlib import Path

import torch


class Mean(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.avg_pool2d(x, 4)


class Gamma(torch.nn.Module):
    def forward(self, x):
        return (0.5 * (x + 1)).clamp(0.001, 1.0) ** 2.2


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="the folder to write to")
    out = parser.parse_args().out
    warnings.simplefilter("ignore")
    for name, module in (("mean4", Mean()), ("gamma", Gamma())):
        torch.jit.script(module).save(str(out / f"{name}.pt"))


if __name__ == "__main__":
    main()
