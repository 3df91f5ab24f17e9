#include <cmath>

#include <ATen/ATen.h>

#include <dwgf/flow/fixed_point.hpp>

#include "base/precondition.hpp"
#include "prior/nn/own_kernels.hpp"

namespace dwgf {

namespace {
constexpr double kScale = 0x1p40;
constexpr double kLargestSum = 0x1p22;

enum class Moment { mean, variance };

/// Of sums int64 [2 elements + 1] over `particles`, by the device's kernel; [elements] float64.
at::Tensor by_kernel(const at::Tensor& sums, std::int64_t particles, Moment which) {
  const std::int64_t elements = (sums.numel() - 1) / 2;
  const at::Tensor out = at::empty({elements}, sums.options().dtype(at::kDouble));
  own_kernels(sums.device())
      ->moments({.elements = elements,
                 .particles = particles,
                 .sums = sums.data_ptr<std::int64_t>(),
                 .mean = which == Moment::mean ? out.data_ptr<double>() : nullptr,
                 .variance = which == Moment::variance ? out.data_ptr<double>() : nullptr},
                stream_of(sums.device()));
  return out;
}

}  // namespace

EnsembleMoments::EnsembleMoments(std::int64_t elements, std::int64_t particles, const at::Device& device)
    : elements_(elements),
      particles_(particles),
      sums_(at::zeros({2 * elements + 1}, at::TensorOptions(at::kLong).device(device))) {}

void EnsembleMoments::add(const at::Tensor& v, std::int64_t count) {
  if (count == 0) return;
  const double limit = kLargestSum / static_cast<double>(particles_);
  const DeviceKernels* const kernels = own_kernels(sums_.device());
  if (const auto number = kernel_number(v.scalar_type()); kernels && number) {
    const at::Tensor values = v.slice(0, 0, count).to(sums_.device()).contiguous();  // [count, ...]
    const at::Tensor scratch =
        at::empty({static_cast<std::int64_t>(moment_scratch(elements_))}, sums_.options());
    kernels->add_moments({.samples = count,
                          .elements = elements_,
                          .number = *number,
                          .values = values.data_ptr(),
                          .limit = limit,
                          .sums = sums_.data_ptr<std::int64_t>(),
                          .scratch = scratch.data_ptr<std::int64_t>()},
                         stream_of(sums_.device()));
    return;
  }
  const auto add_terms = [&](const at::Tensor& terms, std::int64_t first) {  // [count, elements]
    const at::Tensor good = terms.abs() < limit;                             // false for NaN
    // Rounded as llrint does, half to even; float64 holds the product exactly.
    const at::Tensor fixed = at::where(good, terms * kScale, 0.0).round_().to(at::kLong);
    sums_.slice(0, first, first + elements_).add_(fixed.sum(0));
    return good;
  };
  const at::Tensor values =
      v.slice(0, 0, count).flatten(1).to(sums_.device(), at::kDouble);  // [count, elements]
  const at::Tensor good_values = add_terms(values, 0);
  const at::Tensor good_squares = add_terms(values.square(), elements_);
  sums_.slice(0, 2 * elements_).add_(at::logical_and(good_values, good_squares).logical_not_().sum());
}

void EnsembleMoments::start(Collective& group) {
  pending_ =
      group.start_all_reduce_sum({sums_.data_ptr<std::int64_t>(), static_cast<std::size_t>(sums_.numel())});
}

void EnsembleMoments::wait() {
  if (pending_) pending_->wait();
  pending_.reset();
}

bool EnsembleMoments::diverged() const {
  precondition(!pending_, "sums whose all-reduce was waited for");
  return sums_[2 * elements_].item<std::int64_t>() != 0;
}

at::Tensor EnsembleMoments::mean() const {
  precondition(!pending_, "sums whose all-reduce was waited for");
  if (own_kernels(sums_.device())) return by_kernel(sums_, particles_, Moment::mean);
  const at::Tensor poison = at::where(sums_.slice(0, 2 * elements_) > 0, std::nan(""), 0.0);  // [1]
  return sums_.slice(0, 0, elements_).to(at::kDouble) / (kScale * static_cast<double>(particles_)) + poison;
}

at::Tensor EnsembleMoments::variance() const {
  precondition(!pending_, "sums whose all-reduce was waited for");
  if (own_kernels(sums_.device())) return by_kernel(sums_, particles_, Moment::variance);
  if (particles_ == 1) return at::zeros_like(mean());
  const double n = static_cast<double>(particles_);
  const at::Tensor m = mean();                                                                  // [elements]
  const at::Tensor second = sums_.slice(0, elements_, 2 * elements_).to(at::kDouble) / kScale;  // [elements]
  return ((second - n * m * m) / (n - 1)).clamp_min(0.0);
}

}  // namespace dwgf
