#include <functional>
#include <numeric>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <dwgf/base/random.hpp>
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

namespace {

/// v / |v|, or 0, for one image [1, C, H, W].
at::Tensor unit_vector(const at::Tensor& v) {
  const at::Tensor square = v.flatten(1).square().sum(1).view({1, 1, 1, 1});
  return v * at::where(square > 0.0, square.rsqrt(), at::zeros_like(square));
}

}  // namespace

double ForwardOperator::squared_norm(const ImageShape& image_shape) const {
  if (const double found = squared_norm_; found >= 0.0) return found;
  constexpr int iterations = 50;
  at::Tensor v = at::empty({1, image_shape.channels, image_shape.height, image_shape.width}, at::kFloat);
  fill_normals({}, {v.data_ptr<float>(), static_cast<std::size_t>(v.numel())});
  v = v.to(at::kDouble);
  double largest = 0.0;
  for (int iteration = 0; iteration < iterations; ++iteration) {
    v = unit_vector(v);
    v = pull_back(v, apply(v));
    largest = v.norm().item<double>();
  }
  squared_norm_ = largest;
  return largest;
}

std::int64_t ForwardOperator::observed_count() const {
  const at::Tensor mask = observed();
  if (mask.defined()) return mask.count_nonzero().item<std::int64_t>();
  const std::vector<std::int64_t> shape = measurement_shape();
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

}  // namespace dwgf
