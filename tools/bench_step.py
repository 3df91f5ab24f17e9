#!/usr/bin/env python3
"""What a step of the flow costs, beside PyTorch on the same machine in the same run; `tools/bench step`
starts it.

    tools/bench step [--prior DIR] [--size 32 32] [--particles 8] [--micro-batch 8] [--rounds 9] [--steps 3]
        [--precision fp32]

    (a) the structure of the published program in PyTorch and diffusers: the autoencoder's weights require
    gradients, which are computed and
        never used; every decoded image is kept; the mixture is a double loop; one scalar loss is
        differentiated;
    (b) the same mathematics in PyTorch without that waste: weights frozen, one vector-Jacobian product,
    nothing kept, one batched mixture; (c) this program, its micro-batch as given; (d) this program with the
    consistency term in every `--consistency-every`-th step (where that is not 1).
Super-resolution x4, the published settings. All stand in memory and take turns: in every round each makes
`--steps` steps while the others wait for a line on their standard input. The first round is not counted.
Prints Markdown: seconds a particle-step, median (least to most) over all counted steps, ratios of medians,
both also for the time that processors computed (with --threads 1 that hardly depends on what else the machine
does; waiting threads count), peak memory, start-up (loading and the first step), and the arithmetic of (b) a
second as a share of the machine's best measured convolution and matrix product. That arithmetic is counted
once, of the networks as they are written; (c) needs less of it, as it doubles resolutions on the coarse grid.

DIR is a diffusers directory, by default the built-in prior; Stable Diffusion's shapes with random weights:
    python tools/bench_step.py --make DIR
Needs torch 2.13.0 and diffusers 0.42.1.
"""
import argparse
import importlib.util
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "build/tools/dwgf_bench_step"


def reference(options):
    """(a) or (b): a step for each line on standard input; prints its seconds, those that processors computed,
    and the peak memory [KiB] so far."""
    import torch
    import torch.nn.functional as F
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from torch.utils.flop_counter import FlopCounterMode

    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    on_gpu = device.type == "cuda"
    torch.manual_seed(0)
    begin = time.perf_counter()
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[options.precision]
    published, n = options.reference == "a", options.particles
    unet = UNet2DConditionModel.from_pretrained(options.prior, subfolder="unet",
                                                torch_dtype=dtype).eval().requires_grad_(False)
    vae = AutoencoderKL.from_pretrained(options.prior, subfolder="vae",
                                        torch_dtype=dtype).eval().requires_grad_(published)
    alpha_bar = DDIMScheduler.from_pretrained(options.prior, subfolder="scheduler").alphas_cumprod.double()
    networks = {"device": device, "memory_format": torch.channels_last} if on_gpu else {"device": device}
    unet, vae = unet.to(**networks), vae.to(**networks)
    if options.compile:
        unet, vae.decode, vae.encode = (torch.compile(call) for call in (unet, vae.decode, vae.encode))
    factor, scale = 2 ** (len(vae.config.block_out_channels) - 1), vae.config.scaling_factor
    height, width = options.size
    z = torch.randn(n, unet.config.in_channels, height // factor, width // factor, device=device, requires_grad=True)
    context = torch.zeros(n, 1, unet.config.cross_attention_dim, dtype=dtype, device=device)
    y = torch.rand(1, vae.config.in_channels, height // 4, width // 4, device=device)
    adam, kept = torch.optim.Adam([z], lr=1.0), []

    def decode(latents):
        return vae.decode((latents / scale).to(dtype)).sample.float()

    def step(k):
        t = 999 - k
        a, s = float(alpha_bar[t]) ** 0.5, float(1 - alpha_bar[t]) ** 0.5
        d = z[0].numel()
        with torch.no_grad():
            z_t = a * z + s * torch.randn_like(z)
            prior_score = unet(z_t.to(dtype), t, encoder_hidden_states=context).sample.float() / -s
            own, noised = z.flatten(1), z_t.flatten(1)
            if published:
                rows = [[((noised[i] - a * own[j]) ** 2).sum() for j in range(n)] for i in range(n)]
                squared = torch.stack([torch.stack(row) for row in rows])
            else:
                squared = (noised[:, None] - a * own[None]).square().sum(-1)
            weights = torch.softmax(squared / (-2 * s * s), 1)
            own_score = ((a * weights @ own - noised) / (s * s)).view_as(z)
            g_r = 0.15 * (s / a) * s / d * (own_score - prior_score)
        x = decode(z)
        noisy = x + 0.01 * torch.randn_like(x)
        with torch.no_grad():
            consistent = x
            if options.consistency:
                consistent = decode(scale * vae.encode(noisy.to(dtype)).latent_dist.sample().float())
        if published:
            kept.append(x.detach().clone())
            residual = F.avg_pool2d(noisy, 4) - y
            loss = residual.square().sum() / (2 * residual[0].numel()) + (g_r * z).sum()
            loss = loss + 0.1 * ((x - consistent).detach() * x).sum() / x[0].numel()
            adam.zero_grad()
            vae.zero_grad()
            loss.backward()
        else:
            residual = F.avg_pool2d(noisy.detach(), 4) - y
            cotangent = F.interpolate(residual,
                                      scale_factor=4.0) / (16 * residual[0].numel()) + 0.1 * (x.detach() - consistent) / x[0].numel()
            (g,) = torch.autograd.grad(x, z, cotangent)
            z.grad = g + g_r
        adam.step()

    print(f"{time.perf_counter() - begin:.9g}", flush=True)
    def timed(k):
        begin, computed = time.perf_counter(), time.process_time()
        step(k)
        if on_gpu:
            torch.cuda.synchronize()
        peak = (torch.cuda.max_memory_allocated() // 1024 if on_gpu
                else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return time.perf_counter() - begin, time.process_time() - computed, peak

    if options.turns:
        return tell_turns(options, timed)
    for k, line in enumerate(sys.stdin):
        if line.startswith("count"):  # the arithmetic of a step
            with FlopCounterMode(display=False) as counter:
                step(k)
            print(counter.get_total_flops(), 0, 0, flush=True)
            continue
        seconds, computed, peak = timed(k)
        print(f"{seconds:.9g} {computed:.9g} {peak}", flush=True)


def tell_turns(options, timed):
    """Rows for tools/check-gpu: the loops as the presets `fast`, without the consistency term, and `paper`."""
    how = "compiled" if options.compile else "eager"
    name = f"{options.precision} {options.size[0]} M = {options.particles} {how}"
    for preset in ("fast", "paper"):
        options.consistency = preset == "paper"
        turns = [timed(k) for k in range(options.turns)][3:]  # the first ones compile
        seconds = median([turn[0] for turn in turns])
        print(f"{name}: step of {preset}\t{1e3 * seconds:.6g}\tms\t-", flush=True)
        print(f"{name}: peak memory of {preset}\t{turns[-1][2] / 1024:.6g}\tMiB\t-", flush=True)


class Opponent:
    def __init__(self, name, command):
        begin = time.perf_counter()
        self.name, self.seconds, self.computed, self.peak = name, [], [], 0
        self.said = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.said, text=True)
        if not self.process.stdout.readline():
            sys.exit(f"bench: this ended early: {' '.join(map(str, command))}\n{self.last_words()}")
        self.turn()
        self.start_up = time.perf_counter() - begin

    def turn(self, word=""):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        words = self.process.stdout.readline().split()
        if not words:
            sys.exit(f"bench: {self.name} ended early\n{self.last_words()}")
        self.peak = max(self.peak, int(words[2]))
        return float(words[0]), float(words[1])

    def last_words(self):
        self.process.wait()
        self.said.seek(0)
        return "".join(self.said.readlines()[-3:]).strip()

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def median(values):
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def make(folder):
    import check_full_size
    folder.mkdir(parents=True, exist_ok=True)
    check_full_size.make_prior(folder, tiny=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prior", type=Path, default=ROOT / "configs/priors/fashion")
    parser.add_argument("--size", type=int, nargs=2, default=[32, 32], metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--particles", type=int, default=8)
    parser.add_argument("--micro-batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=3, help="of each opponent in a round")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32",
                        help="of (c) and (d); (a) and (b) are fp32")
    parser.add_argument("--consistency-every", type=int, default=1)
    parser.add_argument("--only", default="abcd", help="opponents to run, such as bc")
    parser.add_argument("--reference", choices=["a", "b"], help=argparse.SUPPRESS)
    # Of a reference that is started by itself, as tools/check-gpu does.
    for name, more in {"--device": {"default": "cpu"}, "--compile": {"action": "store_true"},
                       "--turns": {"type": int, "default": 0}}.items():
        parser.add_argument(name, help=argparse.SUPPRESS, **more)
    parser.set_defaults(consistency=True)
    parser.add_argument("--make", type=Path, metavar="DIR",
                        help="make a directory of Stable Diffusion's shapes, and stop")
    options = parser.parse_args()
    if options.make:
        return make(options.make)
    if options.reference:
        return reference(options)

    if set("ab") & set(options.only):
        for package in ("torch", "diffusers"):
            if importlib.util.find_spec(package) is None:
                sys.exit(f"bench: {sys.executable} has no {package}; name a Python that has it (PYTHON=...), or leave "
                         "out what needs it (--only c)")
    size = [str(number) for number in options.size]
    rates = [float(word) for word in subprocess.run([PROGRAM, "rates", str(options.threads),
                                                     options.precision], check=True,
                                                    stdout=subprocess.PIPE, text=True).stdout.split()]

    def python(which):
        return [sys.executable, __file__, "--reference", which, "--prior", options.prior, "--size", *size,
                "--particles", options.particles,
                "--threads", options.threads]

    def program(every):
        return [PROGRAM, "steps", options.prior, *size, options.particles, options.micro_batch,
                options.threads, options.precision, every]

    commands = [("a", "(a) published structure, PyTorch", python("a")),
                ("b", "(b) lean, PyTorch", python("b")),
                ("c", f"(c) this program, {options.precision}", program(1))]
    if options.consistency_every > 1:
        commands.append(("d", f"(d) the same, consistency every {options.consistency_every} steps",
                         program(options.consistency_every)))
    opponents = {key: Opponent(name, command) for key, name, command in commands if key in options.only}
    for turn in range(options.rounds + 1):
        for opponent in opponents.values():
            taken = [opponent.turn() for _ in range(options.steps)]
            if turn > 0:
                opponent.seconds += [seconds for seconds, _ in taken]
                opponent.computed += [computed for _, computed in taken]
    work = opponents["b"].turn("count")[0] / options.particles if "b" in opponents else 0.0
    for opponent in opponents.values():
        opponent.end()

    each = {key: median(opponent.seconds) / options.particles for key, opponent in opponents.items()}
    computed = {key: median(opponent.computed) / options.particles for key, opponent in opponents.items()}
    print(f"{options.size[0]} x {options.size[1]}, N = {options.particles}, micro-batch {options.micro_batch} in this program, "
          f"{options.threads} threads; {work * 1e-9:.4g} GFLOP a particle-step. Best measured at {options.precision}: matrix product "
          f"{rates[0]:.0f} GF/s, convolution {rates[1]:.0f} GF/s.\n")
    print("| | s a particle-step (least ... most) | (a) / it | (b) / it | CPU s | (a) / it | (b) / it | GF/s | of the best convolution "
          "| peak memory | start-up |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for key, opponent in opponents.items():
        low, high = (bound(opponent.seconds) / options.particles for bound in (min, max))
        ratio = [f"{values[other] / values[key]:.2f}" if other in values else "-"
                 for values in (each, computed) for other in "ab"]
        speed = work * 1e-9 / each[key] if key != "d" else 0.0
        print(f"| {opponent.name} | {each[key]:.4g} ({low:.4g} ... {high:.4g}) | {ratio[0]} | {ratio[1]} | "
              f"{computed[key]:.4g} | {ratio[2]} | {ratio[3]} | "
              f"{f'{speed:.0f}' if speed else '-'} | {f'{100 * speed / rates[1]:.0f} %' if speed else '-'} | "
              f"{opponent.peak / 2**20:.2f} GiB | {opponent.start_up:.1f} s |")


if __name__ == "__main__":
    main()
