#!/usr/bin/env python3
"""Makes the test data of the Stable Diffusion 3 family: tiny directories, and what diffusers makes of them.

A development tool; neither dwgf nor its tests need it. Deterministic: the same versions write the same
bytes. Needs torch 2.13.0, diffusers 0.42.1, transformers 5.23.0, safetensors. To renew its part of
tests/data/prior:

    tools/make_sd3_golden.py tests/data/prior

Written there:
  sd3/, sd35/        a diffusers directory each, weights in float16. sd3: no norm of queries and keys, and the
                     keys of transformer/config.json that came with 3.5 left out. sd35: norm of queries and
                     keys, a second attention in the first two of three layers, and the transformer in shards
                     with an index. Both: 16 latent channels with a shift, no convolutions around the code,
                     flow matching with a shift of 3.
  sd3.safetensors,   inputs (float16) and what the networks make of them in float64 arithmetic:
  sd35.safetensors     z [2, 16, 8, 6]; context [1, 5, 24]; pooled [1, 14]; velocity.T: the raw output at time
                       T; z_wide [1, 16, 4, 16] and velocity.wide, at time 501.5; pull [2, 16, 8, 6] and
                       velocity.gradient: its pull-back through the network at z and time 501.5;
                       x [1, 3, 32, 24]; mean, std: of the encoder, on the transformer's scale; decoded:
                       D(z[0]); cotangent [1, 3, 32, 24] and gradient: its pull-back through the decoder there
  sd3_text/          the first text encoder of sd3 (text_encoder/), with a projection; the second is
                     text/sdxl's and the tokenizers are text's (tools/make_text_golden.py)
  sd3_text.safetensors  NAME.tokens [1, 77, 24], without T5's share, and NAME.pooled [1, 14]: of a prompt and
                     of the empty one by the pipeline without text_encoder_3, in float64 arithmetic
  flow_matching.safetensors  sigmas.SHIFT.N and times.SHIFT.N: of the scheduler with that shift, for N steps

One thing is not taken as diffusers has it: its RMSNorm rounds the mean square to float32 also where all else
is float64. Here it is formed in float64.
"""
import argparse
import json
import shutil
import tempfile
from pathlib import Path

import torch
from diffusers import (AutoencoderKL, FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel,
                       StableDiffusion3Pipeline)
from diffusers.models.normalization import RMSNorm
from safetensors.torch import save_file
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from make_text_golden import PROMPT, encoder_config, write_encoder

TIMES = (1000.0, 501.5, 8.928571701049805)
STEPS = (1, 2, 4, 8, 50)


def exact_rms_norm(self, x):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


def randomise(model, generator):
    """Every parameter different, so that no mix-up goes unseen, of the size that signals need; in float16."""
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


def make_models(like, generator):
    newer = like == "sd35"
    more = dict(dual_attention_layers=(0, 1), qk_norm="rms_norm") if newer else {}
    transformer = SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=16, out_channels=16, num_layers=3 if newer else 2,
        attention_head_dim=8, num_attention_heads=2, joint_attention_dim=24, caption_projection_dim=16,
        pooled_projection_dim=14, pos_embed_max_size=8, **more)
    vae = AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=16, layers_per_block=1, sample_size=32,
        block_out_channels=(4, 8, 8), norm_num_groups=4, down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3, scaling_factor=1.5305, shift_factor=0.0609,
        use_quant_conv=False, use_post_quant_conv=False)
    return randomise(transformer, generator), randomise(vae, generator)


def write_prior(like, folder, generator):
    transformer, vae = make_models(like, generator)
    transformer.save_pretrained(folder / "transformer", max_shard_size="60KB" if like == "sd35" else "10GB")
    if like == "sd3":
        file = folder / "transformer" / "config.json"
        config = {key: value for key, value in json.loads(file.read_text()).items()
                  if key not in ("dual_attention_layers", "qk_norm")}
        file.write_text(json.dumps(config, indent=2) + "\n")
    vae.save_pretrained(folder / "vae")
    FlowMatchEulerDiscreteScheduler(shift=3.0).save_pretrained(folder / "scheduler")
    return transformer.double().eval().requires_grad_(False), vae.double().eval().requires_grad_(False)


def write_golden(like, out, seed):
    generator = torch.Generator().manual_seed(seed)
    transformer, vae = write_prior(like, out / like, generator)
    draw = lambda *shape: torch.randn(shape, generator=generator).half()
    scale, shift = vae.config.scaling_factor, vae.config.shift_factor
    inputs = {"z": draw(2, 16, 8, 6), "z_wide": draw(1, 16, 4, 16), "context": draw(1, 5, 24),
              "pooled": draw(1, 14), "pull": draw(2, 16, 8, 6), "x": (0.5 * draw(1, 3, 32, 24)).clamp(-1, 1),
              "cotangent": draw(1, 3, 32, 24)}
    z, z_wide, context, pooled, pull, x, cotangent = (tensor.double() for tensor in inputs.values())
    run = lambda latents, time: transformer(
        latents, encoder_hidden_states=context.expand(len(latents), -1, -1),
        pooled_projections=pooled.expand(len(latents), -1), timestep=torch.full((len(latents),), time)).sample

    golden = dict(inputs)
    for time in TIMES:
        golden[f"velocity.{time:.0f}"] = run(z, time)
    golden["velocity.wide"] = run(z_wide, 501.5)
    leaf = z.clone().requires_grad_()
    (golden["velocity.gradient"],) = torch.autograd.grad(run(leaf, 501.5), leaf, pull)

    posterior = vae.encode(x).latent_dist
    golden["mean"], golden["std"] = (posterior.mean - shift) * scale, posterior.std * scale
    leaf = z[:1].clone().requires_grad_()
    decoded = vae.decode(leaf / scale + shift).sample
    golden["decoded"] = decoded.detach()
    (golden["gradient"],) = torch.autograd.grad(decoded, leaf, cotangent)
    save_file({name: tensor.detach().contiguous() for name, tensor in golden.items()},
              out / f"{like}.safetensors")


def tokenizer_of(text, name):
    with tempfile.TemporaryDirectory() as folder:
        for part in ("plain", name):
            for file in (text / part).iterdir():
                shutil.copy(file, folder)
        return CLIPTokenizer.from_pretrained(folder)


def write_text(out, seed):
    text = out / "text"
    size = len(json.loads((text / "plain" / "vocab.json").read_text("utf-8")))
    first = write_encoder(out / "sd3_text" / "text_encoder", encoder_config(size, False, projection_dim=4),
                          seed, projected=True)
    second = CLIPTextModelWithProjection.from_pretrained(
        text / "sdxl" / "text_encoder_2", dtype=torch.float64, attn_implementation="sdpa").eval()
    pipeline = StableDiffusion3Pipeline(
        transformer=SD3Transformer2DModel.from_pretrained(out / "sd3" / "transformer"), vae=None,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0), text_encoder=first, text_encoder_2=second,
        text_encoder_3=None, tokenizer=tokenizer_of(text, "published"),
        tokenizer_2=tokenizer_of(text, "second"), tokenizer_3=None)
    stored = {}
    for name, prompt in (("prompt", PROMPT), ("empty", "")):
        with torch.no_grad():
            tokens, _, pooled, _ = pipeline.encode_prompt(prompt, None, None, device="cpu",
                                                          do_classifier_free_guidance=False)
        assert tokens.shape == (1, 333, 24) and not tokens[:, 77:].any()
        stored[f"{name}.tokens"], stored[f"{name}.pooled"] = tokens[:, :77].contiguous(), pooled.contiguous()
    save_file(stored, out / "sd3_text.safetensors")


def write_schedules(out):
    stored = {}
    for shift in (3.0, 1.0):
        scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
        for steps in STEPS:
            scheduler.set_timesteps(steps)
            stored[f"sigmas.{shift:.0f}.{steps}"] = scheduler.sigmas[:-1].contiguous()
            stored[f"times.{shift:.0f}.{steps}"] = scheduler.timesteps
    save_file(stored, out / "flow_matching.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the folder to write to")
    out = parser.parse_args().out
    torch.set_num_threads(1)
    RMSNorm.forward = exact_rms_norm
    for seed, like in enumerate(("sd3", "sd35"), start=21):
        write_golden(like, out, seed)
    write_text(out, 23)
    write_schedules(out)


if __name__ == "__main__":
    main()
