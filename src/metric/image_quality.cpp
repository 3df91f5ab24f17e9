#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/metric/image_quality.hpp>

namespace dwgf {
namespace {

constexpr double kDataRange = 2;
constexpr std::int64_t kRadius = 5;  // truncate 3.5 at sigma 1.5, as scipy rounds it
constexpr std::int64_t kWindow = 2 * kRadius + 1;

/// Both as [C, H, W] doubles on the host, clipped to [-1, 1].
std::pair<at::Tensor, at::Tensor> prepare(const at::Tensor& x, const at::Tensor& truth) {
  if (x.dim() != 3 || x.sizes() != truth.sizes())
    throw InternalError("image quality of shapes {} and {}: two [C, H, W] are needed", x.sizes(),
                        truth.sizes());
  const auto clipped = [](const at::Tensor& image) {
    return image.detach().to(at::kCPU, at::kDouble).clamp(-1, 1).contiguous();
  };
  return {clipped(x), clipped(truth)};
}

std::array<double, kWindow> gaussian_window() {
  constexpr double sigma = 1.5;
  std::array<double, kWindow> weights{};
  double sum = 0;
  for (std::int64_t k = 0; k < kWindow; ++k) {
    const double offset = static_cast<double>(k - kRadius);
    weights[k] = std::exp(-0.5 * offset * offset / (sigma * sigma));
    sum += weights[k];
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

/// Weighted means over the windows that lie inside the image: the border that is cut away would be the rest.
/// [C, H, W] -> [C, H - 10, W - 10]
at::Tensor local_mean(at::Tensor image) {
  static const std::array<double, kWindow> weights = gaussian_window();
  for (const std::int64_t axis : {1, 2}) {
    const std::int64_t length = image.size(axis) - 2 * kRadius;
    at::Tensor sum = image.narrow(axis, 0, length) * weights[0];
    for (std::int64_t k = 1; k < kWindow; ++k) sum.add_(image.narrow(axis, k, length), weights[k]);
    image = sum;
  }
  return image;
}

}  // namespace

double psnr(const at::Tensor& x, const at::Tensor& truth) {
  const auto [a, b] = prepare(x, truth);
  const double mean_square = (a - b).square().mean().item<double>();
  return 10 * std::log10(kDataRange * kDataRange / mean_square);
}

double ssim(const at::Tensor& x, const at::Tensor& truth) {
  const auto [a, b] = prepare(x, truth);
  if (a.size(1) < kWindow || a.size(2) < kWindow) return std::numeric_limits<double>::quiet_NaN();
  constexpr double c1 = (0.01 * kDataRange) * (0.01 * kDataRange),
                   c2 = (0.03 * kDataRange) * (0.03 * kDataRange);
  const at::Tensor mean_a = local_mean(a), mean_b = local_mean(b);                // [C, H - 10, W - 10]
  constexpr double sample = double{kWindow * kWindow} / (kWindow * kWindow - 1);  // of the sample covariance
  const at::Tensor variance_a = (local_mean(a * a) - mean_a * mean_a) * sample;
  const at::Tensor variance_b = (local_mean(b * b) - mean_b * mean_b) * sample;
  const at::Tensor covariance = (local_mean(a * b) - mean_a * mean_b) * sample;
  const at::Tensor similarity = (2 * mean_a * mean_b + c1) * (2 * covariance + c2) /
                                ((mean_a * mean_a + mean_b * mean_b + c1) * (variance_a + variance_b + c2));
  return similarity.mean().item<double>();  // channels have the same number of pixels
}

}  // namespace dwgf
