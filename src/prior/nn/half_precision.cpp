#include "prior/nn/half_precision.hpp"

#include <utility>

#include <ATen/ATen.h>

namespace dwgf {

bool is_half(at::ScalarType type) {
  return type == at::kHalf || type == at::kBFloat16;
}

std::function<at::Tensor(const at::Tensor&)> within_range(
    std::function<at::Tensor(const at::Tensor&)> pull_back, at::ScalarType type) {
  if (!is_half(type)) return pull_back;
  return [pull_back = std::move(pull_back)](const at::Tensor& cotangent) {
    const at::Tensor largest = cotangent.abs().amax({1, 2, 3}, true);  // [B, 1, 1, 1]
    const at::Tensor exponent = std::get<1>(at::frexp(largest));       // the largest becomes 0.5 ... 1
    const at::Tensor one = at::ones_like(largest);
    return at::ldexp(one, exponent) * pull_back(cotangent * at::ldexp(one, exponent.neg()));
  };
}

}  // namespace dwgf
