/// How a measurement y scatters about a = A(x). Entries that are not observed read 0 and take no part.
///
/// `gaussian`: y = a + sigma n, n ~ N(0, 1).   log p = -(y - a)^2 / (2 sigma^2)
///
/// `poisson:peak`: photon counts k ~ Poisson(l), l = peak max(a + 1, 0) / 2, kept on the image's scale, y = 2
/// k / peak - 1: white has `peak` counts on average.   log p = k log l - l. The gradient's l is at least
/// 0.01: below, an estimate that is darker than black would be pushed back without bound. For operators that
/// measure an image.
///
/// `uniform:step`: a converter of equal steps after noise, y = step round((a + sigma n) / step), sigma > 0;
/// log p = log(F((y + step/2 - a) / sigma) - F((y - step/2 - a) / sigma)), F the normal distribution function
/// (Zymnis, Boyd, Candes, 2010, doi:10.1109/LSP.2009.2035667).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <ATen/core/Tensor.h>

#include <dwgf/base/random.hpp>
#include <dwgf/operators/operator.hpp>

namespace dwgf {

class NoiseModel {
 public:
  virtual ~NoiseModel() = default;

  /// y for one clean measurement [...], float64, from the numbers at `address`.
  virtual at::Tensor sample(const at::Tensor& clean, const DrawAddress& address) const = 0;

  /// log p(y | a), without what does not depend on a, summed over the observed entries: a [B, ...], y [...]
  /// -> float64 [B]. Throws UsageError where the noise has no likelihood (sigma = 0).
  virtual at::Tensor log_likelihood(const at::Tensor& a, const at::Tensor& y) const = 0;

  /// Its gradient in a: [B, ...], in the type of a. Throws UsageError as above.
  virtual at::Tensor log_likelihood_gradient(const at::Tensor& a, const at::Tensor& y) const = 0;

  /// The Fisher information of every entry's a, E[(d log p / da)^2], 0 where not observed: [B, ...], in the
  /// type of a. gaussian 1 / sigma^2; poisson (peak / 2)^2 / l; uniform 1 / (sigma^2 + step^2 / 12), which is
  /// a little too high for steps that are wide beside sigma. Throws UsageError as above.
  virtual at::Tensor information(const at::Tensor& a) const = 0;

  /// Whether the information is the same whatever a is.
  virtual bool is_homogeneous() const { return true; }

  /// The variance of y about a; poisson's where a is halfway between black and white.
  virtual double variance() const = 0;
};

/// Throws UsageError for a spec that is none of the above, and for a noise that does not go with the operator
/// or with sigma.
std::unique_ptr<NoiseModel> make_noise_model(const std::string& spec, double sigma,
                                             const ForwardOperator& forward);

/// y from A(x) and noise of the MEASUREMENT stream, on observed entries only; computed in float64, rounded
/// once to float32. @pre truth [C, H, W] of the operator's image shape
at::Tensor measure(const ForwardOperator& forward, const NoiseModel& noise, const at::Tensor& truth,
                   std::uint64_t seed, std::uint64_t image);

}  // namespace dwgf
