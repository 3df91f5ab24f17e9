/// Two ways to the decoder's vector-Jacobian product J_D(z)^T c that differ in memory and time, with the same
/// bits:
///
///   plain      everything the backward pass needs is kept from the forward pass. Fastest.
///   recompute  only the input of each of the decoder's blocks is kept; a block is run again when its turn
///              comes (arXiv 1604.06174). One more forward pass.
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include <dwgf/prior/families/known_families.hpp>
#include <dwgf/prior/vjp.hpp>

#include "prior/models/codec_network.hpp"

namespace dwgf {

/// z [B, c, h, w] on the autoencoder's scale and in its type; cotangents [B, C, H, W] too. `stages` live as
/// long as the product.
Vjp decoder_vjp(const std::vector<DecoderStage>& stages, const at::Tensor& z, DecoderGradient how);

}  // namespace dwgf
