/// Three ways to pull a cotangent back through the decoder, J_D(z)^T c, that differ in memory and time:
///
///   plain      everything the backward pass needs is kept from the forward pass. Fastest.
///   recompute  only the input of each of the decoder's blocks is kept; a block is run again when its turn
///              comes (arXiv 1604.06174). One more forward pass; the same bits.
///   tiled      the decoder behind its coarse stages is run again on overlapping tiles of the latents' grid,
///              tile by tile and, within a tile, block by block. Beyond what a forward pass takes, memory no
///              longer grows with the image but by the grid of latents. Tiles overlap by all that an image
///              point can see, and norms use the statistics of the whole image,
///                  so that no seam is made: every
///              tile's image is that of the whole to rounding. In the gradient those statistics count as
///              constants: the part of J_D^T c that passes through them is left out. It is small where the
///              cotangent has no common direction (noise), and not where it has one, as the norms undo a
///              common shift or scale (README, "Memory", has figures).
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include <dwgf/prior/families/stable_diffusion.hpp>

#include "prior/differentiate.hpp"
#include "prior/models/autoencoder.hpp"

namespace dwgf {

/// The edge of a tile without its overlap, in positions of the latents' grid.
inline constexpr std::int64_t kTile = 32;

/// z [B, c, h, w] on the autoencoder's scale and in its type; cotangents [B, C, H, W] too. `stages` live as
/// long as the pull-back.
Differentiated differentiate_decoder(const Autoencoder::DecoderStages& stages, const at::Tensor& z,
                                     DecoderGradient how, std::int64_t tile = kTile);

}  // namespace dwgf
