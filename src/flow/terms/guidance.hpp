/// What draws a sampler towards the measurement: the gradient of a loss of the clean estimate z0
/// (reverse_diffusion.hpp).
#pragma once

#include <ATen/core/Tensor.h>

namespace dwgf {

struct GuidanceGradient {
  at::Tensor gradient;  ///< in z0, [M, c, h, w]
  at::Tensor misfit;    ///< |A(x) - y|^2 / (2 m) at x = D(z0), m observed entries of y, float64 [M]
};

class Guidance {
 public:
  virtual ~Guidance() = default;
  /// At z0 [M, c, h, w]; every sample has a loss of its own.
  virtual GuidanceGradient gradient(const at::Tensor& z0) const = 0;
};

/// v / |v| for every sample of v [M, ...]; 0 where v is 0.
at::Tensor unit_vectors(const at::Tensor& v);

}  // namespace dwgf
