#!/usr/bin/env python3
"""The two samplers of tools/levy_walks.py, which share nothing but the laws, against each other: means within
Monte Carlo error, and deviations; the operators' shapes; densities of integral 1. Needs numpy.
"""
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import levy_walks as walks  # noqa: E402


def main():
    for law in walks.LAWS.values():
        u = np.linspace(-400, 400, 4_000_001)
        mass = law.density(u).sum() * (u[1] - u[0]) + 1 - law.share
        assert abs(mass - 1) < 2e-3, (law.name, mass)  # Cauchy has 1.6e-3 beyond
    assert [walks.operator(name).shape[0] for name in walks.OPERATORS] == [64, 64, 33, 36]
    assert walks.coverage(True) < 0.1 and abs(walks.coverage(False) - 45 / 51) < 0.02
    fourier = walks.operator("fourier")
    assert np.abs(fourier @ fourier.T - np.diag(np.diag(fourier @ fourier.T))).max() < 1e-12
    for name, problem in (("laplace", "identity"), ("bernoulli-laplace", "identity"),
                          ("student-3", "identity"), ("laplace", "imputation")):
        worst, root, least, most = walks.compare(walks.LAWS[name], problem, count=2, burn=100, keep=800)
        assert worst < 0.35 and root < 0.08 and 0.9 < least <= most < 1.1, (name, problem, worst, root, least,
                                                                            most)


if __name__ == "__main__":
    main()
