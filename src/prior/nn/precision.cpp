#include "prior/nn/precision.hpp"

#include <utility>

#include <ATen/ATen.h>
#include <ATen/Context.h>

namespace dwgf {

bool is_half(at::ScalarType type) {
  return type == at::kHalf || type == at::kBFloat16;
}

void fix_arithmetic_of_devices() {
  at::Context& context = at::globalContext();
  context.setDeterministicAlgorithms(true, /*warn_only=*/false);
  // Which would write to every new tensor first.
  context.setDeterministicFillUninitializedMemory(false);
  context.setDeterministicCuDNN(true);
  context.setBenchmarkCuDNN(false);
  context.setAllowFP16ReductionCuBLAS(false);
  context.setAllowBF16ReductionCuBLAS(false);
}

ScopedTf32::ScopedTf32(bool allowed, at::Device device) : active_(!device.is_cpu()) {
  if (!active_) return;
  at::Context& context = at::globalContext();
  convolutions_ = context.allowTF32CuDNN();
  matrices_ = context.allowTF32CuBLAS();
  context.setAllowTF32CuDNN(allowed);
  context.setAllowTF32CuBLAS(allowed);
}

ScopedTf32::~ScopedTf32() {
  if (!active_) return;
  at::globalContext().setAllowTF32CuDNN(convolutions_);
  at::globalContext().setAllowTF32CuBLAS(matrices_);
}

std::function<at::Tensor(const at::Tensor&)> pull_in(NetworkPrecision precision, at::Device device,
                                                     std::function<at::Tensor(const at::Tensor&)> pull) {
  return [pull = std::move(pull), precision, device](const at::Tensor& cotangent) {
    const ScopedTf32 multiplication(precision.tf32, device);
    if (!is_half(precision.type)) return pull(cotangent);
    const at::Tensor largest = cotangent.abs().amax({1, 2, 3}, true);  // [B, 1, 1, 1]
    const at::Tensor exponent = std::get<1>(at::frexp(largest));       // the largest becomes 0.5 ... 1
    const at::Tensor one = at::ones_like(largest);
    return at::ldexp(one, exponent) * pull(cotangent * at::ldexp(one, exponent.neg()));
  };
}

}  // namespace dwgf
