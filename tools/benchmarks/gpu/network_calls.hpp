/// The calls that a flow makes of a prior's networks, on inputs that are the same on every machine.
#pragma once

#include <string>

#include <ATen/core/Tensor.h>

#include <dwgf/prior/families/known_families.hpp>

namespace dwgf::gpu {

/// fp32, tf32, bf16 or fp16, for both networks. Throws std::invalid_argument for another word.
PriorOptions prior_options(const std::string& precision, const at::Device& device);

/// M samples at edge x edge pixels, in the prior's type on its device.
struct NetworkInputs {
  NetworkInputs(const Prior& prior, std::int64_t edge, std::int64_t samples);
  at::Tensor z;          ///< [M, c, h, w]
  at::Tensor x;          ///< [M, C, H, W]
  at::Tensor cotangent;  ///< [M, C, H, W]
  Level level;           ///< in the middle of the path
};

/// What one call of each network makes of them.
struct NetworkResults {
  NetworkResults(const Prior& prior, const NetworkInputs& in);
  at::Tensor noise, decoded, pulled, mean;
};

/// J_D(z)^T cotangent.
at::Tensor pulled_back(const Prior& prior, const NetworkInputs& in);

}  // namespace dwgf::gpu
