#include <functional>
#include <numeric>
#include <vector>

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

at::Tensor ForwardOperator::push_forward(const at::Tensor& x, const at::Tensor& v) const {
  constexpr double kStep = 1e-4;  // of x: small beside its scale, large beside the rounding of float64
  const at::Tensor centre = x.to(at::kDouble), along = v.to(at::kDouble);
  const at::Tensor largest = along.abs().flatten(1).amax(1).clamp_min(1e-30);  // [B]
  const auto spread = [&](const at::Tensor& values) {
    std::vector<std::int64_t> shape(static_cast<std::size_t>(values.dim()), 1);
    shape[0] = -1;
    return largest.view(shape);
  };
  const at::Tensor step = along * (kStep / spread(along));
  const at::Tensor change = apply(centre + step) - apply(centre - step);  // [B, ...]
  return (change * (spread(change) / (2 * kStep))).to(x.scalar_type());
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
