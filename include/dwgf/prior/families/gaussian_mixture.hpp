/// A Gaussian mixture as a prior, whose score is exact at every noise level: for studies of correctness,
/// where the posterior is known.
///
///   p(z) = sum_k w_k N(z; mu_k, Sigma_k)
///   p_t(z_t) = sum_k w_k N(z_t; a mu_k, a^2 Sigma_k + s^2 I),    eps(z_t, t) = -s grad log p_t(z_t)
///   D(z) = M z + b,    E(x) = (M^+ (x - b), 0)                   (a linear decoder; or the identity)
///
/// with a, s of the noise level. Computed in float64, whatever the type of the tensors.
#pragma once

#include <memory>
#include <string>

#include <ATen/core/Tensor.h>

#include <dwgf/prior/ddpm_schedule.hpp>
#include <dwgf/prior/families/known_families.hpp>

namespace dwgf {

struct GaussianMixture {
  at::Tensor weights;      ///< w [K], positive; scaled to the sum 1
  at::Tensor means;        ///< mu [K, c, h, w], d = c h w
  at::Tensor covariances;  ///< Sigma [K, d, d], or [K, c, h, w] where they are diagonal
  at::Tensor decoder;      ///< M [C H W, d]; undefined: the identity, and C, H, W = c, h, w
  at::Tensor offset;       ///< b [C, H, W]; undefined: 0. Its shape is the image's, so it is there where M is
  DdpmScheduleConfig schedule;
};

/// Every tensor is float64 on the CPU; `options` are those of the prior. Throws DataError naming the part
/// that is not finite, of the wrong shape, or no covariance (not symmetric, not positive definite).
std::unique_ptr<Prior> make_gaussian_mixture(const GaussianMixture& mixture,
                                             const at::TensorOptions& options);

/// Whether it is a file.
bool is_gaussian_mixture(const std::string& file);

/// Reads such a mixture from an HDF5 file: /weights, /means, /covariances, and /decoder and /offset where it
/// has them; attributes beta_start, beta_end and beta_schedule. Throws as PriorFamily has it.
std::unique_ptr<Prior> load_gaussian_mixture(const std::string& file, const PriorOptions& options);

}  // namespace dwgf
