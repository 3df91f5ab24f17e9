/// Attention where it is not left to LibTorch's fused kernels: of heads that are too wide for them, and its
/// vector-Jacobian product, without autograd.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "prior/nn/layer_options.hpp"

namespace dwgf {

/// 256 MiB in float32.
inline constexpr std::int64_t kAttentionAtOnce = std::int64_t{1} << 26;

/// P V as below. With Kernels::device, heads wider than 256 go by matrix products in float32, over as many
/// samples at once as in attention_vjp: of the fused kernels for GPUs none but the slowest takes them.
at::Tensor attention(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                     Kernels kernels, std::int64_t at_once = kAttentionAtOnce);

/// One for each factor, of its shape and type.
struct AttentionCotangents {
  at::Tensor queries, keys, values;
};

/// J^T c of A = P V with P = softmax(Q K^T / sqrt(d)): with the row sums taken over the keys,
///
///     P^T c   for V,      S^T Q / sqrt(d)   for K,      S K / sqrt(d)   for Q,
///     S = P * (c V^T - sum(P * (c V^T)))
///
/// (arXiv 2205.14135, appendix B.2). Q, K, V and c are [B, heads, L, d].
///
/// Kernels::host takes LibTorch's kernel for CPUs. Kernels::portable forms P again, in float32 or wider: five
/// batches of matrix products, over as many samples at once as have `at_once` entries of P, and at least one.
/// Their sums do not depend on chance, as those of a fused backward kernel that splits the keys do, whose
/// blocks add into the queries' cotangent in the order in which they end.
AttentionCotangents attention_vjp(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                                  const at::Tensor& cotangent, Kernels kernels,
                                  std::int64_t at_once = kAttentionAtOnce);

}  // namespace dwgf
