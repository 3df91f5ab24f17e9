/// Posterior sampling with latent diffusion (Rout et al., arXiv 2307.00619): beside the measurement's norm,
/// the loss of the clean estimate z0 has a term that glues what was measured to what is imagined and asks for
/// a latent which the encoder agrees with,
///
///   L(z0) = omega |A x - y| + gamma |z0 - E(x + A^+ (y - A x))|,    x = D(z0)
///
/// with the gradient through D and E. The paper writes A^T, for operators whose rows are orthonormal; here
/// A^+ = A^T / |A|^2, |A| the largest singular value, so that operators with equal singular values (masks,
/// block means) get their pseudo-inverse, which is what the authors' program uses for them, and others a step
/// that never overshoots. Linear operators only. E is the encoder's mean, where the authors draw a sample;
/// they also add fresh noise to A x, which is left out. On a canvas that is larger than the image
/// (prior/geometry.hpp), A sees the image's corner alone.
///
/// omega = 1 and gamma = 0.1 are the defaults of the authors' program (https://github.com/LituRout/PSLD,
/// scripts/inverse.py).
#pragma once

#include <memory>

#include <dwgf/flow/method.hpp>

#include "flow/terms/guidance.hpp"

namespace dwgf {

class Psld final : public Guidance {
 public:
  /// @pre problem outlives the guidance; its operator is linear
  Psld(const Problem& problem, double measurement_weight, double gluing_weight);
  GuidanceGradient gradient(const at::Tensor& z0) const override;

 private:
  const Problem& problem_;
  double measurement_weight_;
  double gluing_weight_;
  double inverse_scale_;  // 1 / |A|^2
  at::Tensor y_;          // [1, ...], in the prior's type
};

/// options.guidance.weight is omega. @pre the problem's operator is linear
std::unique_ptr<FlowMethod> make_psld(const MethodSetup& setup);

}  // namespace dwgf
