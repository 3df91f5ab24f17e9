#!/usr/bin/env python3
"""Stable Diffusion XL at full size against diffusers: its U-Net, its autoencoder with the gradient, and two
steps of the flow.

    tools/build && ninja -C build compare_full_size
    python tools/check_full_size_xl.py WORK_DIRECTORY           # 6 GB of disk, under 20 GB of memory

1. prior: a directory in the shapes of stable-diffusion-xl-base-1.0 with random float16 weights (no real ones
are needed to compare arithmetic), without text encoders. 2. unet, codec: diffusers in float32, for an image of
512 x 512; the U-Net with a prompt of 77 tokens, its pooled embedding and the image's sizes, at three times.
3. compare: what the C++ prior makes of 2. 4. restore-fp32, restore-bf16: two steps of super-resolution x8,
in float32 on one rank, in bfloat16 under mpirun with 2 ranks, and their peak memory. Every part is a process
of its own, so that one network is in memory at a time; --part runs one alone. What is there already is kept:
delete a file to make it again. Ends with a table; the exit code says whether everything held. Needs torch
2.13.0, diffusers 0.42.1, numpy, safetensors.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

BUILD = Path(__file__).resolve().parent.parent / "build"
TIMES = (999, 500, 1)
TOLERANCE, MEMORY_LIMIT = 1e-4, 20e9


def make_prior(work, tiny):
    import torch
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel
    folder = work / "prior"
    torch.manual_seed(2)
    torch.set_default_dtype(torch.float16)  # never more than the weights as they are stored
    unet = UNet2DConditionModel(
        sample_size=16 if tiny else 128, layers_per_block=2,
        block_out_channels=(32, 64, 64) if tiny else (320, 640, 1280),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 3) if tiny else (1, 2, 10),
        attention_head_dim=(2, 4, 4) if tiny else (5, 10, 20), cross_attention_dim=64 if tiny else 2048,
        norm_num_groups=16 if tiny else 32, use_linear_projection=True, addition_embed_type="text_time",
        addition_time_embed_dim=8 if tiny else 256,
        projection_class_embeddings_input_dim=32 + 6 * 8 if tiny else 1280 + 6 * 256)
    unet.half().save_pretrained(folder / "unet", max_shard_size="2GB")
    del unet
    vae = AutoencoderKL(
        latent_channels=4, layers_per_block=1 if tiny else 2, norm_num_groups=8 if tiny else 32,
        block_out_channels=(16, 16, 32, 32) if tiny else (128, 256, 512, 512), scaling_factor=0.13025,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        sample_size=128 if tiny else 1024, force_upcast=True)
    vae.half().save_pretrained(folder / "vae")
    EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1,
                           timestep_spacing="leading").save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps(
        {"_class_name": "StableDiffusionXLPipeline", "force_zeros_for_empty_prompt": True}) + "\n")


def drawn(tiny):
    """What both sides are given; the same in every process."""
    import torch
    generator = torch.Generator().manual_seed(5)
    draw = lambda *shape: torch.randn(shape, generator=generator)
    size = 64 if tiny else 512
    return {"z": draw(1, 4, size // 8, size // 8), "context": draw(1, 77, 64 if tiny else 2048),
            "pooled": draw(1, 32 if tiny else 1280),
            "sizes": torch.tensor([[size, size, 0.0, 0.0, size, size]]),
            "x": (0.5 * draw(1, 3, size, size)).clamp(-1, 1), "cotangent": draw(1, 3, size, size)}


def save(tensors, path):
    from safetensors.torch import save_file
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)


def reference_unet(work, tiny):
    import torch
    from diffusers import UNet2DConditionModel
    unet = UNet2DConditionModel.from_pretrained(work / "prior", subfolder="unet",
                                                torch_dtype=torch.float32).eval()
    given = drawn(tiny)
    with torch.no_grad():
        out = {f"unet.{t}": unet(given["z"], t, given["context"], added_cond_kwargs={
            "text_embeds": given["pooled"], "time_ids": given["sizes"]}).sample for t in TIMES}
    save({**{name: given[name] for name in ("z", "context", "pooled", "sizes")}, **out}, work / "unet.safetensors")


def reference_codec(work, tiny):
    import torch
    from diffusers import AutoencoderKL
    vae = AutoencoderKL.from_pretrained(work / "prior", subfolder="vae",
                                        torch_dtype=torch.float32).requires_grad_(False).eval()
    given, scale = drawn(tiny), vae.config.scaling_factor
    with torch.no_grad():
        posterior = vae.encode(given["x"]).latent_dist
    leaf = given["z"].clone().requires_grad_()
    decoded = vae.decode(leaf / scale).sample
    (gradient,) = torch.autograd.grad(decoded, leaf, given["cotangent"])
    save({**given, "decoded": decoded.detach(), "gradient": gradient, "mean": posterior.mean * scale,
          "std": posterior.std * scale}, work / "codec.safetensors")


def timed(command, **more):
    """Runs it; what it printed, its seconds, and the peak memory of each of its processes that says so."""
    start = time.time()
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    if done.returncode != 0:
        sys.exit(f"{done.stdout}{done.stderr}{command[0]} ended with {done.returncode}")
    peaks = [int(kib) * 1024 for kib in re.findall(r"PEAK (\d+)", done.stderr)]
    return done.stdout, time.time() - start, sum(peaks)


WITH_PEAK = ["/usr/bin/env", "time", "-f", "PEAK %M"]


def compare(work, tiny):
    rows = []
    for part in ("unet", "codec"):
        text, seconds, peak = timed([*WITH_PEAK, BUILD / "tests" / "compare_full_size", work / "prior",
                                     work / f"{part}.safetensors"])
        rows += [[name, float(value), TOLERANCE] for name, value in re.findall(r"^(\S+) (\S+)$", text, re.M)]
        rows.append([f"compare {part}: memory [bytes]", peak, MEMORY_LIMIT])
        rows.append([f"compare {part}: seconds", seconds, None])
    return rows


def restore(work, tiny, precision, ranks):
    import numpy as np
    image = drawn(tiny)["x"].numpy()
    np.save(work / "image.npy", image.astype(np.float32))
    out = work / f"results-{precision}.h5"
    out.unlink(missing_ok=True)
    command = [*WITH_PEAK, BUILD / "dwgf", "restore", "--input.data", work / "image.npy", "--problem.operator",
               "mean:8", "--prior.path", work / "prior", "--flow.precision", precision, "--flow.particles", "2",
               "--flow.steps", "2", "--run.ranks_per_image", str(ranks), "--store.out", out]
    if ranks > 1:
        command = ["mpirun", "-np", str(ranks), *command]
    _, seconds, peak = timed(command, env={**os.environ, "OMPI_MCA_rmaps_base_oversubscribe": "1"})
    name = f"restore {precision}, {ranks} rank{'s' if ranks > 1 else ''}"
    return [[f"{name}: memory [bytes]", peak, MEMORY_LIMIT], [f"{name}: seconds", seconds, None]]


# In their order, with the file that says that it was done; a part without one is done every time.
PARTS = {"prior": (make_prior, "prior/model_index.json"), "unet": (reference_unet, "unet.safetensors"),
         "codec": (reference_codec, "codec.safetensors"), "compare": (compare, None),
         "restore-fp32": (lambda work, tiny: restore(work, tiny, "fp32", 1), None),
         "restore-bf16": (lambda work, tiny: restore(work, tiny, "bf16", 2), None)}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--size", choices=["full", "tiny"], default="full")
    parser.add_argument("--part", choices=PARTS, help="this part alone")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.part:
        rows = PARTS[options.part][0](options.work, options.size == "tiny")
        (options.work / f"{options.part}.json").write_text(json.dumps(rows or []))
        return
    rows = []
    for part, (_, made) in PARTS.items():
        if made is None or not (options.work / made).exists():
            print(part, flush=True)
            again = [sys.executable, __file__, options.work, "--size", options.size, "--part", part]
            if subprocess.run(again).returncode != 0:
                sys.exit(f"{part} failed")
        rows += json.loads((options.work / f"{part}.json").read_text())
    for name, value, limit in rows:
        verdict = "" if limit is None else f"<= {limit:g}   {'holds' if value <= limit else 'DOES NOT HOLD'}"
        print(f"{name:32s} {value:12.4g}   {verdict}")
    sys.exit(0 if all(limit is None or value <= limit for _, value, limit in rows) else 1)


if __name__ == "__main__":
    main()
