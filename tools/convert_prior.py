#!/usr/bin/env python3
"""Makes a diffusers directory, which `prior.path` takes, of what people have in other forms.

    tools/convert_prior.py checkpoint FILE.safetensors --like DIR --to OUT    a single-file checkpoint
    tools/convert_prior.py network FILE.safetensors --like DIR --to OUT       one network: the U-Net of DMD2, Lightning or LCM
    tools/convert_prior.py lora FILE.safetensors --like DIR --to OUT          a LoRA, added to the weights it was made for
    tools/convert_prior.py check                                             tries all three on tiny models

DIR is a diffusers directory of the model that FILE was made of (Stable Diffusion 1.x, 2.x, XL, 3): for a checkpoint its
configurations and tokenizers suffice, the weights need not be there; for the others it is whole. Nothing is fetched.
--scheduler lcm | tcd | trailing also writes the scheduler that a distilled model needs. DIR stays as it is.

A development tool. Needs torch 2.13, diffusers 0.42.1, transformers 5.23, safetensors, and peft 0.21 for LoRAs.
"""
import argparse
import json
import os
import pathlib
import shutil
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # what is missing is said, not fetched

import diffusers
import diffusers.utils.logging
import torch
import transformers.utils.logging
from safetensors import safe_open
from safetensors.torch import load_file, save_file

WEIGHTS = "diffusion_pytorch_model"
# As the authors of the distilled models use them.
SCHEDULERS = {
    "lcm": ("LCMScheduler", {"original_inference_steps": 50}),
    "tcd": ("TCDScheduler", {"original_inference_steps": 50}),
    "trailing": ("EulerDiscreteScheduler", {"timestep_spacing": "trailing"}),
}


for library in (diffusers, transformers):
    library.utils.logging.set_verbosity_error()
    library.utils.logging.disable_progress_bar()


class Refused(Exception):
    """What is wrong with the input, for the person who gave it."""


def pipeline_class(directory):
    index = directory / "model_index.json"
    if not index.is_file():
        raise Refused(f"there is no {index}; fetch the directory's configurations whole")
    name = json.loads(index.read_text())["_class_name"]
    if not hasattr(diffusers, name):
        raise Refused(f"{index} names the pipeline {name}, which diffusers {diffusers.__version__} does not have")
    return getattr(diffusers, name)


def save(pipeline, target):
    pipeline.save_pretrained(target, safe_serialization=True)


def convert_checkpoint(file, like, target, dtype):
    pipeline = pipeline_class(like).from_single_file(str(file), config=str(like), local_files_only=True, dtype=dtype)
    save(pipeline, target)


def shapes_of(directory):
    shapes = {}
    for file in sorted(directory.glob(f"{WEIGHTS}*.safetensors")):
        with safe_open(file, "pt") as stored:
            shapes.update({name: tuple(stored.get_slice(name).get_shape()) for name in stored.keys()})
    if not shapes:
        raise Refused(f"there are no safetensors weights in {directory}; this needs the whole directory")
    return shapes


def require_same_shapes(given, expected, what):
    lacking, surplus = sorted(expected.keys() - given.keys()), sorted(given.keys() - expected.keys())
    other = sorted(name for name in given.keys() & expected.keys() if given[name] != expected[name])
    for names, word in ((lacking, "lacks"), (surplus, "has besides"), (other, "has in another shape")):
        if names:
            raise Refused(f"it is no {what} of this model: it {word} {len(names)} tensors, first {names[0]}")


def convert_network(file, like, target, folder):
    tensors = load_file(file)
    expected = shapes_of(like / folder)
    # A U-Net distilled with its guidance has one more layer, which its configuration has to name.
    embedding = tensors.get("time_embedding.cond_proj.weight")
    if embedding is not None and "time_embedding.cond_proj.weight" not in expected:
        expected["time_embedding.cond_proj.weight"] = tuple(embedding.shape)
    require_same_shapes({name: tuple(tensor.shape) for name, tensor in tensors.items()}, expected, folder)
    shutil.copytree(like, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(f"{WEIGHTS}*", "*.bin", "*.ckpt"))
    for other in sorted(path.parent for path in like.glob(f"*/{WEIGHTS}*.safetensors")):
        if other.name == folder:
            continue
        for weights in other.glob(f"{WEIGHTS}*"):
            shutil.copy2(weights, target / other.name / weights.name)
    config_file = target / folder / "config.json"
    config = json.loads(config_file.read_text())
    if embedding is not None:
        config["time_cond_proj_dim"] = embedding.shape[1]
        config_file.write_text(json.dumps(config, indent=2) + "\n")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, target / folder / f"{WEIGHTS}.safetensors")


def convert_lora(file, like, target, scale, dtype):
    pipeline = pipeline_class(like).from_pretrained(like, dtype=dtype, local_files_only=True)
    pipeline.load_lora_weights(str(file.parent), weight_name=file.name, local_files_only=True)
    pipeline.fuse_lora(lora_scale=scale)
    pipeline.unload_lora_weights()
    save(pipeline, target)


def write_scheduler(name, target):
    kind, more = SCHEDULERS[name]
    folder = target / "scheduler"
    config = json.loads((folder / "scheduler_config.json").read_text())
    scheduler = getattr(diffusers, kind).from_config(config, **more)
    scheduler.save_pretrained(folder)


def convert(options):
    target, like = options.to, options.like
    if not options.file.is_file():
        raise Refused(f"there is no file {options.file}")
    if not like.is_dir():
        raise Refused(f"there is no directory {like}")
    if target.exists() and any(target.iterdir()):
        raise Refused(f"{target} is not empty")
    # Made beside it, so that OUT is whole or not there.
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=target.name + ".") as made:
        made = pathlib.Path(made) / "prior"
        dtype = getattr(torch, options.type)
        if options.command == "checkpoint":
            convert_checkpoint(options.file, like, made, dtype)
        elif options.command == "network":
            convert_network(options.file, like, made, options.folder)
        else:
            convert_lora(options.file, like, made, options.scale, dtype)
        if options.scheduler:
            write_scheduler(options.scheduler, made)
        if target.exists():
            target.rmdir()
        made.rename(target)
    print(f"{target}: try `dwgf priors {target}`")


# --------------------------------------------------------------------------------------------------- check

def tiny_pipeline(folder):
    """A Stable Diffusion 1.x of a few thousand parameters."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
    torch.manual_seed(1)
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    words = letters + [letter + "</w>" for letter in letters] + ["<|startoftext|>", "<|endoftext|>"]
    (folder / "words").mkdir(parents=True)
    (folder / "words" / "vocab.json").write_text(json.dumps({word: k for k, word in enumerate(words)}))
    (folder / "words" / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(folder / "words" / "vocab.json"), str(folder / "words" / "merges.txt"),
                              model_max_length=77)
    text = CLIPTextModel(CLIPTextConfig(vocab_size=len(words), hidden_size=8, intermediate_size=16, num_hidden_layers=1,
                                        num_attention_heads=2, bos_token_id=52, eos_token_id=53, pad_token_id=53))
    unet = diffusers.UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 16), norm_num_groups=4, cross_attention_dim=8, attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"))
    vae = diffusers.AutoencoderKL(block_out_channels=(8, 8), norm_num_groups=4, latent_channels=4,
                                  down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2)
    scheduler = diffusers.DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False)
    return diffusers.StableDiffusionPipeline(vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet, scheduler=scheduler,
                                             safety_checker=None, feature_extractor=None, requires_safety_checker=False)


def published_names(pipeline):
    """The tensors of a tiny_pipeline under the names of the original Stable Diffusion files, written from that layout:
    https://github.com/CompVis/stable-diffusion (ldm/modules/diffusionmodules/{openaimodel,model}.py)."""
    unet_blocks = {"conv_in.": "input_blocks.0.0.", "down_blocks.0.downsamplers.0.conv.": "input_blocks.3.0.op.",
                   "mid_block.resnets.0.": "middle_block.0.", "mid_block.attentions.0.": "middle_block.1.",
                   "mid_block.resnets.1.": "middle_block.2.", "up_blocks.0.upsamplers.0.conv.": "output_blocks.2.1.conv.",
                   "time_embedding.linear_1.": "time_embed.0.", "time_embedding.linear_2.": "time_embed.2.",
                   "conv_norm_out.": "out.0.", "conv_out.": "out.2."}
    for layer in range(2):
        unet_blocks[f"down_blocks.0.resnets.{layer}."] = f"input_blocks.{1 + layer}.0."
        unet_blocks[f"down_blocks.0.attentions.{layer}."] = f"input_blocks.{1 + layer}.1."
        unet_blocks[f"down_blocks.1.resnets.{layer}."] = f"input_blocks.{4 + layer}.0."
    for layer in range(3):
        unet_blocks[f"up_blocks.0.resnets.{layer}."] = f"output_blocks.{layer}.0."
        unet_blocks[f"up_blocks.1.resnets.{layer}."] = f"output_blocks.{3 + layer}.0."
        unet_blocks[f"up_blocks.1.attentions.{layer}."] = f"output_blocks.{3 + layer}.1."
    parts = {"norm1.": "in_layers.0.", "conv1.": "in_layers.2.", "time_emb_proj.": "emb_layers.1.",
             "norm2.": "out_layers.0.", "conv2.": "out_layers.3.", "conv_shortcut.": "skip_connection."}
    stored = {}
    for name, tensor in pipeline.unet.state_dict().items():
        block = next(block for block in unet_blocks if name.startswith(block))
        rest = name[len(block):]
        part = next((part for part in parts if rest.startswith(part)), None) if "resnets" in block else None
        stored["model.diffusion_model." + unet_blocks[block] + (parts[part] + rest[len(part):] if part else rest)] = tensor
    vae_parts = {"conv_norm_out.": "norm_out.", "conv_shortcut.": "nin_shortcut.", "mid_block.resnets.0.": "mid.block_1.",
                 "mid_block.resnets.1.": "mid.block_2.", "mid_block.attentions.0.group_norm.": "mid.attn_1.norm.",
                 "mid_block.attentions.0.to_q.": "mid.attn_1.q.", "mid_block.attentions.0.to_k.": "mid.attn_1.k.",
                 "mid_block.attentions.0.to_v.": "mid.attn_1.v.", "mid_block.attentions.0.to_out.0.": "mid.attn_1.proj_out.",
                 "downsamplers.0.": "downsample.", "upsamplers.0.": "upsample."}
    for level in range(2):
        for layer in range(3):
            vae_parts[f"down_blocks.{level}.resnets.{layer}."] = f"down.{level}.block.{layer}."
            vae_parts[f"up_blocks.{level}.resnets.{layer}."] = f"up.{1 - level}.block.{layer}."
        vae_parts[f"down_blocks.{level}."] = f"down.{level}."
        vae_parts[f"up_blocks.{level}."] = f"up.{1 - level}."
    for name, tensor in pipeline.vae.state_dict().items():
        is_attention = "attentions.0.to_" in name and name.endswith("weight")
        for ours, theirs in vae_parts.items():
            name = name.replace(ours, theirs)
        # 1 x 1 convolutions there, linear layers here
        stored["first_stage_model." + name] = tensor[:, :, None, None] if is_attention else tensor
    for name, tensor in pipeline.text_encoder.state_dict().items():
        prefix = "" if name.startswith("text_model.") else "text_model."
        stored["cond_stage_model.transformer." + prefix + name] = tensor
    return {name: tensor.contiguous() for name, tensor in stored.items()}


def tensors_under(directory):
    return {f"{file.parent.name}/{name}": tensor for file in sorted(directory.glob("*/*.safetensors"))
            for name, tensor in load_file(file).items()}


def check():
    """All three on tiny models: what goes in comes out, and what does not belong is refused."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        pipeline = tiny_pipeline(folder)
        like = folder / "like"
        save(pipeline, like)
        expected = tensors_under(like)

        save_file(published_names(pipeline), folder / "model.safetensors")
        main(["checkpoint", str(folder / "model.safetensors"), "--like", str(like), "--to", str(folder / "one")])
        found = tensors_under(folder / "one")
        assert found.keys() == expected.keys(), sorted(found.keys() ^ expected.keys())[:3]
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())

        unet = {name: tensor + 1 for name, tensor in pipeline.unet.state_dict().items()}
        save_file(unet, folder / "unet.safetensors")
        main(["network", str(folder / "unet.safetensors"), "--like", str(like), "--to", str(folder / "two"),
              "--scheduler", "lcm"])
        found = tensors_under(folder / "two")
        assert found.keys() == expected.keys()
        assert torch.equal(found["unet/conv_in.bias"], expected["unet/conv_in.bias"] + 1)
        assert torch.equal(found["vae/encoder.conv_in.bias"], expected["vae/encoder.conv_in.bias"])
        assert json.loads((folder / "two/scheduler/scheduler_config.json").read_text())["_class_name"] == "LCMScheduler"
        save_file({"conv_in.bias": unet["conv_in.bias"]}, folder / "cut.safetensors")
        assert main(["network", str(folder / "cut.safetensors"), "--like", str(like), "--to", str(folder / "no")]) == 65
        assert not (folder / "no").exists()

        target = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
        down, up = torch.randn(2, 8), torch.randn(8, 2)
        save_file({f"unet.{target}.lora_A.weight": down, f"unet.{target}.lora_B.weight": up}, folder / "lora.safetensors")
        main(["lora", str(folder / "lora.safetensors"), "--like", str(like), "--to", str(folder / "three"), "--scale", "0.5"])
        found = tensors_under(folder / "three")
        changed = [name for name, tensor in expected.items() if not torch.equal(found[name], tensor)]
        assert changed == [f"unet/{target}.weight"], changed
        torch.testing.assert_close(found[changed[0]], expected[changed[0]] + 0.5 * up @ down)
    print("check: all conversions right")
    return 0


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("checkpoint", "network", "lora"):
        command = commands.add_parser(name)
        command.add_argument("file", type=pathlib.Path)
        command.add_argument("--like", type=pathlib.Path, required=True, help="a diffusers directory of the same model")
        command.add_argument("--to", type=pathlib.Path, required=True, help="the directory to make")
        command.add_argument("--scheduler", choices=sorted(SCHEDULERS), help="that of a distilled model")
        command.add_argument("--type", default="float32", choices=("float32", "float16", "bfloat16"), help="of the weights")
        command.add_argument("--folder", default="unet", help="of the network that is replaced")
        command.add_argument("--scale", type=float, default=1.0, help="of the LoRA")
    commands.add_parser("check")
    options = parser.parse_args(arguments)
    if options.command == "check":
        return check()
    try:
        convert(options)
    except (Refused, OSError, ValueError, KeyError) as error:
        print(f"convert_prior: {error}", file=sys.stderr)
        return 65
    return 0


if __name__ == "__main__":
    sys.exit(main())
