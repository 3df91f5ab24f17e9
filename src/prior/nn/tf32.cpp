#include "prior/nn/tf32.hpp"

#include <utility>

#include <ATen/ATen.h>
#include <ATen/Context.h>

namespace dwgf {

ScopedTf32::ScopedTf32(bool allowed, at::Device device) : active_(device.is_cuda()) {
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

std::function<at::Tensor(const at::Tensor&)> in_tf32(std::function<at::Tensor(const at::Tensor&)> pull_back,
                                                     bool allowed, at::Device device) {
  if (!device.is_cuda()) return pull_back;
  return [pull_back = std::move(pull_back), allowed, device](const at::Tensor& cotangent) {
    const ScopedTf32 multiplication(allowed, device);
    return pull_back(cotangent);
  };
}

}  // namespace dwgf
