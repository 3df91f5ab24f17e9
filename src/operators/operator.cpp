#include <functional>
#include <numeric>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <dwgf/operators/operator.hpp>

namespace dwgf {

at::Tensor ForwardOperator::pull_back(const at::Tensor& x, const at::Tensor& r) const {
  // Callers run without gradients, some in inference mode, whose tensors autograd refuses.
  const c10::InferenceMode no_inference(false);
  const c10::AutoGradMode gradients(true);
  const at::Tensor input = (x.is_inference() ? x.clone() : x.detach()).requires_grad_(true);
  const at::Tensor cotangent = r.is_inference() ? r.clone() : r.detach();
  return torch::autograd::grad({apply(input)}, {input}, {cotangent}).front().detach();
}

std::int64_t ForwardOperator::observed_count() const {
  const at::Tensor mask = observed();
  if (mask.defined()) return mask.count_nonzero().item<std::int64_t>();
  const std::vector<std::int64_t> shape = measurement_shape();
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

}  // namespace dwgf
