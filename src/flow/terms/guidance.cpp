#include "flow/terms/guidance.hpp"

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "flow/methods/latent_dps.hpp"
#include "flow/methods/psld.hpp"

namespace dwgf {

at::Tensor unit_vectors(const at::Tensor& v) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(v.dim()), 1);
  shape[0] = v.size(0);
  const at::Tensor square = v.flatten(1).square().sum(1).view(shape);  // [M, 1, ...]
  return v * at::where(square > 0.0, square.rsqrt(), at::zeros_like(square));
}

void require_fits(Method method, const ForwardOperator& forward) {
  if (method != Method::psld || forward.is_linear()) return;
  throw UsageError(
      "flow.method = psld works with linear operators only, and this problem.operator is none; take "
      "latent-dps, "
      "rlsd or dwgf");
}

std::unique_ptr<Guidance> make_guidance(const Problem& problem, const FlowOptions& options) {
  switch (options.method) {
    case Method::latent_dps:
      return std::make_unique<LatentDps>(problem, options.guidance.weight);
    case Method::psld:
      return std::make_unique<Psld>(problem, options.guidance.weight, options.psld.gluing);
    default:
      break;
  }
  throw InternalError("a method that is no sampler has no guidance");
}

}  // namespace dwgf
