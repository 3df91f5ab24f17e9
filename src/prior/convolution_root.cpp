#include "prior/convolution_root.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <ATen/ATen.h>

#include "base/precondition.hpp"

namespace dwgf {

namespace {

/// 1 up to half of e + 1, then a cosine down to 0 at e + 1: [2 e + 1].
at::Tensor taper(std::int64_t reach) {
  const double end = static_cast<double>(reach) + 1.0;
  const at::Tensor distance = at::arange(-reach, reach + 1, at::kDouble).abs();
  const at::Tensor along = ((distance / end - 0.5) * 2.0).clamp(0.0, 1.0);
  return ((along * std::numbers::pi).cos() + 1.0) / 2.0;
}

/// Unit diagonal at offset zero; values without variance become uncorrelated.
at::Tensor correlations(const OffsetMoments& moments) {
  const at::Tensor variance = moments.at_zero().diagonal();
  const at::Tensor inverse = at::where(variance > 0, variance.clamp_min(1e-300).rsqrt(), 0.0);
  at::Tensor values = moments.values * inverse.view({1, 1, -1, 1}) * inverse.view({1, 1, 1, -1});
  values[moments.reach()][moments.reach()].diagonal().fill_(1.0);
  return values;
}

/// The leading eigenvectors [Q, K] of a correlation matrix that leave less than `dropped` of its trace.
at::Tensor channels(const at::Tensor& correlation, double dropped) {
  const auto [values, vectors] = at::linalg_eigh(correlation);  // ascending
  const at::Tensor tail = values.clamp_min(0.0).cumsum(0);
  const std::int64_t left_out = (tail < dropped * correlation.trace()).sum().item<std::int64_t>();
  return vectors.narrow(1, left_out, vectors.size(1) - left_out).flip({1}).contiguous();
}

/// The symmetric root of every frequency's block, in space: [T, T, K, K], offset zero in the middle.
at::Tensor root_in_space(const at::Tensor& values) {
  const std::int64_t reach = (values.size(0) - 1) / 2, side = 2 * (reach + 1), k = values.size(2);
  const at::Tensor window = taper(reach);
  at::Tensor torus = at::zeros({side, side, k, k}, at::kDouble);
  torus.narrow(0, 1, side - 1)
      .narrow(1, 1, side - 1)
      .copy_(values * window.view({-1, 1, 1, 1}) * window.view({1, -1, 1, 1}));
  torus = at::roll(torus, {-reach - 1, -reach - 1}, {0, 1});
  const at::Tensor blocks = at::fft_fft2(torus, {}, {0, 1});
  const auto [eigenvalues, vectors] = at::linalg_eigh(blocks);
  const at::Tensor root = at::matmul(vectors * eigenvalues.clamp_min(0.0).sqrt().unsqueeze(-2), vectors.mH());
  return at::fft_fftshift(at::real(at::fft_ifft2(root, {}, {0, 1})), at::IntArrayRef{0, 1});
}

/// The smallest radius outside of which lies less than `dropped` of the energy.
std::int64_t radius_of(const at::Tensor& kernel, std::int64_t most, double dropped) {
  const std::int64_t middle = kernel.size(0) / 2;
  most = std::min(most, middle - 1);
  const double all = kernel.square().sum().item<double>();
  for (std::int64_t r = 0; r < most; ++r) {
    const at::Tensor inner = kernel.narrow(0, middle - r, 2 * r + 1).narrow(1, middle - r, 2 * r + 1);
    if (inner.square().sum().item<double>() > (1.0 - dropped) * all) return r;
  }
  return most;
}

}  // namespace

ConvolutionRoot convolution_root(const OffsetMoments& moments, std::int64_t radius, double dropped) {
  precondition(radius >= 0 && dropped >= 0 && dropped < 1, "a radius, and a share below 1");
  const at::Tensor all = correlations(moments);
  const at::Tensor basis = channels(all[moments.reach()][moments.reach()], dropped);  // [Q, K]
  const at::Tensor kept = at::matmul(basis.t(), at::matmul(all, basis));              // [., ., K, K]
  const at::Tensor root = root_in_space(kept);
  const std::int64_t r = radius_of(root, radius, dropped), middle = root.size(0) / 2;
  const at::Tensor cut = root.narrow(0, middle - r, 2 * r + 1).narrow(1, middle - r, 2 * r + 1);
  at::Tensor kernel = at::matmul(basis, cut).permute({2, 3, 0, 1});  // [Q, K, k, k]
  const at::Tensor explained =
      at::matmul(basis, at::matmul(kept[moments.reach()][moments.reach()], basis.t()))
          .diagonal()
          .clamp(0.0, 1.0);  // [Q]
  const at::Tensor energy = kernel.square().sum(at::IntArrayRef{1, 2, 3});
  const at::Tensor factor = at::where(energy > 0, (explained / energy.clamp_min(1e-300)).sqrt(), 0.0);
  return {(kernel * factor.view({-1, 1, 1, 1})).contiguous(), explained.contiguous()};
}

}  // namespace dwgf
