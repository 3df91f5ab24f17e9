/// Diffusion posterior sampling (Chung et al., arXiv 2209.14687) in latent space: the loss of the clean
/// estimate z0 is the norm of what the measurement misses,
///
///   L(z0) = zeta' |A(D(z0)) - y|,    grad L = zeta' J_D^T A'^T (A(D(z0)) - y) / |A(D(z0)) - y|
///
/// which is the published step zeta_i grad |y - A|^2 with zeta_i = zeta' / |y - A| (half of it; the authors'
/// program differentiates the norm as it stands here). On a canvas that is larger than the image
/// (prior/geometry.hpp), A sees the image's corner alone. Any operator.
///
/// zeta' in the authors' program: 0.3 for super-resolution and deblurring, 0.5 for random inpainting
/// (https://github.com/DPS2022/diffusion-posterior-sampling, configs/).
#pragma once

#include <memory>

#include <dwgf/flow/method.hpp>

namespace dwgf {

/// options.guidance.weight is zeta'.
std::unique_ptr<FlowMethod> make_latent_dps(const MethodSetup& setup);

}  // namespace dwgf
