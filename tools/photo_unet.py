"""The network of the prior of photographs, as src/prior/models/photo_unet.hpp has it.

A convolutional U-Net without norms over images [B, 3, H, W], H and W multiples of 2^levels, that predicts
v = a eps - s z_0 (arXiv 2202.00512, appendix D) from z_t = a z_0 + s eps. Needs PyTorch alone.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    """x + W2 silu((1 + g) * (W1 silu(x)) + h): 3x3 convolutions, g and h linear in the level's embedding."""

    def __init__(self, channels, embedding):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.film = nn.Linear(embedding, 2 * channels)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)

    def forward(self, x, told):
        gain, shift = self.film(told)[:, :, None, None].chunk(2, 1)
        inner = torch.addcmul(shift, self.conv1(F.silu(x)), 1 + gain)
        return x + self.conv2(F.silu(inner))


class PhotoUNet(nn.Module):
    """Levels of the U-Net: pixels in squares of 2 (of one image pixel to 4 numbers), then each half as fine.
    A 2x2 convolution of stride 2 leads down, its transpose up, where the way down is added."""

    def __init__(self, channels=(48, 96, 192, 256), blocks=(1, 1, 1, 2), embedding=128, frequencies=16):
        super().__init__()
        self.settings = dict(_class_name="PhotoUNet", in_channels=3, block_out_channels=list(channels),
                             layers_per_block=list(blocks), time_embedding_dim=embedding,
                             noise_frequencies=frequencies, sample_size=128, prediction_type="v_prediction")
        self.frequencies = frequencies
        self.embed1 = nn.Linear(2 * frequencies, embedding)
        self.embed2 = nn.Linear(embedding, embedding)
        self.conv_in = nn.Conv2d(12, channels[0], 3, padding=1)
        levels = range(len(channels) - 1)
        stack = lambda i: nn.ModuleList(Block(channels[i], embedding) for _ in range(blocks[i]))
        self.down = nn.ModuleList(stack(i) for i in levels)
        self.narrow = nn.ModuleList(nn.Conv2d(channels[i], channels[i + 1], 2, stride=2) for i in levels)
        self.middle = stack(len(channels) - 1)
        self.widen = nn.ModuleList(nn.Conv2d(channels[i + 1], 4 * channels[i], 1) for i in levels)
        self.up = nn.ModuleList(stack(i) for i in levels)
        self.conv_out = nn.Conv2d(channels[0], 12, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.conv_out.bias)

    def embedding(self, log_noise):
        """[n] of log(s / a) -> [n, embedding]."""
        waves = torch.exp(torch.arange(self.frequencies) * (math.log(20.0) / (self.frequencies - 1))) * 0.25
        phase = log_noise[:, None].float() * waves
        features = torch.cat((phase.cos(), phase.sin()), 1).to(self.embed1.weight.dtype)
        return F.silu(self.embed2(F.silu(self.embed1(features))))

    def forward(self, z, log_noise):
        told = self.embedding(log_noise)
        x = self.conv_in(F.pixel_unshuffle(z, 2))
        kept = []
        for stack, narrow in zip(self.down, self.narrow):
            for block in stack:
                x = block(x, told)
            kept.append(x)
            x = narrow(x)
        for block in self.middle:
            x = block(x, told)
        for i in reversed(range(len(self.up))):
            x = kept[i] + F.pixel_shuffle(self.widen[i](x), 2)
            for block in self.up[i]:
                x = block(x, told)
        return F.pixel_shuffle(self.conv_out(F.silu(x)), 2)
