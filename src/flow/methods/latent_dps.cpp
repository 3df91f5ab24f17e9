#include "flow/methods/latent_dps.hpp"

#include <ATen/ATen.h>

#include "flow/canvas.hpp"

namespace dwgf {

LatentDps::LatentDps(const Problem& problem, double weight)
    : problem_(problem), weight_(weight), y_(problem.y.to(problem.prior.options()).unsqueeze(0)) {}

GuidanceGradient LatentDps::gradient(const at::Tensor& z0) const {
  const DecodedImage decoded = problem_.prior.decode_with_pull_back(z0);
  const at::Tensor seen = cut_to_image(decoded.x, problem_.image_shape);  // [M, C, H, W]
  const at::Tensor missed = problem_.forward.apply(seen) - y_;            // [M, ...]
  const at::Tensor cotangent = problem_.forward.pull_back(seen, weight_ * unit_vectors(missed));
  return {decoded.pull_back(put_on_canvas(cotangent, decoded.x)), misfit_of(missed, problem_.forward)};
}

}  // namespace dwgf
