#!/usr/bin/env python3
"""Stable Diffusion at full size against diffusers: the networks, the gradient, and two steps of the flow on
two ranks.

    tools/build && ninja -C build compare_full_size
    python tools/check_full_size.py WORK_DIRECTORY              # 20 minutes on two busy cores, 2 GB of disk,
        12 GB of memory

1. Makes a directory in the shapes of stable-diffusion-2-1-base with random float16 weights (no real ones are
needed to compare arithmetic). 2. diffusers in float32, on a 256 x 256 image: the U-Net, decode, encode, and a
cotangent pulled back through the decoder. 3. The first two steps of super-resolution x8 with N = 4 and the
published settings, by tools/flow_reference.py in float32. 4. compare_full_size: what the C++ prior makes of
2, and the first step's gradient of 3. 5. `dwgf restore`, the same two steps under mpirun with 2 ranks, and
its peak memory. What is there already is kept: delete a file to make it again. Ends with a table; the exit
code says whether everything held. Needs torch 2.13.0, diffusers 0.42.1, numpy, h5py, safetensors.
"""
import argparse
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file

import flow_reference

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
STEPS, PARTICLES, SIGMA, TOKENS = 2, 4, 0.05, 77
MEMORY_LIMIT = 20e9


def make_prior(folder, tiny):
    torch.manual_seed(2)
    levels = 3 if tiny else 4
    unet = UNet2DConditionModel(
        sample_size=8 if tiny else 64, layers_per_block=1 if tiny else 2,
                                block_out_channels=(32, 64, 64) if tiny else (320, 640, 1280, 1280),
        down_block_types=("CrossAttnDownBlock2D",) * (levels - 1) + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * (levels - 1),
                                cross_attention_dim=32 if tiny else 1024,
        norm_num_groups=16 if tiny else 32, attention_head_dim=(2, 4, 4) if tiny else (5, 10, 20, 20),
                                use_linear_projection=True)
    vae = AutoencoderKL(
        latent_channels=4, layers_per_block=1 if tiny else 2, sample_size=32 if tiny else 512,
        block_out_channels=(16, 32, 32) if tiny else (128, 256, 512, 512), norm_num_groups=8 if tiny else 32,
        down_block_types=("DownEncoderBlock2D",) * levels, up_block_types=("UpDecoderBlock2D",) * levels,
                        scaling_factor=0.18215)
    unet.half().save_pretrained(folder / "unet")
    vae.half().save_pretrained(folder / "vae")
    DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
                  set_alpha_to_one=False,
                  steps_offset=1).save_pretrained(folder / "scheduler")


def smooth_image(size):
    """[3, size, size] float32 on [-1, 1], with edges and slopes."""
    y, x = np.mgrid[0:size, 0:size] / size
    planes = [np.sin(7 * x + 3 * y), np.sign(np.sin(11 * y) * np.cos(9 * x)),
              2 * ((x - 0.4) ** 2 + (y - 0.5) ** 2 < 0.09) - 1]
    return np.ascontiguousarray(0.7 * np.stack(planes), np.float32)


def reference_networks(prior, size, context):
    vae = AutoencoderKL.from_pretrained(prior, subfolder="vae",
                                        torch_dtype=torch.float32).requires_grad_(False).eval()
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    generator = torch.Generator().manual_seed(5)
    z = torch.randn(1, 4, size // factor, size // factor, generator=generator)
    x = torch.from_numpy(smooth_image(size))[None]
    cotangent = torch.randn(x.shape, generator=generator)
    out = {"z": z, "x": x, "cotangent": cotangent, "context": context}
    scale = vae.config.scaling_factor
    leaf = z.clone().requires_grad_()
    decoded = vae.decode(leaf / scale).sample
    (out["gradient"],) = torch.autograd.grad(decoded, leaf, cotangent)
    out["decoded"] = decoded.detach()
    del decoded
    with torch.no_grad():
        posterior = vae.encode(x).latent_dist
        out["mean"], out["std"] = posterior.mean * scale, posterior.std * scale
        del vae
        unet = UNet2DConditionModel.from_pretrained(prior, subfolder="unet", torch_dtype=torch.float32).eval()
        for t in (999, 500, 1):
            out[f"unet.{t}"] = unet(z, t, context).sample
    return out


def make_once(path, make, notes):
    if not path.exists():
        start = time.time()
        make()
        notes.append((f"made {path.name}", f"{time.time() - start:.0f} s"))


def peak_of_children():
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--size", choices=["full", "tiny"], default="full")
    parser.add_argument("--until", choices=["reference", "end"], default="end",
                        help="stop after what diffusers computes")
    parser.add_argument("--restore-options", default="",
                        help="more options of the restore, such as '--flow.precision bf16'")
    options = parser.parse_args()
    tiny = options.size == "tiny"
    work, notes, rows = options.work, [], []
    work.mkdir(parents=True, exist_ok=True)
    prior, size = work / "prior", 32 if tiny else 256
    operator = "mean:4" if tiny else "mean:8"

    make_once(prior, lambda: make_prior(prior, tiny), notes)
    width = 32 if tiny else 1024
    context = torch.randn(1, TOKENS, width, generator=torch.Generator().manual_seed(3))
    np.save(work / "context.npy", context.numpy())
    np.save(work / "image.npy", smooth_image(size)[None])
    networks, flow = work / "networks.safetensors", work / "flow.safetensors"
    make_once(networks, lambda: save_file({k: v.contiguous() for k,
                                           v in reference_networks(prior, size, context).items()},
                                          networks), notes)

    def run_flow():
        result = flow_reference.solve(prior, operator, torch.from_numpy(smooth_image(size)), sigma=SIGMA,
                                      particles=PARTICLES, grid=999,
                                      steps=STEPS, encode="sample", context=context, dtype=torch.float32)
        save_file({k: v.contiguous() for k, v in result.items()}, flow)

    make_once(flow, run_flow, notes)
    if options.until == "reference":
        return print(*(f"{name}: {value}" for name, value in notes), sep="\n")

    def check(name, value, limit, better="<="):
        good = value <= limit if better == "<=" else value >= limit
        rows.append((name, value, f"{better} {limit:g}", good))

    start = time.time()
    compared = subprocess.run([BUILD / "tests" / "compare_full_size", prior, networks, flow, operator],
                              text=True, stdout=subprocess.PIPE)
    notes.append(("compare_full_size",
                  f"{time.time() - start:.0f} s, peak {peak_of_children() / 1e9:.1f} GB"))
    if compared.returncode != 0:
        sys.exit("compare_full_size failed")
    for name, value in re.findall(r"^(\S+) (\S+)$", compared.stdout, re.M):
        check(name, float(value), 1e-4)

    out = work / "results.h5"
    out.unlink(missing_ok=True)
    start = time.time()
    command = ["mpirun", "-np", "2", "bash", "-c", 'exec /usr/bin/env time -f "PEAK %M" "$@"', "bash",
               BUILD / "dwgf", "restore",
               "--input.data", work / "image.npy", "--problem.operator", operator, "--problem.sigma",
               str(SIGMA), "--prior.path", prior,
               "--prior.context", work / "context.npy", "--flow.preset", "paper", "--flow.particles",
               str(PARTICLES), "--flow.steps", str(STEPS),
               "--run.ranks_per_image", "2", "--store.out", out, "--store.latents", "float32",
               *options.restore_options.split()]
    restored = subprocess.run(command, text=True, stderr=subprocess.PIPE,
                              env={**os.environ, "OMPI_MCA_rmaps_base_oversubscribe": "1"})
    sys.stderr.write(restored.stderr)
    if restored.returncode != 0:
        sys.exit(f"dwgf restore ended with {restored.returncode}")
    peaks = [int(kib) * 1024 for kib in re.findall(r"PEAK (\d+)", restored.stderr)]
    notes.append(("dwgf restore, 2 ranks, 2 steps",
                  f"{time.time() - start:.0f} s, peaks {' + '.join(f'{p / 1e9:.1f}' for p in peaks)} GB"))
    check("memory of both ranks [bytes]", float(sum(peaks)), MEMORY_LIMIT)
    with h5py.File(out) as file:
        z = torch.from_numpy(file["/particles/z"][0])
        misfit = torch.from_numpy(file["/diagnostics/misfit"][0]).double()
    expected = load_file(flow)
    check("latents: share within 1e-3", ((z - expected["z"]).abs() <= 1e-3).double().mean().item(), 0.99, ">=")
    check("misfit", ((misfit - expected["misfit"]).abs() / expected["misfit"]).max().item(), 1e-4)

    for name, value, limit, good in rows:
        print(f"{name:32s} {value:12.4g}   {limit:10s} {'holds' if good else 'DOES NOT HOLD'}")
    for name, value in notes:
        print(f"{name:32s} {value}")
    sys.exit(0 if all(row[-1] for row in rows) else 1)


if __name__ == "__main__":
    main()
