#!/usr/bin/env python3
"""Trains the built-in prior of Fashion-MNIST: a latent diffusion model of the Stable-Diffusion kind, in
small.

A development tool; dwgf itself needs none of it. Sub-steps, each continuing from its checkpoint in --work:

  vae         an autoencoder, images 1x32x32 (28x28 padded with -1) in [-1, 1] to latents 4x8x8
  unet        a noise predictor of the autoencoder's latents
  export      both in half precision, and the scheduler, as a diffusers directory; figures printed
  statistics  a Gaussian fitted to the images (for the linear MMSE estimate), beside them; figures printed
  evaluate    the figures of any such directory
  all         vae, unet, export, statistics

Training and every choice made on the way use the training images only: all but the last --holdout of them
train, those are for validation. The test images serve for the figures that `--split test` prints, and for
nothing else.

Needs PyTorch, diffusers, safetensors and numpy. Example, 40 + 45 minutes of two cores:

  tools/train_prior.py --work /tmp/prior --minutes 40 vae
  tools/train_prior.py --work /tmp/prior --minutes 45 unet
  tools/train_prior.py --work /tmp/prior --out configs/priors/fashion export
  tools/train_prior.py --out configs/priors/fashion statistics
"""
import argparse
import copy
import gzip
import json
import math
import os
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file

CONTEXT_WIDTH = 32  # of the one zero token that stands for the text
CREW = 2  # threads

VAE = dict(
    in_channels=1, out_channels=1, sample_size=32, latent_channels=4,
    down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
    block_out_channels=(16, 32, 64), layers_per_block=1, norm_num_groups=8, mid_block_add_attention=True)
UNET = dict(
    sample_size=8, in_channels=4, out_channels=4,
    down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    block_out_channels=(48, 96), layers_per_block=1, cross_attention_dim=CONTEXT_WIDTH, attention_head_dim=8,
    norm_num_groups=16)
SCHEDULER = dict(
    beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000,
                 clip_sample=False,
    set_alpha_to_one=False, steps_offset=1)


# ----------------------------------------------------------------------------------------------------------------
# data
def images(folder, name):
    """The images of an IDX file, padded to 32x32, as a float tensor [n, 1, 32, 32] in [-1, 1]."""
    with gzip.open(Path(folder) / f"{name}-images-idx3-ubyte.gz") as file:
        raw = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    padded = np.pad(raw, ((0, 0), (2, 2), (2, 2))).astype(np.float32) / 127.5 - 1
    return torch.from_numpy(padded)[:, None]


def split(options, which):
    if which == "test":
        return images(options.data, "t10k")
    everything = images(options.data, "train")
    train, validation = everything[:-options.holdout], everything[-options.holdout:]
    return {"train": train, "validation": validation, "everything": everything}[which]


def batches(count, size, generator):
    """Endless batches of indices, each image once an epoch."""
    while True:
        order = torch.randperm(count, generator=generator)
        for start in range(0, count - size + 1, size):
            yield order[start:start + size]


# -------------------------------------------------------------------------------------------------------------
# figures
def decibel(mean_square):
    return 10 * math.log10(4 / mean_square)  # peak to peak 2


def crew():
    """Threads that each compute alone. Where other programs compete for the cores, this is several times
    faster than threads that wait for each other in every operator."""
    return ThreadPoolExecutor(CREW, initializer=torch.set_num_threads, initargs=(1,))


def by_parts(function, *tensors, size=100):
    """function of the tensors' parts, in several threads without gradients; the results joined."""
    def quietly(part):
        with torch.no_grad():
            return function(*part)

    with crew() as pool:
        return torch.cat(list(pool.map(quietly, zip(*(tensor.split(size) for tensor in tensors)))))


def encode(vae, pictures):
    """Means and standard deviations of the latents, not scaled."""
    def both(x):
        found = vae.encode(x).latent_dist
        return torch.stack((found.mean, found.std), 1)

    return by_parts(both, pictures).unbind(1)


@torch.no_grad()
def autoencoder_figures(vae, pictures):
    """PSNR of decoding the latents' means (of the mean error; mean of the images'), with the latents' own
    noise; the spread of the scaled latents, and by channel that of their noise."""
    mean, deviation = encode(vae, pictures)
    decode = lambda z: by_parts(lambda part: vae.decode(part).sample, z)
    errors = (decode(mean) - pictures).square().mean((1, 2, 3))
    generator = torch.Generator().manual_seed(1)
    noisy = mean + deviation * torch.randn(mean.shape, generator=generator)
    return {
        "psnr": decibel(errors.mean().item()),
        "mean_psnr": (10 * torch.log10(4 / errors)).mean().item(),
        "psnr_of_sampled_latents": decibel((decode(noisy) - pictures).square().mean().item()),
        "latent_std": (mean * vae.config.scaling_factor).std().item(),
        "latent_noise": [round(v, 3) for v in (deviation * vae.config.scaling_factor).square().mean((0, 2,
            3)).sqrt().tolist()],
    }


def noise_loss(unet, latents, alphas, repeats=1):
    """Mean squared error of the predicted noise, over latents and uniformly over t (stratified); and by
    tenths of t."""
    generator = torch.Generator().manual_seed(2)
    z = latents.repeat(repeats, 1, 1, 1)
    t = (torch.randperm(len(z), generator=generator) * len(alphas)) // len(z)
    noise = torch.randn(z.shape, generator=generator)

    def errors(z, t, noise):
        a = alphas[t].view(-1, 1, 1, 1)
        return (predict(unet, a.sqrt() * z + (1 - a).sqrt() * noise, t) - noise).square().mean((1, 2, 3))

    error, tenth = by_parts(errors, z, t, noise).double(), t * 10 // len(alphas)
    return error.mean().item(), [error[tenth == i].mean().item() for i in range(10)]


def predict(unet, latents, t):
    return unet(latents, t, torch.zeros(len(latents), 1, CONTEXT_WIDTH)).sample


def linear_mmse(statistics, y, rows, sigma):
    """mean + S A^T (A S A^T + sigma^2 I)^-1 (y - A mean), for A given by its rows; everything flat, in
    double."""
    mean, factor, residual = statistics
    spread = rows @ factor.T
    covariance = rows * residual @ rows.T + spread @ spread.T
    gain = np.linalg.solve(covariance + sigma**2 * np.eye(len(rows)), (y - rows @ mean).T)
    adjoint = residual[:, None] * rows.T + factor.T @ spread.T
    return mean + (adjoint @ gain).T


def statistics_figures(path, pictures):
    """PSNR of the linear MMSE estimate from 4x4 block means with noise 0.05, and of the middle 12x12, from
    the rest."""
    stored = load_file(str(path))
    mean = stored["mean"].double().flatten().numpy()
    factor = stored["factor"].double().flatten(1).numpy()
    residual = stored["residual"].double().flatten().numpy()
    x = pictures.double().flatten(1).numpy()
    random = np.random.default_rng(3)
    pixel = np.arange(1024).reshape(32, 32)
    blocks = np.zeros((64, 1024))
    for i in range(64):
        r, c = 4 * (i // 8), 4 * (i % 8)
        blocks[i, pixel[r:r + 4, c:c + 4].ravel()] = 1 / 16
    box = np.zeros((32, 32), bool)
    box[10:22, 10:22] = True
    known = np.eye(1024)[~box.ravel()]
    figures = {}
    for name, rows in (("block_mean_4", blocks), ("box_12", known)):
        y = x @ rows.T + 0.05 * random.standard_normal((len(x), len(rows)))
        estimate = linear_mmse((mean, factor, residual), y, rows, 0.05)
        error = ((estimate - x) ** 2).mean(1)
        figures[name] = float(decibel(error.mean()))
        figures[name + "_mean_psnr"] = float(np.mean(10 * np.log10(4 / error)))
        if name == "box_12":
            noiseless = np.where(box.ravel(), estimate, x)
            figures["box_12_kept_pixels_exact"] = float(decibel(((noiseless - x) ** 2).mean()))
    return figures


# ------------------------------------------------------------------------------------------------------------
# training
class Training:
    """Weights, their running average, the optimiser and the place in the schedule, saved and restored
    together.

    The schedule (warm-up, then a cosine down to nothing) ends after --steps steps or --minutes minutes of
    training, whichever is first; only with --steps alone does the result not depend on the machine's
    speed."""

    def __init__(self, options, name, model, rate, decay):
        self.options, self.name, self.model, self.rate = options, name, model, rate
        self.average = copy.deepcopy(model).requires_grad_(False)
        self.decay = decay
        self.optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=rate,
                                           betas=(0.9, 0.99), weight_decay=1e-3)
        self.step, self.seconds = 0, 0.0
        self.path = Path(options.work) / f"{name}.pt"
        if self.path.exists():
            state = torch.load(self.path, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.seconds = state["step"], state["seconds"]
            print(f"{name}: continuing from step {self.step}", flush=True)

    def save(self):
        write_aside(self.path, lambda path: torch.save(
            {"model": self.model.state_dict(), "average": self.average.state_dict(), "step": self.step,
             "optimiser": self.optimiser.state_dict(), "seconds": self.seconds}, path))

    def progress(self):
        done = []
        if self.options.steps:
            done.append(self.step / self.options.steps)
        if self.options.minutes:
            done.append(self.seconds / 60 / self.options.minutes)
        return max(done)

    def run(self, count, draw, loss_of, report):
        """Steps until the schedule ends: draw(indices, generator) gives a batch as a tuple of tensors,
        loss_of(*tensors) the mean loss of a part of one.

        Each thread takes the next part of the batch when it is done with one (see crew). The parts' gradients
        are added in their order, so that the result does not depend on the number of threads."""
        # What is drawn depends on the seed and the step the process began at, not on the restarts before it.
        generator = torch.Generator().manual_seed(self.options.seed * 1_000_003 + self.step)
        torch.manual_seed(self.options.seed * 1_000_003 + self.step + 1)
        source = batches(count, self.options.batch, generator)
        smooth, last_saved, last = None, time.monotonic(), time.monotonic()
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        averages = [a for a, p in zip(self.average.parameters(), self.model.parameters()) if p.requires_grad]
        parts = self.options.parts

        def gradient(part):
            loss = loss_of(*part)
            return [loss.detach(), *torch.autograd.grad(loss, parameters)]

        pool = crew()
        while self.progress() < 1:
            rate = self.rate * min(1, (self.step + 1) / 200) * (0.5
                + 0.5 * math.cos(math.pi * self.progress()))
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            batch = draw(next(source), generator)
            done = pool.map(gradient, zip(*(tensor.chunk(parts) for tensor in batch)))
            loss, *total = next(done)
            for other_loss, *other in done:
                loss += other_loss
                torch._foreach_add_(total, other)
            loss = loss.item() / parts
            for parameter, value in zip(parameters, total):
                parameter.grad = value.div_(parts)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimiser.step()
            self.step += 1
            keep = min(self.decay, self.step / (self.step + 20))
            with torch.no_grad():
                torch._foreach_lerp_(averages, parameters, 1 - keep)
            smooth = loss if smooth is None else 0.99 * smooth + 0.01 * loss
            self.seconds, last = self.seconds + time.monotonic() - last, time.monotonic()
            if self.step % 200 == 0:
                print(f"{self.name}: step {self.step}, {self.seconds:.0f} s, loss {smooth:.5f}", flush=True)
            if self.step % self.options.report == 0:
                report(self)
                last = time.monotonic()
            if time.monotonic() - last_saved > 120:
                self.save()
                last_saved = time.monotonic()
        pool.shutdown()
        self.save()
        report(self)


def write_aside(path, write):
    """Writes a file, or a folder, aside and renames it into place."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    write(aside)
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    if path.is_dir():
        path.rename(old)
    for entry in (aside, *aside.rglob("*")):
        entry.chmod(0o755 if entry.is_dir() else 0o644)  # safetensors leaves its files to their owner alone
    aside.rename(path)
    if old.exists():
        shutil.rmtree(old)


def line(title, figures):
    print(title + ": " + json.dumps({k: round(v, 4) if isinstance(v, float) else v for k,
                                     v in figures.items()}), flush=True)


def fresh(options, part, kind, settings):
    """A new model, or the one of --start if that is given."""
    torch.manual_seed(options.seed)
    return kind.from_pretrained(options.start, subfolder=part).float() if options.start else kind(**settings)


def brief(options, training):
    """Where bfloat16 is quicker, the first four fifths of a training may compute in it; the last is in
    float32."""
    return torch.autocast("cpu", torch.bfloat16, enabled=options.bfloat16 and training.progress() < 0.8,
                          cache_enabled=False)  # (the cache is shared by the threads)


def train_vae(options):
    train, validation = split(options, "train"), split(options, "validation")
    vae = fresh(options, "vae", AutoencoderKL, VAE)
    if not options.start:
        # latents of little noise to begin with: else whole channels of them may stay unused
        with torch.no_grad():
            vae.quant_conv.weight[vae.config.latent_channels:] *= 0.1
            vae.quant_conv.bias[vae.config.latent_channels:] = -5
    if options.decoder_only:
        vae.encoder.requires_grad_(False)
        vae.quant_conv.requires_grad_(False)
    training = Training(options, "vae", vae, options.rate or 2e-3, options.average)
    forward = AutoencoderPass(vae)

    def draw(index, generator):
        x = train[index]
        return x, torch.randn(len(x), vae.config.latent_channels, x.shape[-2] // 4, x.shape[-1] // 4,
                              generator=generator)

    def loss_of(x, noise):
        with brief(options, training):
            square, absolute, divergence = forward(x, noise)
        weight = options.divergence * min(1, training.progress() / 0.3)  # from none, for the same reason
        return square + options.absolute * absolute + weight * divergence

    def report(training):
        line(f"vae: validation at {training.step}", autoencoder_figures(training.average, validation))

    training.run(len(train), draw, loss_of, report)
    if not options.decoder_only:
        mean, _ = encode(training.average, train)
        training.average.register_to_config(scaling_factor=float(1 / mean.std()))
    write_aside(Path(options.work) / "prior" / "vae", training.average.save_pretrained)
    print("vae: scaling factor", training.average.config.scaling_factor, "steps", training.step)


class AutoencoderPass(torch.nn.Module):
    """The parts of the autoencoder's loss: squared and absolute error, and the divergence of an image's
    latents."""

    def __init__(self, vae):
        super().__init__()
        self.vae = vae

    def forward(self, x, noise):
        moments = self.vae.quant_conv(self.vae.encoder(x)).float()
        mean, log_variance = moments.chunk(2, 1)
        log_variance = log_variance.clamp(-30, 20)
        z = mean + (0.5 * log_variance).exp() * noise
        error = self.vae.decoder(self.vae.post_quant_conv(z)).float() - x
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum((1, 2, 3)).mean()
        return error.square().mean(), error.abs().mean(), divergence


@torch.no_grad()
def rotate(options, unet, pictures, latents):
    """Makes --start's noise predictor one of the new latents, as far as a rotation of the channels takes
    those to the latents it knows (orthogonal Procrustes; a rotation leaves white noise white)."""
    vae = AutoencoderKL.from_pretrained(options.start, subfolder="vae")
    known = encode(vae, pictures)[0] * vae.config.scaling_factor
    u, _, v = torch.linalg.svd(torch.einsum("nihw,njhw->ij", known, latents))
    turn = u @ v  # known ~= turn new
    unet.conv_in.weight.copy_(torch.einsum("oihw,ij->ojhw", unet.conv_in.weight, turn))
    unet.conv_out.weight.copy_(torch.einsum("ij,ikhw->jkhw", turn, unet.conv_out.weight))
    unet.conv_out.bias.copy_(turn.T @ unet.conv_out.bias)


def train_unet(options):
    vae = AutoencoderKL.from_pretrained(Path(options.work) / "prior", subfolder="vae")
    scale = vae.config.scaling_factor
    train = encode(vae, split(options, "train"))[0] * scale
    validation = encode(vae, split(options, "validation"))[0] * scale
    print(f"unet: latents' mean {train.mean((0, 2, 3)).tolist()}, deviation {train.std((0, 2, 3)).tolist()}",
          flush=True)
    scheduler = DDIMScheduler(**SCHEDULER)
    alphas = scheduler.alphas_cumprod
    unet = fresh(options, "unet", UNet2DConditionModel, UNET)
    if options.start:
        rotate(options, unet, split(options, "train")[:500], train[:500])
    training = Training(options, "unet", unet, options.rate or 1.5e-3, options.average)

    def draw(index, generator):
        z = train[index]
        noise = torch.randn(z.shape, generator=generator)
        # One t from each of the batch's equal parts of the schedule: uniform, with less scatter between
        # batches.
        place = (torch.arange(len(z)) + torch.rand(len(z), generator=generator)) / len(z)
        t = (place * len(alphas)).long().clamp(max=len(alphas) - 1)
        order = torch.randperm(len(z), generator=generator)
        return z, noise, t[order]

    def loss_of(z, noise, t):
        a = alphas[t].view(-1, 1, 1, 1)
        with brief(options, training):
            predicted = predict(unet, a.sqrt() * z + (1 - a).sqrt() * noise, t)
        return F.mse_loss(predicted.float(), noise)

    def report(training):
        loss, by_time = noise_loss(training.average, validation, alphas, repeats=2)
        line(f"unet: validation at {training.step}",
             {"noise_loss": loss, "by_tenths_of_t": [round(v, 4) for v in by_time]})

    training.run(len(train), draw, loss_of, report)
    write_aside(Path(options.work) / "prior" / "unet", training.average.save_pretrained)
    write_aside(Path(options.work) / "prior" / "scheduler", scheduler.save_pretrained)
    print("unet: steps", training.step)


# --------------------------------------------------------------------------------------------------------------
# export
def save_model(model, folder):
    model.save_pretrained(folder)
    path = Path(folder) / "config.json"
    settings = json.loads(path.read_text())
    settings.pop("_name_or_path", None)  # where it came from on this machine
    path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")


def export(options):
    """--start, or what `vae` and `unet` left in --work, in half precision at --out."""
    source, target = Path(options.start or Path(options.work) / "prior"), Path(options.out)
    for part, kind in (("vae", AutoencoderKL), ("unet", UNet2DConditionModel)):
        model = kind.from_pretrained(source, subfolder=part).half()
        write_aside(target / part, lambda aside: save_model(model, aside))
    write_aside(target / "scheduler", DDIMScheduler.from_pretrained(source,
        subfolder="scheduler").save_pretrained)
    evaluate(options)


def evaluate(options):
    """The figures of the prior at --out, in single precision from its stored weights."""
    pictures = split(options, options.split)
    vae = AutoencoderKL.from_pretrained(options.out, subfolder="vae", torch_dtype=torch.float32)
    line(f"{options.split}: autoencoder", autoencoder_figures(vae, pictures))
    unet = UNet2DConditionModel.from_pretrained(options.out, subfolder="unet", torch_dtype=torch.float32)
    alphas = DDIMScheduler.from_pretrained(options.out, subfolder="scheduler").alphas_cumprod
    latents = encode(vae, pictures)[0] * vae.config.scaling_factor
    loss, by_time = noise_loss(unet, latents, alphas, repeats=5 if len(latents) < 5000 else 1)
    line(f"{options.split}: noise prediction", {"noise_loss": loss,
                                                "by_tenths_of_t": [round(v, 4) for v in by_time]})


def fit_statistics(options):
    """covariance ~= factor^T factor + diag(residual), of all training images."""
    x = split(options, "everything").double().flatten(1)
    mean = x.mean(0)
    covariance = (x - mean).T @ (x - mean) / len(x)
    values, vectors = torch.linalg.eigh(covariance)
    values, vectors = values.flip(0)[:options.components].clamp(min=0), vectors.flip(1)[:,
        :options.components]
    # either sign is as good; this one is fixed
    vectors = vectors * torch.where(vectors.sum(0) < 0, -1.0, 1.0)
    factor = (values.sqrt() * vectors).T.half()
    residual = (covariance.diagonal() - factor.double().square().sum(0)).clamp(min=0)
    shape = (1, *(int(math.isqrt(x.shape[1])),) * 2)
    tensors = {"mean": mean.float().view(shape), "factor": factor.reshape(-1, *shape).contiguous(),
               "residual": residual.float().view(shape)}
    path = Path(options.out) / "statistics.safetensors"
    write_aside(path, lambda aside: save_file(tensors, str(aside)))
    print(f"statistics: {100 * (values.sum() / covariance.diagonal().sum()).item():.3f} % of the variance in the factor")
    pictures = split(options, options.split)
    line(f"{options.split}: linear MMSE, first 64", statistics_figures(path, pictures[:64]))
    line(f"{options.split}: linear MMSE, first 1000", statistics_figures(path, pictures[:1000]))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("vae", "unet", "export", "statistics", "evaluate", "all"))
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist",
                        help="folder of the IDX files (default: where Debian's dataset-fashion-mnist puts them)")
    parser.add_argument("--work", default="prior-work", help="folder of checkpoints (default: %(default)s)")
    parser.add_argument("--out", default="configs/priors/fashion",
                        help="the prior's folder (default: %(default)s)")
    parser.add_argument("--start", help="a diffusers folder to train from, or to export, instead of --work's")
    parser.add_argument("--split", choices=("validation", "test"), default="validation",
                        help="images of the printed figures after training (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=0, help="length of a training by the clock")
    parser.add_argument("--steps", type=int, default=0, help="length of a training in steps")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--parts", type=int, default=4, help="into which a batch is divided for the threads")
    parser.add_argument("--decoder-only", action="store_true",
                        help="vae: leave the latents of --start as they are, and so --start's unet of use")
    parser.add_argument("--rate", type=float, default=0,
                        help="highest learning rate (default: by the sub-step)")
    parser.add_argument("--average", type=float, default=0.999, help="decay of the weights' running average")
    parser.add_argument("--absolute", type=float, default=0.0, help="vae: weight of the mean absolute error")
    parser.add_argument("--divergence", type=float, default=3e-6,
                        help="vae: weight of the Kullback-Leibler divergence, summed over an image's latents")
    parser.add_argument("--components", type=int, default=512, help="statistics: eigenvectors kept")
    parser.add_argument("--holdout", type=int, default=2000, help="last training images, kept for validation")
    parser.add_argument("--report", type=int, default=1000, help="steps between validations")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bfloat16", action="store_true", help="train in bfloat16 for the first four fifths")
    options = parser.parse_args()
    if options.decoder_only and not options.start:
        parser.error("--decoder-only needs --start")
    if options.what in ("vae", "unet", "all") and not (options.minutes or options.steps):
        parser.error("training needs --minutes or --steps")
    global CREW
    CREW = options.threads
    torch.set_num_threads(1)
    steps = {"vae": [train_vae], "unet": [train_unet], "export": [export], "statistics": [fit_statistics],
             "evaluate": [evaluate], "all": [train_vae, train_unet, export, fit_statistics]}
    for step in steps[options.what]:
        step(options)


if __name__ == "__main__":
    sys.exit(main())
