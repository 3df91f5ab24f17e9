#!/usr/bin/env python3
"""Makes the test data of the prior layer: tiny random Stable Diffusion directories, and what diffusers computes with them.

A development tool; neither dwgf nor its tests need it. Deterministic: the same versions write the same bytes.
Needs torch 2.13.0, diffusers 0.42.1, safetensors, h5py. To renew everything under tests/data/prior:

    tools/make_prior_golden.py tests/data/prior

Written there:
  sd1/, sd2/         a diffusers directory each, weights in float16. sd1: two heads a level, 1x1 convolutions around attention,
                     eps-prediction, one file each. sd2: heads of its own for each level, linear projections, v-prediction, the
                     U-Net in shards with an index, the autoencoder's attention under the names of published files (query, key,
                     value, proj_attn), and a scheduler of another class.
  sd1.safetensors,   inputs and outputs, in float64 but for inputs (float16), by the network's float64 arithmetic:
  sd2.safetensors      z [2, 4, 8, 8]; context [1, 3, d]; unet.T: the U-Net's raw output at time T; unet.zero: at time 501 with
                       one zero token; z_odd, unet.odd: at time 501 for latents whose sizes are not all multiples of 4;
                       x [1, 3, 32, 32]; mean, std: of the encoder, on the U-Net's scale; decoded: D(z[0]);
                       cotangent [1, 3, 32, 32] and gradient: its pull-back through the decoder at z[0];
                       embedding.T: the sinusoidal embedding of T (float32)
  sdxl/              SDXL's layout in small: text_time conditioning, several transformer layers a level, an autoencoder with
                     force_upcast, and model_index.json
  sdxl.safetensors   as above but for unet.zero, unet.odd; pooled [1, 10]; negative [1, 3, d], negative_pooled [1, 10];
                     unet.T with the sizes of the image; unet.sizes: at time 501 with other ones, `sizes` [1, 6];
                     guided: at time 501 with guidance 5 and the negatives; noise_cotangent [2, 4, 8, 8] with its pull-backs
                     unet.gradient and guided.gradient through both at time 501
  ddpm/              a UNet2DModel in the directory itself as the first DDPM models are published (one head, zeros below and to the
                     right, frequency shift 1, old names), its scheduler beside it
  ddpm2/             another in unet/ with heads of 4 channels, symmetric padding, a learned variance and v-prediction
  ddpm.safetensors, ddpm2.safetensors   z [2, C, 16, 12], unet.T as above
  photo/             the network of builtin:photo in small, tools/photo_unet.py
  photo.safetensors  z [2, 3, 16, 12]; v.T: the U-Net's raw output at time T
  mixture.h5         a mixture of two Gaussians of latents [1, 2, 3] with full covariances and a linear decoder to images [3, 4, 4], as
                     a user writes it with h5py
  schedules.safetensors  NAME: alphas_cumprod (float32) of a few schedulers; NAME.times.K: the grid of K times
"""
import argparse
import json
from pathlib import Path

import h5py
import numpy as np
import torch
from diffusers import (AutoencoderKL, DDIMScheduler, DDPMScheduler, EulerDiscreteScheduler, PNDMScheduler,
                       UNet2DConditionModel, UNet2DModel)
from safetensors.torch import load_file, save_file

from photo_unet import PhotoUNet

TIMES = (999, 501, 1)
OLD_NAMES = (("to_q.", "query."), ("to_k.", "key."), ("to_v.", "value."), ("to_out.0.", "proj_attn."))


def randomise(model, generator):
    """Every parameter different, so that no mix-up goes unseen, of the size that signals need; in half precision."""
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.dim() > 1:
            value = noise / parameter[0].numel() ** 0.5
        elif name.endswith("weight"):
            value = 1 + 0.2 * noise
        else:
            value = 0.1 * noise
        parameter.data = value
    return model.half()


def make_sdxl(generator):
    unet = UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, layers_per_block=1, block_out_channels=(8, 8, 16),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 1, 2), attention_head_dim=(1, 2, 4), cross_attention_dim=20,
        norm_num_groups=4, use_linear_projection=True, addition_embed_type="text_time",
        addition_time_embed_dim=8, projection_class_embeddings_input_dim=10 + 6 * 8)
    vae = AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=4, layers_per_block=1, sample_size=32,
        block_out_channels=(4, 8, 8), norm_num_groups=4, down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3, scaling_factor=0.13025, force_upcast=True)
    scheduler = EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                                       steps_offset=1, timestep_spacing="leading")
    return randomise(unet, generator), randomise(vae, generator), scheduler


def make_models(like, generator):
    if like == "sdxl":
        return make_sdxl(generator)
    two = like == "sd2"
    levels = 3 if two else 2
    unet = UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, layers_per_block=1,
                                block_out_channels=(8, 8, 16) if two else (8, 16),
        down_block_types=("CrossAttnDownBlock2D",) * (levels - 1) + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * (levels - 1),
        cross_attention_dim=12 if two else 8, norm_num_groups=4, attention_head_dim=(1, 2, 4) if two else 2,
        use_linear_projection=two)
    vae = AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=4, layers_per_block=1, sample_size=32,
                        block_out_channels=(4, 8, 8),
        norm_num_groups=4, down_block_types=("DownEncoderBlock2D",) * 3,
                        up_block_types=("UpDecoderBlock2D",) * 3,
        scaling_factor=0.18215)
    if two:  # the classes differ, the noise does not
        scheduler = PNDMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                                  skip_prk_steps=True,
                                  steps_offset=1, prediction_type="v_prediction")
    else:
        scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                                  clip_sample=False,
                                  set_alpha_to_one=False, steps_offset=1)
    return randomise(unet, generator), randomise(vae, generator), scheduler


def rename_as_published(folder):
    for file in folder.glob("*.safetensors"):
        renamed = {}
        for name, tensor in load_file(file).items():
            for new, old in OLD_NAMES:
                if ".attentions." in name:
                    name = name.replace(new, old)
            renamed[name] = tensor
        save_file(renamed, file, {"format": "pt"})


def write_prior(like, folder, generator):
    unet, vae, scheduler = make_models(like, generator)
    unet.save_pretrained(folder / "unet", max_shard_size="50KB" if like == "sd2" else "10GB")
    vae.save_pretrained(folder / "vae")
    if like == "sd2":
        rename_as_published(folder / "vae")
    scheduler.save_pretrained(folder / "scheduler")
    if like == "sdxl":
        (folder / "model_index.json").write_text(json.dumps(
            {"_class_name": "StableDiffusionXLPipeline", "force_zeros_for_empty_prompt": True}) + "\n")
    return unet.double().eval().requires_grad_(False), vae.double().eval().requires_grad_(False)


def codec_golden(vae, z, x, cotangent):
    scale = vae.config.scaling_factor
    posterior = vae.encode(x).latent_dist
    leaf = z[:1].clone().requires_grad_()
    decoded = vae.decode(leaf / scale).sample
    (gradient,) = torch.autograd.grad(decoded, leaf, cotangent)
    return {"mean": posterior.mean * scale, "std": posterior.std * scale, "decoded": decoded.detach(),
            "gradient": gradient}


def write_sdxl_golden(out, seed):
    generator = torch.Generator().manual_seed(seed)
    unet, vae = write_prior("sdxl", out / "sdxl", generator)
    draw = lambda *shape: torch.randn(shape, generator=generator).half()
    inputs = {"z": draw(2, 4, 8, 8), "context": draw(1, 3, 20), "pooled": draw(1, 10),
              "negative": draw(1, 3, 20), "negative_pooled": draw(1, 10), "x": (0.5 * draw(1, 3, 32, 32)).clamp(-1, 1),
              "cotangent": draw(1, 3, 32, 32), "noise_cotangent": draw(2, 4, 8, 8),
              "sizes": torch.tensor([[640, 480, 16, 8, 512, 448]]).half()}
    given = {name: tensor.double() for name, tensor in inputs.items()}
    square = torch.tensor([[32, 32, 0, 0, 32, 32]]).double()

    def run(z, time, prefix="", sizes=square):
        rows = lambda tensor: tensor.expand(len(z), *tensor.shape[1:])
        tokens, pooled = given[prefix or "context"], given[prefix + "_pooled" if prefix else "pooled"]
        return unet(z, time, rows(tokens), added_cond_kwargs={
            "text_embeds": rows(pooled), "time_ids": rows(sizes)}).sample

    golden = dict(inputs)
    for time in TIMES:
        golden[f"unet.{time}"] = run(given["z"], time)
    golden["unet.sizes"] = run(given["z"], 501, sizes=given["sizes"])
    leaf = given["z"].clone().requires_grad_()
    plain = run(leaf, 501)
    negative = run(leaf, 501, "negative")
    guided = negative + 5.0 * (plain - negative)
    golden["guided"] = guided.detach()
    for name, value in (("unet.gradient", plain), ("guided.gradient", guided)):
        (golden[name],) = torch.autograd.grad(value, leaf, given["noise_cotangent"], retain_graph=True)
    golden |= codec_golden(vae, given["z"], given["x"], given["cotangent"])
    save_file({name: tensor.contiguous() for name, tensor in golden.items()}, out / "sdxl.safetensors")


def write_golden(like, out, seed):
    generator = torch.Generator().manual_seed(seed)
    unet, vae = write_prior(like, out / like, generator)
    draw = lambda *shape: torch.randn(shape, generator=generator).half()
    width = unet.config.cross_attention_dim
    inputs = {"z": draw(2, 4, 8, 8), "z_odd": draw(1, 4, 7, 10), "context": draw(1, 3, width),
              "x": (0.5 * draw(1, 3, 32, 32)).clamp(-1, 1), "cotangent": draw(1, 3, 32, 32)}
    z, z_odd, context, x, cotangent = (tensor.double() for tensor in inputs.values())
    run = lambda latents, time, tokens: unet(latents, time, tokens.expand(len(latents), -1, -1)).sample

    golden = dict(inputs)
    for time in TIMES:
        golden[f"unet.{time}"] = run(z, time, context)
        golden[f"embedding.{time}"] = unet.time_proj(torch.tensor([time]))
    golden["unet.zero"] = run(z, 501, torch.zeros(1, 1, width, dtype=torch.float64))
    golden["unet.odd"] = run(z_odd, 501, context)
    golden |= codec_golden(vae, z, x, cotangent)
    save_file({name: tensor.contiguous() for name, tensor in golden.items()}, out / f"{like}.safetensors")


def write_pixel_golden(like, out, seed):
    generator = torch.Generator().manual_seed(seed)
    first = like == "ddpm"
    common = dict(sample_size=16, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4)
    if first:
        unet = UNet2DModel(in_channels=1, out_channels=1, down_block_types=("DownBlock2D", "AttnDownBlock2D"),
                           up_block_types=("AttnUpBlock2D", "UpBlock2D"), attention_head_dim=None,
                           downsample_padding=0,
                           freq_shift=1, flip_sin_to_cos=False, norm_eps=1e-6, **common)
        scheduler = DDPMScheduler()
    else:
        unet = UNet2DModel(in_channels=3, out_channels=6, down_block_types=("AttnDownBlock2D", "DownBlock2D"),
                           up_block_types=("UpBlock2D", "AttnUpBlock2D"), attention_head_dim=4, **common)
        scheduler = DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction")
    randomise(unet, generator)
    unet.save_pretrained(out / like if first else out / like / "unet")
    scheduler.save_pretrained(out / like if first else out / like / "scheduler")
    if first:
        rename_as_published(out / like)
    unet.double().eval().requires_grad_(False)
    z = torch.randn(2, unet.config.in_channels, 16, 12, generator=generator).half()
    golden = {"z": z}
    for time in TIMES:
        golden[f"unet.{time}"] = unet(z.double(), time).sample[:, :z.shape[1]]
    save_file({name: tensor.contiguous() for name, tensor in golden.items()}, out / f"{like}.safetensors")


def write_photo_golden(out, seed):
    generator = torch.Generator().manual_seed(seed)
    unet = randomise(PhotoUNet(channels=(6, 10), blocks=(1, 2), embedding=12, frequencies=3), generator)
    (out / "photo" / "unet").mkdir(parents=True, exist_ok=True)
    save_file(unet.state_dict(), out / "photo" / "unet" / "diffusion_pytorch_model.safetensors")
    (out / "photo" / "unet" / "config.json").write_text(json.dumps(unet.settings, indent=2) + "\n")
    scheduler = DDPMScheduler(prediction_type="v_prediction")
    scheduler.save_pretrained(out / "photo" / "scheduler")
    unet.double().eval().requires_grad_(False)
    z = torch.randn(2, 3, 16, 12, generator=generator).half()
    golden = {"z": z}
    for time in TIMES:
        a = scheduler.alphas_cumprod[time].double()
        golden[f"v.{time}"] = unet(z.double(), 0.5 * ((1 - a) / a).log().expand(2))
    save_file({name: tensor.contiguous() for name, tensor in golden.items()}, out / "photo.safetensors")


def write_mixture(out, seed):
    random = np.random.default_rng(seed)
    factors = random.normal(size=(2, 6, 6))
    with h5py.File(out / "mixture.h5", "w", track_order=False) as file:
        file["weights"] = [0.3, 0.7]
        file["means"] = random.normal(size=(2, 1, 2, 3))
        file["covariances"] = factors @ factors.transpose(0, 2, 1) / 6 + 0.1 * np.eye(6)
        file["decoder"] = random.normal(size=(48, 6)) / 6
        file["offset"] = 0.1 * random.normal(size=(3, 4, 4))
        file.attrs["beta_schedule"] = "scaled_linear"


def write_schedules(out):
    common = dict(num_train_timesteps=1000, clip_sample=False, set_alpha_to_one=False)
    schedulers = {
        "scaled_linear": DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                                       steps_offset=1, **common),
        "linear": DDIMScheduler(**common),
        "squared_cosine": DDIMScheduler(beta_schedule="squaredcos_cap_v2", **common),
        "trained": DDIMScheduler(**{**common, "num_train_timesteps": 5},
                                 trained_betas=[0.1, 0.2, 0.25, 0.3, 0.35]),
    }
    stored = {}
    for name, scheduler in schedulers.items():
        stored[name] = scheduler.alphas_cumprod
    for count in (2, 10, 50, 333, 999):
        ddim = schedulers["scaled_linear"]
        ddim.set_timesteps(count)
        stored[f"scaled_linear.times.{count}"] = ddim.timesteps.int()
    save_file(stored, out / "schedules.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the folder to write to")
    out = parser.parse_args().out
    torch.set_num_threads(1)
    for seed, like in enumerate(("sd1", "sd2"), start=1):
        write_golden(like, out, seed)
    write_photo_golden(out, 7)
    for seed, like in enumerate(("ddpm", "ddpm2"), start=3):
        write_pixel_golden(like, out, seed)
    write_mixture(out, 5)
    write_sdxl_golden(out, 6)
    write_schedules(out)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    print(f"{out}: {size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
