#!/usr/bin/env python3
"""The methods that the flow is compared with (flow.method = rlsd, psld, latent-dps) in plain PyTorch and
diffusers, as an independent check of the C++ program: losses as they stand in
src/flow/methods/{rlsd,psld,latent_dps}.hpp, all gradients by autograd.

    python tools/baselines_reference.py           # writes tests/data/flow/baselines.safetensors

Ten float64 steps (or fewer) on the tiny prior in tests/data/prior; tests/flow/baselines_test.cpp compares the
program's latents, images and records with them. Needs what tools/flow_reference.py needs, whose addressed
random numbers and operators are used.
"""
import argparse
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as nnf
from safetensors.torch import save_file

from flow_reference import ROOT, Operator, ensemble_normals, normals


class Networks:
    """The prior, one particle at a time."""

    def __init__(self, path):
        from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel

        self.unet = UNet2DConditionModel.from_pretrained(path, subfolder="unet",
                                                         torch_dtype=torch.float64).requires_grad_(False).eval()
        self.vae = AutoencoderKL.from_pretrained(path, subfolder="vae",
                                                 torch_dtype=torch.float64).requires_grad_(False).eval()
        self.scheduler = DDIMScheduler.from_pretrained(path, subfolder="scheduler")
        self.context = torch.zeros(1, 1, self.unet.config.cross_attention_dim, dtype=torch.float64)
        self.scale, self.shift = self.vae.config.scaling_factor, getattr(self.vae.config, "shift_factor",
            None) or 0.0

    def noise(self, z_t, t, a, s):
        out = self.unet(z_t[None], t, self.context).sample[0]
        return a * out + s * z_t if self.scheduler.config.prediction_type == "v_prediction" else out

    def decode(self, z):
        return self.vae.decode(z[None] / self.scale + self.shift).sample[0]

    def encode(self, x):
        return (self.vae.encode(x[None]).latent_dist.mean[0] - self.shift) * self.scale


def gradient(loss, leaf):
    return torch.autograd.grad(loss, leaf)[0].detach()


def adjoint(operator, x, r):
    """A^T r for a linear operator, whatever x."""
    leaf = torch.zeros_like(x, requires_grad=True)
    return torch.autograd.grad((operator(leaf[None])[0] * r).sum(), leaf, create_graph=False)[0]


def squared_norm(operator, shape):
    v = torch.from_numpy(normals(0, 0, 0, 0, "init", math.prod(shape))).double().reshape(shape)
    for _ in range(50):
        v = v / v.norm()
        v = adjoint(operator, v, operator(v[None])[0])
    return v.norm().item()


def guided(networks, operator, y, z, levels, times, *, method, guidance, gluing, eta, seed, image):
    misses, guides, unguided_steps = [], [], []
    inverse_scale = 1.0 / squared_norm(operator,
                                       tuple(networks.decode(z[0]).shape)) if method == "psld" else None
    observed = y.numel() if operator.mask is None else int(operator.mask.sum())
    for step, t in enumerate(times):
        (a, s), (a_next, s_next) = levels[step], levels[step + 1]
        sigma = eta * s_next / s * math.sqrt(1.0 - (a / a_next) ** 2)
        fresh = ensemble_normals(z, seed, image, step, "noising")
        moved, missed, guide, bare = [], [], [], []
        for i in range(z.shape[0]):
            z_t = z[i].clone().requires_grad_()
            eps = networks.noise(z_t, t, a, s)
            z0 = (z_t - s * eps) / a
            x = networks.decode(z0)
            residual = operator(x[None])[0] - y
            loss = guidance * residual.norm()
            if method == "psld":
                inverted = inverse_scale * LinearAdjoint.apply(residual, operator, x.detach())
                loss = loss + gluing * (z0 - networks.encode(x - inverted)).norm()
            g = gradient(loss, z_t)
            z0, eps = z0.detach(), eps.detach()
            step_to = a_next * z0 + math.sqrt(max(0.0, s_next**2 - sigma**2)) * eps + sigma * fresh[i]
            moved.append(step_to - g)
            missed.append(residual.detach().square().sum().item() / (2 * observed))
            guide.append(g)
            bare.append(step_to - z[i])
        z = torch.stack(moved).detach()
        misses.append(np.mean(missed))
        guides.append(torch.stack(guide).square().mean().sqrt().item())
        unguided_steps.append(torch.stack(bare).square().mean().sqrt().item())
    return {"z": z, "misfit": misses, "data_gradient": guides, "prior_gradient": unguided_steps}


class LinearAdjoint(torch.autograd.Function):
    """r -> A^T r, with A as its own pull-back."""

    @staticmethod
    def forward(context, r, operator, x):
        context.operator = operator
        with torch.enable_grad():
            return adjoint(operator, x, r.detach())

    @staticmethod
    def backward(context, cotangent):
        return context.operator(cotangent[None])[0], None, None


def repulsion_direction(z):
    """grad_i log sum_j exp(-|z^i - z^j|^2 log N / median), by autograd for one i at a time."""
    count = z.shape[0]
    rows = z.reshape(count, -1)
    squared = torch.stack([((row - rows) ** 2).sum(1) for row in rows])
    between = torch.quantile(squared[~torch.eye(count, dtype=torch.bool)], 0.5)
    out = []
    for i in range(count):
        own = rows[i].clone().requires_grad_()
        out.append(gradient(torch.logsumexp(-((own - rows) ** 2).sum(1) * math.log(count) / between, 0), own))
    return torch.stack(out).reshape(z.shape)


def rlsd(networks, operator, y, z, levels, times, *, weight, coupling, gamma, rate, image_rate, seed, image):
    x = torch.stack([networks.decode(one) for one in z]).detach()
    x = torch.nn.Parameter(ensemble_normals(x, seed, image, 0, "decoder"))
    latents = torch.nn.Parameter(z.clone())
    adam_z = torch.optim.Adam([latents], lr=rate, betas=(0.9, 0.99))
    adam_x = torch.optim.Adam([x], lr=image_rate, betas=(0.9, 0.99))
    observed = y.numel() if operator.mask is None else int(operator.mask.sum())
    log = {"misfit": [], "data_gradient": [], "prior_gradient": []}
    for step, t in enumerate(times):
        a, s = levels[step]
        z = latents.detach()
        eps = ensemble_normals(z, seed, image, step, "noising")
        push = repulsion_direction(z) if gamma > 0 and z.shape[0] > 1 else torch.zeros_like(z)
        with torch.no_grad():
            residual = torch.stack([networks.noise(a * one + s * e, t, a, s) for one,
                                    e in zip(z, eps)]) - eps + gamma * s * push
        prior = weight / coupling * s / a * residual / z[0].numel()

        def pull(one, image_of):
            leaf = one.clone().requires_grad_()
            return gradient((networks.decode(leaf) - image_of).square().mean() / 2, leaf)

        data = torch.stack([pull(*pair) for pair in zip(z, x.detach())])
        latents.grad = data + prior
        adam_z.step()
        with torch.no_grad():
            decoded = torch.stack([networks.decode(one) for one in latents])
        missed = operator(x) - y
        adam_x.zero_grad()
        (missed.square().sum() / (2 * observed)
         + coupling * (x - decoded).square().sum() / (2 * x[0].numel())).backward()
        adam_x.step()
        log["misfit"].append(missed.detach().square().sum().item() / (2 * observed) / z.shape[0])
        log["data_gradient"].append(data.square().mean().sqrt().item())
        log["prior_gradient"].append(prior.square().mean().sqrt().item())
    return {"z": latents.detach(), "x": x.detach(), **log}


GUIDED = dict(guidance=1.0, gluing=0.1, eta=0.0)
DISTILLED = dict(weight=0.1, coupling=0.2, gamma=50.0, rate=0.2, image_rate=0.2)
CASES = {
    "psld": dict(method="psld", **GUIDED),
    "psld_box": dict(method="psld", spec="box:8,6,12,14", **GUIDED),
    "psld_blur_with_noise": dict(method="psld", spec="blur:5,1.2", **{**GUIDED, "gluing": 0.7, "eta": 0.4}),
    "latent_dps": dict(method="latent-dps", **{**GUIDED, "guidance": 0.3, "eta": 1.0}),
    "latent_dps_hdr": dict(method="latent-dps", spec="hdr", **{**GUIDED, "guidance": 0.3}),
    "latent_dps_random": dict(method="latent-dps", spec="random:0.7", image=0xFEDCBA9876543210, steps=49,
                              particles=1,
                              **{**GUIDED, "guidance": 0.5, "eta": 1.0}),
    "rlsd": dict(method="rlsd", **DISTILLED),
    "rlsd_box": dict(method="rlsd", spec="box:8,6,12,14", particles=5, **DISTILLED),
    "rlsd_hdr_alone": dict(method="rlsd", spec="hdr", **{**DISTILLED, "gamma": 0.0}),
}


def solve(networks, truth, *, method, spec="mean:4", image=3, seed=7, particles=2, grid=50, steps=10,
          sigma=0.05, **numbers):
    operator = Operator(spec, tuple(truth.shape), seed, image)
    clean = operator(truth.double()[None])
    noise = torch.from_numpy(normals(seed, image, 0, 0, "measurement",
                                     clean.numel())).double().reshape(clean.shape)
    if operator.mask is not None:
        noise = noise * operator.mask
    y = (clean + sigma * noise).float()[0].double()
    networks.scheduler.set_timesteps(grid)
    times = networks.scheduler.timesteps.tolist()[:-1][:steps]
    abar = networks.scheduler.alphas_cumprod.double()
    levels = [(math.sqrt(abar[t].item()), math.sqrt(1.0 - abar[t].item())) for t in times] + [(1.0, 0.0)]
    factor = 2 ** (len(networks.vae.config.block_out_channels) - 1)
    z = torch.empty(particles, networks.unet.config.in_channels, truth.shape[1] // factor,
                    truth.shape[2] // factor, dtype=torch.float64)
    z = ensemble_normals(z, seed, image, 0, "init")
    if method == "rlsd":
        return rlsd(networks, operator, y, z, levels, times, seed=seed, image=image, **numbers)
    return guided(networks, operator, y, z, levels, times, method=method, seed=seed, image=image, **numbers)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prior", default=ROOT / "tests/data/prior/sd1")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "tests/data/flow/baselines.safetensors")
    options = parser.parse_args()
    torch.set_num_threads(1)
    networks = Networks(options.prior)
    truth = torch.from_numpy(np.tanh(normals(99, 1, 2, 3, "init", 3 * 32 * 32)).reshape(3, 32, 32))
    truth = nnf.avg_pool2d(truth[None], 3, stride=1, padding=1)[0].contiguous()
    tensors = {"truth": truth}
    for name, case in CASES.items():
        result = solve(networks, truth, **case)
        if "x" in result:
            result["x"] = result["x"][:, :, ::4, ::4]  # a sixteenth of it is enough, and small
        tensors.update({f"{name}.{key}": torch.as_tensor(value, dtype=torch.float64).contiguous() for key,
                        value in result.items()})
        print(f"{name:22s} misfit {result['misfit'][0]:.4e} -> {result['misfit'][-1]:.4e}", flush=True)
    save_file(tensors, options.out)
    print(options.out, options.out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
