#include "prior/nn/attention_vjp.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include <ATen/ATen.h>

namespace dwgf {
namespace {

AttentionCotangents by_host_kernel(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                   const at::Tensor& cotangent) {
  const auto [out, log_sums] = at::_scaled_dot_product_flash_attention_for_cpu(q, k, v);
  const auto [to_q, to_k, to_v] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
      cotangent, q, k, v, out, log_sums, /*dropout_p=*/0.0, /*is_causal=*/false);
  return {to_q, to_k, to_v};
}

/// In the arguments' type, which is float32 or wider.
AttentionCotangents by_matrix_products(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                       const at::Tensor& cotangent) {
  const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(3)));
  const at::Tensor scaled = q * scale;                                            // [B, heads, L, d]
  const at::Tensor p = at::softmax(at::matmul(scaled, k.transpose(2, 3)), -1);    // [B, heads, L, L]
  const at::Tensor to_p = at::matmul(cotangent, v.transpose(2, 3));               // [B, heads, L, L]
  const at::Tensor s = at::_softmax_backward_data(to_p, p, -1, p.scalar_type());  // [B, heads, L, L]
  return {at::matmul(s, k).mul_(scale), at::matmul(s.transpose(2, 3), scaled),
          at::matmul(p.transpose(2, 3), cotangent)};
}

/// Of one sample's P as many together as have `at_once` entries, and at least one.
std::int64_t samples_together(const at::Tensor& queries, const at::Tensor& keys, std::int64_t at_once) {
  const std::int64_t entries = queries.size(1) * queries.size(2) * keys.size(2);
  return std::clamp<std::int64_t>(at_once / entries, 1, queries.size(0));
}

at::Tensor part_of(const at::Tensor& all, std::int64_t first, std::int64_t end) {
  return all.slice(0, first, end).to(all.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
}

constexpr std::int64_t kWidestFused = 256;

}  // namespace

at::Tensor attention(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                     Kernels kernels, std::int64_t at_once) {
  if (kernels != Kernels::device || queries.size(3) <= kWidestFused || queries.requires_grad())
    return at::scaled_dot_product_attention(queries, keys, values);
  const double scale = 1.0 / std::sqrt(static_cast<double>(queries.size(3)));
  const std::int64_t samples = queries.size(0), together = samples_together(queries, keys, at_once);
  std::vector<at::Tensor> parts;
  for (std::int64_t first = 0; first < samples; first += together) {
    const std::int64_t end = std::min(first + together, samples);
    const at::Tensor scaled = part_of(queries, first, end) * scale;
    const at::Tensor p = at::softmax(at::matmul(scaled, part_of(keys, first, end).transpose(2, 3)), -1);
    parts.push_back(at::matmul(p, part_of(values, first, end)).to(queries.scalar_type()));
  }
  return parts.size() == 1 ? parts.front() : at::cat(parts, 0);  // [B, heads, L, d]
}

AttentionCotangents attention_vjp(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                                  const at::Tensor& cotangent, Kernels kernels, std::int64_t at_once) {
  if (kernels == Kernels::host) return by_host_kernel(queries, keys, values, cotangent);
  const std::int64_t samples = queries.size(0), together = samples_together(queries, keys, at_once);
  AttentionCotangents out{at::empty_like(queries), at::empty_like(keys), at::empty_like(values)};
  for (std::int64_t first = 0; first < samples; first += together) {
    const std::int64_t end = std::min(first + together, samples);
    const auto wide = [&](const at::Tensor& all) { return part_of(all, first, end); };
    const AttentionCotangents part =
        by_matrix_products(wide(queries), wide(keys), wide(values), wide(cotangent));
    out.queries.slice(0, first, end).copy_(part.queries);
    out.keys.slice(0, first, end).copy_(part.keys);
    out.values.slice(0, first, end).copy_(part.values);
  }
  return out;
}

}  // namespace dwgf
