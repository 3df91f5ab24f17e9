#!/usr/bin/env python3
"""The flow in plain PyTorch and diffusers, as an independent check of the C++ program. Obvious rather than
fast.

    python tools/flow_reference.py golden            # writes tests/data/flow/golden.safetensors
    python tools/flow_reference.py run --prior DIR --operator mean:4 --truth x.npy --out run.safetensors [...]

`golden` runs ten float64 steps on the tiny prior in tests/data/prior for every interaction and every basic
operator; tests/flow compares the program's latents with them. Needs torch 2.13, diffusers 0.42, numpy,
safetensors. Everything stochastic is addressed as in include/dwgf/base/random.hpp. Equations:
include/dwgf/flow and src/flow, after arXiv 2509.19276.
"""
import argparse
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as nnf
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parent.parent
PURPOSES = {"init": 0, "noising": 1, "decoder": 2, "measurement": 3, "encoder": 4, "mask": 5}
MASK64 = 2**64 - 1


def splitmix64(value):
    value = (value + 0x9E3779B97F4A7C15) & MASK64
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        value = ((value ^ (value >> shift)) * factor) & MASK64
    return value ^ (value >> 31)


def philox_words(seed, image, particle, step, purpose, count):
    """uint32 [blocks, 4]: Philox4x32-10 at counters (block, step, particle, purpose)."""
    key = splitmix64((splitmix64(seed) + image) & MASK64)
    keys = [key & 0xFFFFFFFF, key >> 32]
    blocks = -(-count // 4)
    c = np.empty((4, blocks), np.uint64)
    c[0], c[1], c[2], c[3] = np.arange(blocks), step, particle, PURPOSES[purpose]
    for _ in range(10):
        left, right = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = np.stack([(right >> np.uint64(32)) ^ c[1] ^ np.uint64(keys[0]), right & np.uint64(0xFFFFFFFF),
                      (left >> np.uint64(32)) ^ c[3] ^ np.uint64(keys[1]), left & np.uint64(0xFFFFFFFF)])
        keys = [(keys[0] + 0x9E3779B9) & 0xFFFFFFFF, (keys[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c.T


def uniforms(seed, image, particle, step, purpose, count):
    return philox_words(seed, image, particle, step, purpose,
                        count).reshape(-1)[:count].astype(np.float64) / 2.0**32


def normals(seed, image, particle, step, purpose, count):
    u = (philox_words(seed, image, particle, step, purpose, count).astype(np.float64) + 0.5) / 2.0**32
    radius, angle = np.sqrt(-2.0 * np.log(u[:, 0::2])), 2.0 * np.pi * u[:, 1::2]
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return pairs.reshape(-1)[:count].astype(np.float32)


def ensemble_normals(like, seed, image, step, purpose):
    """One stream a particle, in the shape and type of `like` [N, ...]."""
    rows = [normals(seed, image, i, step, purpose, like[i].numel()) for i in range(like.shape[0])]
    return torch.from_numpy(np.stack(rows)).reshape(like.shape).to(like.dtype)


class Operator:
    """y = A(x) for one image shape; `mask` [C, H, W] marks observed entries where some are missing."""

    def __init__(self, spec, shape, seed, image):
        name, _, arguments = spec.partition(":")
        numbers = [float(a) for a in arguments.split(",")] if arguments else []
        self.mask = None
        if name == "box":
            top, left, height, width = (int(v) for v in numbers)
            self.mask = torch.ones(shape)
            self.mask[:, top:top + height, left:left + width] = 0
        elif name == "random":
            kept = uniforms(seed, image, 0, 0, "mask", math.prod(shape)) >= numbers[0]
            self.mask = torch.from_numpy(kept).reshape(shape).float()
        elif name == "mean":
            self.block = int(numbers[0])
        elif name == "blur":
            size, std = int(numbers[0]), numbers[1]
            line = torch.exp(-(torch.arange(size,
                                            dtype=torch.float64) - (size - 1) / 2) ** 2 / (2 * std * std))
            self.kernel = torch.outer(line, line) / torch.outer(line, line).sum()
        elif name not in ("identity", "hdr"):
            raise SystemExit(f"unknown operator {spec}")
        self.name = name

    def __call__(self, x):
        if self.mask is not None:
            return x * self.mask.to(x.dtype)
        if self.name == "mean":
            return nnf.avg_pool2d(x, self.block)
        if self.name == "blur":
            channels, half = x.shape[1], self.kernel.shape[0] // 2
            weight = self.kernel.to(x.dtype).repeat(channels, 1, 1, 1)
            return nnf.conv2d(nnf.pad(x, [half] * 4, mode="reflect"), weight, groups=channels)
        return (2 * x).clamp(-1, 1) if self.name == "hdr" else x


def interaction_score(kind, z, z_t, eps, a, s, strength):
    count = z.shape[0]
    rows, noised = z.reshape(count, -1), z_t.reshape(count, -1)
    if kind == "mixture":
        distances = torch.stack([((row - a * rows) ** 2).sum(1) for row in noised])
        weights = torch.softmax(-distances / (2 * s**2), dim=1)
        score = (a * weights @ rows - noised) / s**2
        return score.reshape(z.shape), (1.0 / (weights**2).sum(1)).mean().item()
    if kind == "gaussian":
        spread = rows.var(0) if count > 1 else torch.zeros_like(rows[0])
        return ((a * rows.mean(0) - noised) / (a**2 * spread + s**2)).reshape(z.shape), float(count)
    score = -eps / s
    if kind == "repulsion" and count > 1:
        squared = torch.stack([((row - rows) ** 2).sum(1) for row in rows])
        between = torch.quantile(squared[~torch.eye(count, dtype=torch.bool)], 0.5)
        bandwidth = between / (2 * math.log(count))
        kernel = torch.softmax(-squared / (2 * bandwidth), dim=1)
        score = score + strength * ((kernel @ rows - rows) / bandwidth).reshape(z.shape)
    return score, 1.0


def solve(prior, spec, truth, *, sigma=0.05, image=0, seed=0, particles=4, grid=50, steps=10,
          interaction="mixture", repulsion=1.0, weight=0.15,
          consistency=0.1, decoder_std=0.01, rate=1.0, encode="mean", context=None, dtype=torch.float64):
    """`context` [1, tokens, dim]: a prompt's embedding, by default one token of zeros. Networks see one
    particle at a time: little memory."""
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(prior, subfolder="unet",
                                                torch_dtype=dtype).requires_grad_(False).eval()
    vae = AutoencoderKL.from_pretrained(prior, subfolder="vae",
                                        torch_dtype=dtype).requires_grad_(False).eval()
    scheduler = DDIMScheduler.from_pretrained(prior, subfolder="scheduler")
    config = scheduler.config
    scheduler.set_timesteps(grid)
    times = scheduler.timesteps.tolist()[:-1][:steps]
    spacing = config.num_train_timesteps // grid
    assert times == [(grid - 1 - k) * spacing + config.steps_offset for k in range(len(times))]
    abar = scheduler.alphas_cumprod.double()

    operator = Operator(spec, tuple(truth.shape), seed, image)
    clean = operator(truth.double()[None])
    noise = torch.from_numpy(normals(seed, image, 0, 0, "measurement",
                                     clean.numel())).double().reshape(clean.shape)
    if operator.mask is not None:
        noise = noise * operator.mask
    y = (clean + sigma * noise).float()
    observed = clean.numel() if operator.mask is None else int(operator.mask.sum())

    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    z = torch.empty(particles, unet.config.in_channels, truth.shape[1] // factor, truth.shape[2] // factor,
                    dtype=dtype)
    z = ensemble_normals(z, seed, image, 0, "init")
    context = torch.zeros(1, 1, unet.config.cross_attention_dim,
                          dtype=dtype) if context is None else context.to(dtype)
    each = lambda network, batch: torch.cat([network(sample[None]) for sample in batch])
    optimiser_state = torch.nn.Parameter(z)
    adam = torch.optim.Adam([optimiser_state], lr=rate)
    scale, shift = vae.config.scaling_factor, getattr(vae.config, "shift_factor", None) or 0.0
    log = {"misfit": [], "prior_gradient": [], "neighbours": []}
    first_gradient = None
    for step, t in enumerate(times):
        a, s = math.sqrt(abar[t].item()), math.sqrt(1.0 - abar[t].item())
        z = optimiser_state.detach()
        eps = ensemble_normals(z, seed, image, step, "noising")
        z_t = a * z + s * eps
        with torch.no_grad():
            predicted = each(lambda sample: unet(sample, t, context).sample, z_t)
            if config.prediction_type == "v_prediction":
                predicted = a * predicted + s * z_t
            score, neighbours = interaction_score(interaction, z, z_t, eps, a, s, repulsion)
            prior_gradient = weight * (s / a) * s * (score + predicted / s) / z[0].numel()

        with torch.no_grad():
            x = each(lambda sample: vae.decode(sample / scale + shift).sample, z)
        noisy = x + decoder_std * ensemble_normals(x, seed, image, step, "decoder")
        noisy.requires_grad_()
        half_square = 0.5 * ((operator(noisy) - y.to(dtype)) ** 2).sum()
        (cotangent,) = torch.autograd.grad(half_square, noisy)
        cotangent = cotangent / observed
        if consistency > 0:
            with torch.no_grad():
                posterior = [vae.encode(sample[None]).latent_dist for sample in noisy]
                code = torch.cat([one.mean for one in posterior])
                if encode == "sample":
                    std = torch.cat([one.std for one in posterior])
                    code = code + std * ensemble_normals(code, seed, image, step, "encoder")
                again = each(lambda sample: vae.decode(sample).sample, code)
                cotangent = cotangent + consistency * (x - again) / x[0].numel()

        def pull_back(sample, sample_cotangent):
            leaf = sample[None].clone().requires_grad_()
            return torch.autograd.grad(vae.decode(leaf / scale + shift).sample, leaf,
                                       sample_cotangent[None])[0]

        data_gradient = torch.cat([pull_back(*pair) for pair in zip(z, cotangent)])
        optimiser_state.grad = data_gradient + prior_gradient
        if step == 0:
            first_gradient = optimiser_state.grad.clone()
        adam.step()
        log["misfit"].append(half_square.item() / observed / particles)
        log["prior_gradient"].append(prior_gradient.square().mean().sqrt().item())
        log["neighbours"].append(neighbours)
    z = optimiser_state.detach()
    with torch.no_grad():
        x = each(lambda sample: vae.decode(sample / scale + shift).sample, z)
    return {"y": y[0], "z": z, "mean": x.mean(0), "first_gradient": first_gradient,
            **{k: torch.tensor(v, dtype=torch.float64) for k, v in log.items()}}


GOLDEN_CASES = {
    "mixture": dict(),
    "gaussian": dict(interaction="gaussian"),
    "repulsion": dict(interaction="repulsion", repulsion=0.7),
    "none": dict(interaction="none"),
    "close_mixture": dict(interaction="mixture", grid=990, rate=0.01, steps=3, weight=50.0),
    "five_particles": dict(interaction="repulsion", particles=5, seed=2**63 + 11),
    "one_particle": dict(interaction="gaussian", particles=1),
    "sampled_code": dict(encode="sample"),
    "no_consistency": dict(consistency=0.0, decoder_std=0.0),
    "identity": dict(spec="identity"),
    "box": dict(spec="box:8,6,12,14"),
    "random": dict(spec="random:0.7", image=0xFEDCBA9876543210),
    "blur": dict(spec="blur:5,1.2"),
    "hdr": dict(spec="hdr"),
}


def golden(prior, out):
    truth = torch.from_numpy(np.tanh(normals(99, 1, 2, 3, "init", 3 * 32 * 32)).reshape(3, 32, 32))
    truth = nnf.avg_pool2d(truth[None], 3, stride=1, padding=1)[0].contiguous()
    tensors = {"truth": truth}
    for name, changes in GOLDEN_CASES.items():
        options = dict(dict(spec="mean:4", image=3, seed=7), **changes)
        result = solve(prior, options.pop("spec"), truth, **options)
        tensors.update({f"{name}.{key}": value.contiguous() for key,
                        value in result.items() if key not in ("mean", "first_gradient")})
        print(f"{name:16s} misfit {result['misfit'][0]:.4e} -> {result['misfit'][-1]:.4e}  neighbours {result['neighbours'][-1]:.3f}")
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out)
    print(out, out.stat().st_size, "bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("golden")
    make.add_argument("--prior", default=ROOT / "tests/data/prior/sd1")
    make.add_argument("--out", type=pathlib.Path, default=ROOT / "tests/data/flow/golden.safetensors")
    run = commands.add_parser("run")
    for name, kind, value in (("prior", str, None), ("operator", str, "identity"), ("truth", str, None),
                              ("sigma", float, 0.05), ("image", int, 0),
                              ("seed", int, 0), ("particles", int, 4), ("grid", int, 50), ("steps", int, 10),
                              ("interaction", str, "mixture"),
                              ("repulsion", float, 1.0), ("weight", float, 0.15), ("consistency", float, 0.1),
                              ("decoder-std", float, 0.01),
                              ("rate", float, 1.0), ("encode", str, "mean"), ("out", str, None)):
        run.add_argument(f"--{name}", type=kind, default=value, required=value is None)
    options = vars(parser.parse_args())
    if options.pop("command") == "golden":
        golden(options["prior"], options["out"])
        return
    truth = torch.from_numpy(np.load(options.pop("truth")))
    out = options.pop("out")
    result = solve(options.pop("prior"), options.pop("operator"), truth, **options)
    save_file({k: v.contiguous() for k, v in result.items()}, out)


if __name__ == "__main__":
    main()
