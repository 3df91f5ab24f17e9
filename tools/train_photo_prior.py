#!/usr/bin/env python3
"""Trains the built-in prior of photographs: a pixel-space diffusion model without an autoencoder.

A development tool; dwgf itself needs none of it. Sub-steps:

  pyramids   the photographs of --list (rows "use,file") at several sizes, anti-aliased, in --work
  train      the network, for --minutes by the clock; its running average goes to --work every three minutes
  crops      two squares of 256 x 256 pixels of each photograph of another use, as PNG, in --work/USE
  export     the running average in half precision, with configurations, as the prior's folder --out

Photographs whose use is not "train" are never trained on. Needs PyTorch, safetensors, numpy and Pillow.

  tools/train_photo_prior.py --list photographs.csv --work /tmp/photo pyramids
  tools/train_photo_prior.py --work /tmp/photo --minutes 75 train
  tools/train_photo_prior.py --work /tmp/photo --out configs/priors/photo export
"""
import argparse
import copy
import csv
import json
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from photo_unet import PhotoUNet

LARGEST, SMALLEST, STEP = 1400, 180, 0.7  # short sides of a photograph's sizes, and from one to the next
LEAST_REDUCTION = 0.7  # of what a file holds: demosaicing and compression are no part of the prior
BINS = 24  # of log noise, each of which counts alike in the loss
LOG_NOISE = (math.log(0.01), math.log(5.0), math.log(160.0))
SCHEDULER = dict(_class_name="DDPMScheduler", num_train_timesteps=1000, beta_start=0.0001, beta_end=0.02,
                 beta_schedule="linear", prediction_type="v_prediction")


def pyramid(path):
    """The photograph at several sizes, [h, w, 3] of bytes each."""
    picture = Image.open(path).convert("RGB")
    short = min(min(picture.size) * LEAST_REDUCTION, LARGEST)
    sizes = []
    while short >= SMALLEST:
        scale = short / min(picture.size)
        size = tuple(round(scale * side) for side in picture.size)
        sizes.append(np.asarray(picture.resize(size, Image.LANCZOS)))
        short *= STEP
    return sizes


def pyramids(options):
    Image.MAX_IMAGE_PIXELS = None
    found = {}
    with open(options.list) as rows:
        for use, path in csv.reader(rows):
            for level, picture in enumerate(pyramid(path)):
                found[f"{use}/{Path(path).name}/{level}"] = picture
    options.work.mkdir(parents=True, exist_ok=True)
    np.savez(options.work / "pyramids.npz", **found)
    print(f"{len(found)} pictures, {sum(p.nbytes for p in found.values()) / 1e6:.0f} MB")


def reduced(picture, path):
    """To a short side of 512 pixels at most; files compressed for the web by 0.7 at least."""
    scale = min(1, 512 / min(picture.size), LEAST_REDUCTION if path.endswith(".webp") else 1)
    return picture.resize([round(scale * side) for side in picture.size], Image.LANCZOS)


def crops(options):
    Image.MAX_IMAGE_PIXELS = None
    with open(options.list) as rows:
        for use, path in csv.reader(rows):
            if use == "train":
                continue
            picture = reduced(Image.open(path).convert("RGB"), path)
            folder = options.work / use
            folder.mkdir(parents=True, exist_ok=True)
            # The name of a Plasma wallpaper is that of its folder.
            name = Path(path).parts[-4] if "contents" in Path(path).parts else Path(path).stem
            for number, place in enumerate(((0.3, 0.4), (0.7, 0.65))):
                left, top = (min(max(int(f * side) - 128, 0), side - 256)
                             for f, side in zip(place, picture.size))
                picture.crop((left, top, left + 256, top + 256)).save(folder / f"{name}_{number}.png")


class Crops:
    """Random crops: a photograph, then a size by the square root of its pixels, then a place; of two
    places the busier one every other time; one of the square's eight symmetries; every other one in another
    light."""

    def __init__(self, path, random):
        self.random = random
        self.photographs = {}
        with np.load(path) as stored:
            for name in stored.files:
                use, photograph, _ = name.split("/")
                if use == "train":
                    self.photographs.setdefault(photograph, []).append(stored[name])
        self.photographs = list(self.photographs.values())

    def place(self, picture, side):
        top, left = (self.random.integers(0, n - side + 1) for n in picture.shape[:2])
        return picture[top:top + side, left:left + side]

    def one(self, side):
        sizes = self.photographs[self.random.integers(len(self.photographs))]
        sizes = [p for p in sizes if min(p.shape[:2]) >= side]
        weights = np.array([p.size for p in sizes]) ** 0.5
        picture = sizes[self.random.choice(len(sizes), p=weights / weights.sum())]
        crop = self.place(picture, side)
        if self.random.random() < 0.5:
            other = self.place(picture, side)
            crop = max(crop, other, key=lambda c: c.std())
        crop = np.rot90(crop, self.random.integers(4))
        if self.random.random() < 0.5:
            crop = crop[::-1]
        crop = crop.astype(np.float32) / 127.5 - 1
        if self.random.random() < 0.5:
            light = np.exp(self.random.normal(0, 0.15) + self.random.normal(0, 0.07, 3))
            crop = np.clip((crop + 1) * light.astype(np.float32) - 1, -1, 1)
        if self.random.random() < 0.04:
            crop = np.repeat(crop.mean(2, keepdims=True), 3, 2)
        return crop.transpose(2, 0, 1)

    def batch(self, side, count):
        return torch.from_numpy(np.stack([self.one(side) for _ in range(count)]))


def draw_log_noise(count, generator):
    """Four fifths between the two lower bounds, one fifth between the upper ones, stratified."""
    low, middle, high = LOG_NOISE
    u = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    return torch.where(u < 0.8, low + (middle - low) * u / 0.8, middle + (high - middle) * (u - 0.8) / 0.2)


def write_aside(path, write):
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    write(aside)
    aside.rename(path)


def train(options):
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed)
    crops = Crops(options.work / "pyramids.npz", np.random.default_rng(options.seed))
    network = PhotoUNet().to(memory_format=torch.channels_last)
    average = copy.deepcopy(network).requires_grad_(False)
    optimiser = torch.optim.AdamW(network.parameters(), lr=options.rate, betas=(0.9, 0.99),
                                  weight_decay=1e-4)
    usual = torch.full((BINS,), float("nan"))
    step, seconds = 0, 0.0
    checkpoint = options.work / "training.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        usual, step, seconds = state["usual"], state["step"], state["seconds"]

    def save():
        state = dict(network=network.state_dict(), average=average.state_dict(), step=step, seconds=seconds,
                     optimiser=optimiser.state_dict(), usual=usual)
        write_aside(checkpoint, lambda path: torch.save(state, path))

    last, saved = time.monotonic(), time.monotonic()
    while seconds < 60 * options.minutes:
        progress = seconds / 60 / options.minutes
        decay = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress))
        rate = options.rate * min(1, (step + 1) / 300) * decay
        for group in optimiser.param_groups:
            group["lr"] = rate
        side, count = (128, 4) if step % 4 == 3 else (64, 16)
        z = crops.batch(side, count)
        log_noise = draw_log_noise(count, generator)
        s = torch.sigmoid(2 * log_noise).sqrt().view(-1, 1, 1, 1)
        a = torch.sigmoid(-2 * log_noise).sqrt().view(-1, 1, 1, 1)
        noise = torch.randn(z.shape, generator=generator)
        seen = (a * z + s * noise).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=progress < options.brief):
            v = network(seen, log_noise)
        losses = (v.float() - (a * noise - s * z)).square().mean((1, 2, 3))
        bins = ((log_noise - LOG_NOISE[0]) / (LOG_NOISE[2] - LOG_NOISE[0]) * BINS).long().clamp(0, BINS - 1)
        for i, value in zip(bins.tolist(), losses.detach()):
            usual[i] = value if usual[i].isnan() else usual[i].lerp(value, 0.02)
        (losses / usual[bins]).mean().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 0.5)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        step += 1
        with torch.no_grad():
            keep = min(0.999, step / (step + 20))
            torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - keep)
        seconds, last = seconds + time.monotonic() - last, time.monotonic()
        if step % 100 == 0:
            print(f"step {step}, {seconds:.0f} s, rate {rate:.1e}, loss by noise",
                  " ".join(f"{v:.4f}" for v in usual.tolist()), flush=True)
        if time.monotonic() - saved > 180:
            save()
            saved = time.monotonic()
    save()


def export(options):
    from safetensors.torch import save_file
    state = torch.load(options.work / "training.pt", weights_only=True)
    network = PhotoUNet()
    folder = options.out / "unet"
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.half().contiguous() for name, value in state["average"].items()}
    save_file(weights, folder / "diffusion_pytorch_model.safetensors")
    (folder / "diffusion_pytorch_model.safetensors").chmod(0o644)
    (folder / "config.json").write_text(json.dumps(network.settings, indent=2) + "\n")
    (options.out / "scheduler").mkdir(exist_ok=True)
    (options.out / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULER, indent=2) + "\n")
    print(f"step {state['step']}, {state['seconds'] / 60:.0f} minutes")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("pyramids", "train", "crops", "export"))
    parser.add_argument("--list", type=Path,
                        help="pyramids, crops: CSV file of the photographs, use and path")
    parser.add_argument("--work", type=Path, default=Path("photo-work"),
                        help="folder (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("configs/priors/photo"),
                        help="(default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=75.0, help="train: length by the clock")
    parser.add_argument("--rate", type=float, default=5e-4, help="train: highest learning rate")
    parser.add_argument("--brief", type=float, default=0.9, help="train: share that may compute in bfloat16")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    {"pyramids": pyramids, "train": train, "crops": crops, "export": export}[options.what](options)


if __name__ == "__main__":
    main()
