#!/usr/bin/env python3
"""Makes the test data of priors of few steps: tiny random directories, and what diffusers computes with them.

A development tool; neither dwgf nor its tests need it. Deterministic: the same versions write the same bytes.
Needs torch 2.13.0, diffusers 0.42.1, safetensors. To renew:

    tools/make_few_step_golden.py tests/data/prior

Written there, weights in float16, numbers in float64 but for inputs (float16), by float64 arithmetic:
  lcm/               as Stable Diffusion 1.x with LCMScheduler and a U-Net that is told its guidance
                     (time_cond_proj_dim); the schedulers of other samplers are tcd.json, euler.json and
                     ancestral.json beside it
  turbo/             without one, EulerDiscreteScheduler with trailing spacing
  lcm.safetensors    z [2, 4, 8, 8], context [1, 3, 8], negative [1, 3, 8]; unet.G.T: the raw output at guidance G and
                     time T; gradient: the pull-back of `cotangent` through unet.7.5.501; embedding.G (float32)
  few_steps.safetensors   start [1, 4, 8, 8] and noise [8, 1, 4, 8, 8]: what the samplers draw.
                     SAMPLER.PREDICTION.K: latents after K steps; lcm and tcd of lcm/ at a guidance of 7.5, euler and ancestral of turbo/,
                     euler.guided.K at a guidance of 3 against `negative`; flow.K and flow.guided.K by flow matching with
                     a shift of 3, the U-Net of turbo/ giving the velocity;
                     times.SAMPLER.K and levels.SAMPLER.K [K, 2]: times, and signal and noise at them
  turbo.safetensors  z, context, cotangent as above; unet.T: the raw output of turbo/; gradient: the pull-back of
                     `cotangent` through unet.999, where such a model is called first
  lcm_sdxl/          as Stable Diffusion XL, told its guidance, with LCMScheduler
  lcm_sdxl.safetensors    z [2, 4, 8, 8], context [1, 3, 12], pooled [1, 6], sizes [1, 6], cotangent [2, 4, 8, 8];
                     unet.G.T at the sizes of the image; sizes.G.T with `sizes`; gradient as in lcm.safetensors
  taesd/, taesd3/    an AutoencoderTiny each: of 4 latent channels as a folder of its own, of 16 in vae/
  taesd.safetensors, taesd3.safetensors   z [2, c, 4, 4], x [1, 3, 16, 16], code, decoded, cotangent, gradient
"""
import argparse
import json
from pathlib import Path

import numpy as np
import torch
from diffusers import (AutoencoderKL, AutoencoderTiny, EulerAncestralDiscreteScheduler,
                       EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler, LCMScheduler, TCDScheduler,
                       UNet2DConditionModel)
from diffusers.schedulers import (scheduling_euler_ancestral_discrete, scheduling_euler_discrete,
                                  scheduling_flow_match_euler_discrete, scheduling_lcm, scheduling_tcd)
from safetensors.torch import save_file

from make_prior_golden import randomise

STEPS = (1, 2, 4, 8, 50)
BETAS = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")


class Double:
    """torch or numpy as a scheduler sees it, with float64 where it says float32: its own code then computes in it."""

    def __init__(self, library):
        self.library, self.float32 = library, library.float64

    def __getattr__(self, name):
        return getattr(self.library, name)


class Noise:
    """Stands for randn_tensor: hands out given noise, a step after another."""

    def __init__(self, noise):
        self.rest = list(noise)

    def __call__(self, shape, **_):
        return self.rest.pop(0)


def schedulers(prediction):
    return {"lcm": LCMScheduler(prediction_type=prediction, **BETAS),
            "tcd": TCDScheduler(prediction_type=prediction, **BETAS),
            "euler": EulerDiscreteScheduler(prediction_type=prediction, timestep_spacing="trailing", **BETAS),
            "ancestral": EulerAncestralDiscreteScheduler(prediction_type=prediction, timestep_spacing="trailing", **BETAS)}


EULER = scheduling_euler_discrete, scheduling_euler_ancestral_discrete


def prepared(name, steps, prediction="epsilon"):
    for module in EULER:
        module.torch, module.np = torch, np
    scheduler = schedulers(prediction)[name]
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()  # the rounding to float32 is part of the definition
    for module in EULER:
        module.torch, module.np = Double(torch), Double(np)
    scheduler.set_timesteps(steps)
    return scheduler


def sampled(name, steps, prediction, noise_of, start, noise):
    """The loop of the pipelines around a scheduler."""
    scheduler = prepared(name, steps, prediction)
    fresh = Noise(noise)
    for module in (scheduling_lcm, scheduling_tcd, scheduling_euler_ancestral_discrete):
        module.randn_tensor = fresh
    z = start * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        output = noise_of(scheduler.scale_model_input(z, t), t)
        # Of a number, and not of a tensor, the boundary condition is formed in float64.
        z = scheduler.step(output, int(t) if name == "lcm" else t, z, return_dict=False)[0]
    return z


def flowed(steps, velocity_of, start):
    """The loop of the pipelines of flow matching; levels keep their rounding to float32."""
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(steps)
    scheduler.sigmas = scheduler.sigmas.double()
    scheduling_flow_match_euler_discrete.torch = Double(torch)
    z = start
    for t in scheduler.timesteps:
        z = scheduler.step(velocity_of(z, t), t, z, return_dict=False)[0]
    scheduling_flow_match_euler_discrete.torch = torch
    return z


def guidance_embedding(w, width):
    """Of the pipelines of latent consistency models."""
    phase = torch.exp(torch.arange(width // 2) * -(torch.log(torch.tensor(10000.0)) / (width // 2 - 1)))
    phase = (torch.tensor([w - 1]) * 1000.0)[:, None] * phase[None]
    return torch.cat([phase.sin(), phase.cos()], 1)


def write_directory(folder, generator, told):
    unet = UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, layers_per_block=1, block_out_channels=(8, 16),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=8, norm_num_groups=4, attention_head_dim=2, time_cond_proj_dim=10 if told else None)
    vae = AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=4, layers_per_block=1, sample_size=32, block_out_channels=(4, 4, 8),
        norm_num_groups=4, down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        scaling_factor=0.18215)
    randomise(unet, generator).save_pretrained(folder / "unet")
    randomise(vae, generator).save_pretrained(folder / "vae")
    kinds = schedulers("epsilon")
    kinds["lcm" if told else "euler"].save_pretrained(folder / "scheduler")
    if told:
        for name in ("tcd", "euler", "ancestral"):
            config = {"_class_name": type(kinds[name]).__name__, **kinds[name].config}
            (folder / f"{name}.json").write_text(json.dumps({k: v for k, v in sorted(config.items()) if k != "_use_default_values"}, indent=2) + "\n")
    return unet.double().eval().requires_grad_(False)


def write_few_steps(out, seed):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(shape, generator=generator).half()
    lcm, turbo = (write_directory(out / name, generator, name == "lcm") for name in ("lcm", "turbo"))
    golden = {"z": draw(2, 4, 8, 8), "context": draw(1, 3, 8), "negative": draw(1, 3, 8), "cotangent": draw(2, 4, 8, 8)}
    z, context, negative, cotangent = (golden[name].double() for name in ("z", "context", "negative", "cotangent"))

    def told(g):
        cond = guidance_embedding(g, 10).double()
        return lambda latents, t: lcm(latents, t, context.expand(len(latents), -1, -1), timestep_cond=cond).sample

    for g in (1.0, 7.5):
        golden[f"embedding.{g}"] = guidance_embedding(g, 10)
        for t in (999, 501, 1):
            golden[f"unet.{g}.{t}"] = told(g)(z, t)
    leaf = z.clone().requires_grad_()
    (golden["gradient"],) = torch.autograd.grad(told(7.5)(leaf, 501), leaf, cotangent)
    save_file({name: tensor.contiguous() for name, tensor in golden.items()}, out / "lcm.safetensors")

    few = {"start": draw(1, 4, 8, 8), "noise": draw(8, 1, 4, 8, 8)}
    start, noise = few["start"].double(), few["noise"].double()
    plain = lambda tokens: lambda latents, t: turbo(latents, t, tokens).sample
    guided = lambda latents, t: plain(negative)(latents, t) + 3 * (plain(context)(latents, t) - plain(negative)(latents, t))
    for prediction in ("epsilon", "sample", "v_prediction"):
        for steps in (1, 2, 4, 8):
            for name, network in (("lcm", told(7.5)), ("tcd", told(7.5)), ("euler", plain(context))):
                few[f"{name}.{prediction}.{steps}"] = sampled(name, steps, prediction, network, start, noise)
    for steps in (1, 4):
        few[f"ancestral.epsilon.{steps}"] = sampled("ancestral", steps, "epsilon", plain(context), start, noise)
    for steps in (1, 4):
        few[f"euler.guided.{steps}"] = sampled("euler", steps, "epsilon", guided, start, noise)
        few[f"flow.guided.{steps}"] = flowed(steps, guided, start)
    for steps in (1, 2, 4, 8):
        few[f"flow.{steps}"] = flowed(steps, plain(context), start)
    for name in ("lcm", "tcd", "euler"):
        for steps in STEPS:
            scheduler = prepared(name, steps)
            times = scheduler.timesteps.long()
            kept = scheduler.alphas_cumprod[times]
            if name == "euler":
                torch.testing.assert_close(scheduler.sigmas[:-1], ((1 - kept) / kept).sqrt(), rtol=1e-14, atol=0)
            few[f"times.{name}.{steps}"] = times.int().float()
            few[f"levels.{name}.{steps}"] = torch.stack([kept.sqrt(), (1 - kept).sqrt()], 1)
    save_file({name: tensor.contiguous() for name, tensor in few.items()}, out / "few_steps.safetensors")


def write_turbo(out, seed):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(shape, generator=generator).half()
    unet = UNet2DConditionModel.from_pretrained(out / "turbo" / "unet").double().eval().requires_grad_(False)
    golden = {"z": draw(2, 4, 8, 8), "context": draw(1, 3, 8), "cotangent": draw(2, 4, 8, 8)}
    z, context, cotangent = (tensor.double() for tensor in golden.values())
    run = lambda latents, t: unet(latents, t, context.expand(len(latents), -1, -1)).sample
    for t in (999, 749, 499, 249):
        golden[f"unet.{t}"] = run(z, t)
    leaf = z.clone().requires_grad_()
    (golden["gradient"],) = torch.autograd.grad(run(leaf, 999), leaf, cotangent)
    save_file({name: tensor.contiguous() for name, tensor in golden.items()}, out / "turbo.safetensors")


def make_lcm_sdxl(folder, generator):
    unet = UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, layers_per_block=1, block_out_channels=(8, 8),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2), attention_head_dim=(1, 2), cross_attention_dim=12, norm_num_groups=4,
        use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=6 + 6 * 4, time_cond_proj_dim=10)
    vae = AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=4, layers_per_block=1, sample_size=32, block_out_channels=(4, 4, 4),
        norm_num_groups=4, down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        scaling_factor=0.13025, force_upcast=True)
    randomise(unet, generator).save_pretrained(folder / "unet")
    randomise(vae, generator).save_pretrained(folder / "vae")
    schedulers("epsilon")["lcm"].save_pretrained(folder / "scheduler")
    return unet.double().eval().requires_grad_(False)


def write_lcm_sdxl(out, seed):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(shape, generator=generator).half()
    unet = make_lcm_sdxl(out / "lcm_sdxl", generator)
    golden = {"z": draw(2, 4, 8, 8), "context": draw(1, 3, 12), "pooled": draw(1, 6), "cotangent": draw(2, 4, 8, 8),
              "sizes": torch.tensor([[640, 480, 16, 8, 512, 448]]).half()}
    given = {name: tensor.double() for name, tensor in golden.items()}

    def run(z, time, guidance, sizes):
        rows = lambda tensor: tensor.expand(len(z), *tensor.shape[1:])
        return unet(z, time, rows(given["context"]), timestep_cond=guidance_embedding(guidance, 10).double(),
                    added_cond_kwargs={"text_embeds": rows(given["pooled"]), "time_ids": rows(sizes)}).sample

    square = torch.tensor([[32, 32, 0, 0, 32, 32]]).double()
    for guidance in (1.0, 8.0):
        for time in (999, 499):
            golden[f"unet.{guidance}.{time}"] = run(given["z"], time, guidance, square)
    golden["sizes.8.0.499"] = run(given["z"], 499, 8.0, given["sizes"])
    leaf = given["z"].clone().requires_grad_()
    (golden["gradient"],) = torch.autograd.grad(run(leaf, 499, 8.0, square), leaf, given["cotangent"])
    save_file({name: tensor.contiguous() for name, tensor in golden.items()}, out / "lcm_sdxl.safetensors")


def write_tiny(out, name, channels, seed):
    generator = torch.Generator().manual_seed(seed)
    vae = randomise(AutoencoderTiny(
        latent_channels=channels, encoder_block_out_channels=(8,) * 3, decoder_block_out_channels=(8,) * 3,
        num_encoder_blocks=(1, 2, 1), num_decoder_blocks=(2, 1, 1)), generator)
    vae.save_pretrained(out / name if channels == 4 else out / name / "vae")
    vae.double().eval().requires_grad_(False)
    draw = lambda *shape: torch.randn(shape, generator=generator).half()
    golden = {"z": 2 * draw(2, channels, 4, 4), "x": (0.5 * draw(1, 3, 16, 16)).clamp(-1, 1), "cotangent": draw(2, 3, 16, 16)}
    leaf = golden["z"].double().requires_grad_()
    decoded = vae.decode(leaf / vae.config.scaling_factor + vae.config.shift_factor).sample
    golden["decoded"] = decoded.detach()
    (golden["gradient"],) = torch.autograd.grad(decoded, leaf, golden["cotangent"].double())
    code = vae.encode(golden["x"].double()).latents
    golden["code"] = (code - vae.config.shift_factor) * vae.config.scaling_factor
    save_file({key: tensor.contiguous() for key, tensor in golden.items()}, out / f"{name}.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the folder to write to")
    out = parser.parse_args().out
    torch.set_num_threads(1)
    write_few_steps(out, 21)
    write_tiny(out, "taesd", 4, 22)
    write_tiny(out, "taesd3", 16, 23)
    write_turbo(out, 24)
    write_lcm_sdxl(out, 25)


if __name__ == "__main__":
    main()
