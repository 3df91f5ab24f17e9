#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/metric/image_quality.hpp>

namespace dwgf {
namespace {

constexpr double kDataRange = 2;
constexpr std::int64_t kRadius = 5;  // truncate 3.5 at sigma 1.5, as scipy rounds it
constexpr std::int64_t kWindow = 2 * kRadius + 1;

constexpr std::int64_t kBandValues = std::int64_t{1} << 22;  // of an image at a time

/// The mean of `of` (two images as [C, H, W] doubles on the host, clipped to [-1, 1]) -> [C, H - margin, W'],
/// in bands of rows, so that memory does not grow with the images.
double mean_in_bands(const at::Tensor& x, const at::Tensor& truth, std::int64_t margin,
                     const std::function<at::Tensor(const at::Tensor&, const at::Tensor&)>& of) {
  const auto clipped = [](const at::Tensor& image) {
    return image.detach().to(at::kCPU, at::kDouble).clamp(-1, 1).contiguous();
  };
  const std::int64_t rows = x.size(1) - margin;
  if (x.numel() <= kBandValues) return of(clipped(x), clipped(truth)).mean().item<double>();
  const std::int64_t most = std::max<std::int64_t>(kBandValues / (x.size(0) * x.size(2)), 1);
  double sum = 0, count = 0;
  for (std::int64_t first = 0; first < rows; first += most) {
    const std::int64_t taken = std::min(most, rows - first) + margin;
    const at::Tensor values = of(clipped(x.narrow(1, first, taken)), clipped(truth.narrow(1, first, taken)));
    sum += values.sum().item<double>();
    count += static_cast<double>(values.numel());
  }
  return sum / count;
}

void require_images(const at::Tensor& x, const at::Tensor& truth) {
  if (x.dim() == 3 && x.sizes() == truth.sizes()) return;
  throw InternalError("image quality of shapes {} and {}: two [C, H, W] are needed", x.sizes(),
                      truth.sizes());
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

/// At every pixel at least 5 from the border: [C, H - 10, W - 10].
at::Tensor similarity(const at::Tensor& a, const at::Tensor& b) {
  constexpr double c1 = (0.01 * kDataRange) * (0.01 * kDataRange),
                   c2 = (0.03 * kDataRange) * (0.03 * kDataRange);
  const at::Tensor mean_a = local_mean(a), mean_b = local_mean(b);                // [C, H - 10, W - 10]
  constexpr double sample = double{kWindow * kWindow} / (kWindow * kWindow - 1);  // of the sample covariance
  const at::Tensor variance_a = (local_mean(a * a) - mean_a * mean_a) * sample;
  const at::Tensor variance_b = (local_mean(b * b) - mean_b * mean_b) * sample;
  const at::Tensor covariance = (local_mean(a * b) - mean_a * mean_b) * sample;
  return (2 * mean_a * mean_b + c1) * (2 * covariance + c2) /
         ((mean_a * mean_a + mean_b * mean_b + c1) * (variance_a + variance_b + c2));
}

}  // namespace

double psnr(const at::Tensor& x, const at::Tensor& truth) {
  require_images(x, truth);
  const double mean_square =
      mean_in_bands(x, truth, 0, [](const at::Tensor& a, const at::Tensor& b) { return (a - b).square(); });
  return 10 * std::log10(kDataRange * kDataRange / mean_square);
}

double ssim(const at::Tensor& x, const at::Tensor& truth) {
  require_images(x, truth);
  if (x.size(1) < kWindow || x.size(2) < kWindow) return std::numeric_limits<double>::quiet_NaN();
  return mean_in_bands(x, truth, 2 * kRadius, similarity);  // channels have the same number of pixels
}

}  // namespace dwgf
