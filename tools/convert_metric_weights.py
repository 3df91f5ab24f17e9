#!/usr/bin/env python3
"""The published weights of LPIPS and FID as the safetensors files that `dwgf evaluate --lpips FILE --fid
FILE` takes.

    python tools/convert_metric_weights.py lpips --backbone alexnet-owt-7be5be79.pth --heads alex.pth --out
    lpips-alex.safetensors python tools/convert_metric_weights.py lpips --backbone vgg16-397923af.pth --heads
    vgg.pth --out lpips-vgg.safetensors python tools/convert_metric_weights.py inception --weights
    pt_inception-2015-12-05-6726825d.pth --out inception.safetensors

Backbones: torchvision's ImageNet weights (https://download.pytorch.org/models/). Heads: lpips/weights/v0.1 of
the lpips package or of https://github.com/richzhang/PerceptualSimilarity. Inception: the file of
https://github.com/mseitzer/pytorch-fid/releases (fid_weights). Needs torch and safetensors. Names and shapes
are checked when the program reads the file; what it has no use for (classifiers, counters) is left out here.
"""
import argparse
import hashlib
import pathlib

import torch
from safetensors.torch import save_file


def read(path):
    return torch.load(path, map_location="cpu", weights_only=True)


def lpips_tensors(backbone, heads):
    tensors = {name: value for name, value in backbone.items() if name.startswith("features.")}
    for k in range(5):
        tensors[f"lin{k}.weight"] = heads[f"lin{k}.model.1.weight"]
    return tensors


def inception_tensors(state):
    return {name: value for name, value in state.items() if not name.startswith("fc.")
            and not name.endswith("num_batches_tracked")}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="metric", required=True)
    lpips = commands.add_parser("lpips")
    lpips.add_argument("--backbone", required=True)
    lpips.add_argument("--heads", required=True)
    inception = commands.add_parser("inception")
    inception.add_argument("--weights", required=True)
    for command in (lpips, inception):
        command.add_argument("--out", required=True, type=pathlib.Path)
    options = parser.parse_args()
    if options.metric == "lpips":
        tensors = lpips_tensors(read(options.backbone), read(options.heads))
    else:
        tensors = inception_tensors(read(options.weights))
    if not tensors:
        parser.error("none of the tensors that this metric needs is in there")
    save_file({name: value.float().contiguous() for name, value in tensors.items()}, options.out)
    print(options.out, len(tensors), "tensors, sha256", hashlib.sha256(options.out.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
