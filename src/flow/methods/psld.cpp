#include "flow/methods/psld.hpp"

#include <ATen/ATen.h>

#include "flow/canvas.hpp"
#include "flow/methods/guided_sampling.hpp"

namespace dwgf {

Psld::Psld(const Problem& problem, double measurement_weight, double gluing_weight)
    : problem_(problem),
      measurement_weight_(measurement_weight),
      gluing_weight_(gluing_weight),
      y_(problem.measurement()) {
  const double norm = problem.forward.squared_norm(problem.image_shape);
  inverse_scale_ = norm > 0.0 ? 1.0 / norm : 0.0;
}

GuidanceGradient Psld::gradient(const at::Tensor& z0) const {
  const ForwardOperator& forward = problem_.forward;
  const Vjp decoded = problem_.prior.codec->decode_vjp(z0);
  const at::Tensor seen = cut_to_image(decoded.value, problem_.image_shape);  // [M, C, H, W]
  const at::Tensor missed = forward.apply(seen) - y_;                         // [M, ...]
  const at::Tensor inverted = inverse_scale_ * forward.pull_back(seen, missed);

  // The gluing term: its gradient in z0 alone, and what comes through E of x - A^+ (A x - y).
  const Vjp encoded =
      problem_.prior.codec->encode_vjp(decoded.value - put_on_canvas(inverted, decoded.value));
  const at::Tensor apart = gluing_weight_ * unit_vectors(z0 - encoded.value);  // [M, c, h, w]
  const at::Tensor glued = encoded.pull(apart);                                // [M, C, H', W']
  const at::Tensor glued_seen = cut_to_image(glued, problem_.image_shape);     // [M, C, H, W]
  const at::Tensor measured =
      inverse_scale_ * forward.pull_back(seen, forward.apply(glued_seen)) +
      measurement_weight_ * forward.pull_back(seen, unit_vectors(missed));  // [M, C, H, W]
  const at::Tensor cotangent = put_on_canvas(measured, glued) - glued;      // [M, C, H', W']
  return {decoded.pull(cotangent) + apart, misfit_of(missed, forward)};
}

std::unique_ptr<FlowMethod> make_psld(const MethodSetup& setup) {
  return guided_sampling(
      setup, std::make_unique<Psld>(setup.problem, setup.options.guidance.weight, setup.options.psld.gluing));
}

}  // namespace dwgf
