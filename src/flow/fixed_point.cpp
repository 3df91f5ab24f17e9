#include <cmath>

#include <ATen/ATen.h>

#include <dwgf/flow/fixed_point.hpp>

namespace dwgf {

namespace {
constexpr double kScale = 0x1p40;
constexpr double kLargestSum = 0x1p22;
}  // namespace

EnsembleMoments::EnsembleMoments(std::int64_t elements, std::int64_t particles)
    : elements_(elements), particles_(particles), sums_(at::zeros({2 * elements + 1}, at::kLong)) {}

void EnsembleMoments::add(const at::Tensor& v, std::int64_t count) {
  const at::Tensor values = v.slice(0, 0, count).to(at::kCPU, at::kDouble).contiguous();  // [count, elements]
  const double* value = values.data_ptr<double>();
  std::int64_t* first = sums_.data_ptr<std::int64_t>();
  std::int64_t* second = first + elements_;
  std::int64_t& diverged = first[2 * elements_];
  const double limit = kLargestSum / static_cast<double>(particles_);
  for (std::int64_t sample = 0; sample < count; ++sample) {
    for (std::int64_t e = 0; e < elements_; ++e, ++value) {
      const double square = *value * *value;
      if (!(std::abs(*value) < limit && square < limit)) {
        ++diverged;
        continue;
      }
      first[e] += std::llrint(*value * kScale);
      second[e] += std::llrint(square * kScale);
    }
  }
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
  return sums_[2 * elements_].item<std::int64_t>() != 0;
}

at::Tensor EnsembleMoments::mean() const {
  return sums_.slice(0, 0, elements_).to(at::kDouble) / (kScale * static_cast<double>(particles_));
}

at::Tensor EnsembleMoments::variance() const {
  if (particles_ == 1) return at::zeros({elements_}, at::kDouble);
  const double n = static_cast<double>(particles_);
  const at::Tensor m = mean();                                                                  // [elements]
  const at::Tensor second = sums_.slice(0, elements_, 2 * elements_).to(at::kDouble) / kScale;  // [elements]
  return ((second - n * m * m) / (n - 1)).clamp_min(0.0);
}

}  // namespace dwgf
