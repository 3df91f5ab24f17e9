#include "operators/baselines/noise_level.hpp"

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

namespace dwgf {
namespace {

/// a - 2 b + c of neighbours along `dim`: two values shorter.
at::Tensor second_difference(const at::Tensor& x, std::int64_t dim) {
  const std::int64_t size = x.size(dim) - 2;
  return x.narrow(dim, 0, size) - 2 * x.narrow(dim, 1, size) + x.narrow(dim, 2, size);
}

/// 1 where all three neighbours along `dim` are.
at::Tensor all_three(const at::Tensor& mask, std::int64_t dim) {
  const std::int64_t size = mask.size(dim) - 2;
  return mask.narrow(dim, 0, size) * mask.narrow(dim, 1, size) * mask.narrow(dim, 2, size);
}

}  // namespace

double estimate_noise_level(const at::Tensor& y, const ForwardOperator& forward) {
  constexpr std::int64_t least_differences = 64;
  constexpr double median_of_normal = 0.6744897501960817;
  if (!forward.measures_image()) {
    throw UsageError(
        "problem.sigma: 'estimate' takes the noise from the fine differences of a measured image, and this "
        "operator "
        "does not measure one; give the noise's standard deviation");
  }
  at::Tensor differences;
  if (y.size(1) > 2 && y.size(2) > 2) {
    differences = second_difference(second_difference(y.to(at::kCPU, at::kDouble), 1), 2) / 6;
    if (const at::Tensor observed = forward.observed(); observed.defined())
      differences = differences.masked_select(all_three(all_three(observed, 1), 2).to(at::kBool));
  }
  const std::int64_t count = differences.defined() ? differences.numel() : 0;
  if (count < least_differences) {
    throw DataError(
        "problem.sigma: 'estimate' needs {} observed squares of 3 x 3 pixels, and this measurement has {}; "
        "give the noise's standard deviation",
        least_differences, count);
  }
  return differences.abs().median().item<double>() / median_of_normal;
}

}  // namespace dwgf
