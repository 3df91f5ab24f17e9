#!/usr/bin/env python3
"""The denoiser of Stable Diffusion 3.5 at full size against diffusers.

    tools/build && ninja -C build compare_transformer
    python tools/check_full_size_sd3.py WORK_DIRECTORY          # 5 GB of disk, under 20 GB of memory

1. Makes a directory whose transformer has the shapes of stable-diffusion-3.5-medium and random float16
weights (no real ones are needed to compare arithmetic), beside a small autoencoder. 2. diffusers in float32:
the velocity of a 512 x 512 image's latent with a prompt of 77 + 256 tokens, at three times. 3.
compare_transformer: what the C++ prior makes of 2. Each in a process of its own, so that one network is in
memory at a time. What is there already is kept: delete a file to make it again. Ends with a table; the exit
code says whether everything held. Needs torch 2.13.0, diffusers 0.42.1, safetensors.
"""
import argparse
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

BUILD = Path(__file__).resolve().parent.parent / "build"
TIMES = (1000.0, 501.5, 8.928571701049805)
MEMORY_LIMIT, TOLERANCE = 20e9, 1e-4
PARTS = ("prior", "reference")


def transformer_of(tiny):
    from diffusers import SD3Transformer2DModel
    return SD3Transformer2DModel(
        sample_size=128, patch_size=2, in_channels=16, out_channels=16, num_layers=4 if tiny else 24,
        attention_head_dim=16 if tiny else 64, num_attention_heads=4 if tiny else 24,
        joint_attention_dim=64 if tiny else 4096, caption_projection_dim=64 if tiny else 1536,
        pooled_projection_dim=32 if tiny else 2048, pos_embed_max_size=48 if tiny else 384,
        dual_attention_layers=(0, 1) if tiny else tuple(range(13)), qk_norm="rms_norm")


def make_prior(folder, tiny):
    import torch
    from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler
    torch.manual_seed(2)
    torch.set_default_dtype(torch.float16)  # never more than the weights as they are stored
    transformer = transformer_of(tiny).half()
    transformer.save_pretrained(folder / "transformer", max_shard_size="2GB")
    torch.set_default_dtype(torch.float32)
    vae = AutoencoderKL(
        latent_channels=16, layers_per_block=1, block_out_channels=(8, 8, 8, 8), norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        scaling_factor=1.5305, shift_factor=0.0609, use_quant_conv=False, use_post_quant_conv=False)
    vae.half().save_pretrained(folder / "vae")
    FlowMatchEulerDiscreteScheduler(shift=3.0).save_pretrained(folder / "scheduler")


def make_reference(folder, networks, tiny):
    import torch
    from diffusers import SD3Transformer2DModel
    from safetensors.torch import save_file
    transformer = SD3Transformer2DModel.from_pretrained(folder, subfolder="transformer",
                                                        torch_dtype=torch.float32).eval()
    generator = torch.Generator().manual_seed(5)
    draw = lambda *shape: torch.randn(shape, generator=generator)
    config, size = transformer.config, 16 if tiny else 64
    out = {"z": draw(1, 16, size, size), "context": draw(1, 333, config.joint_attention_dim),
           "pooled": draw(1, config.pooled_projection_dim)}
    with torch.no_grad():
        for time_told in TIMES:
            out[f"velocity.{time_told}"] = transformer(
                out["z"], encoder_hidden_states=out["context"], pooled_projections=out["pooled"],
                timestep=torch.tensor([time_told])).sample
    save_file({name: tensor.contiguous() for name, tensor in out.items()}, networks)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--size", choices=["full", "tiny"], default="full")
    parser.add_argument("--part", choices=PARTS, help="this part alone, without a look at what is there")
    options = parser.parse_args()
    work, tiny = options.work, options.size == "tiny"
    work.mkdir(parents=True, exist_ok=True)
    prior, networks = work / "prior", work / "networks.safetensors"
    if options.part == "prior":
        return make_prior(prior, tiny)
    if options.part == "reference":
        return make_reference(prior, networks, tiny)

    notes, rows = [], []
    for part, made in zip(PARTS, (prior / "scheduler", networks)):
        if not made.exists():
            start = time.time()
            command = [sys.executable, __file__, work, "--size", options.size, "--part", part]
            subprocess.run(command, check=True)
            notes.append((f"made {made.name}", f"{time.time() - start:.0f} s"))
    start = time.time()
    peak_before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    command = ["/usr/bin/env", "time", "-f", "PEAK %M", BUILD / "tests" / "compare_transformer", prior,
               networks]
    compared = subprocess.run(command, text=True, capture_output=True, env=dict(os.environ))
    sys.stderr.write(compared.stderr)
    if compared.returncode != 0:
        sys.exit("compare_transformer failed")
    peak = int(re.search(r"PEAK (\d+)", compared.stderr).group(1)) * 1024
    notes.append(("compare_transformer", f"{time.time() - start:.0f} s, peak {peak / 1e9:.1f} GB; of what "
                                         f"was made before {peak_before * 1024 / 1e9:.1f} GB"))
    for name, value in re.findall(r"^(\S+) (\S+)$", compared.stdout, re.M):
        rows.append((name, float(value), TOLERANCE))
    rows.append(("memory [bytes]", float(peak), MEMORY_LIMIT))
    for name, value, limit in rows:
        print(f"{name:32s} {value:12.4g}   <= {limit:<8g} {'holds' if value <= limit else 'DOES NOT HOLD'}")
    for name, value in notes:
        print(f"{name:32s} {value}")
    sys.exit(0 if len(rows) == len(TIMES) + 1 and all(value <= limit for _, value, limit in rows) else 1)


if __name__ == "__main__":
    main()
