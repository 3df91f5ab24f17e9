/// The data term of the flow with the codec's consistency, per particle:
///
///   x  = D(z),   x~ = x + sigma_D n,   n ~ N(0, I)                      (the decoder as a Gaussian)
///   c  = A'(x~)^T (A(x~) - y) / m  +  lambda (x - D(E(x~))) / Dim       (m observed entries of y, Dim of x)
///   gradient = J_D(z)^T c                                               (one pull-back gives both)
///
/// On a canvas that is larger than the image (prior/geometry.hpp), A sees the image's corner alone;
/// consistency and Dim are the canvas's. No gradient passes through D(E(.)). Steps that are no multiple of
/// `consistency_every` leave lambda's term out. (arXiv 2509.19276; `objective = reference`: losses are means,
/// sigma_y does not enter.)
///
/// `objective = bayes`: losses are sums, and the residual is that of the noise's own likelihood
/// (operators/noise.hpp),
///
///   c  = -beta A'(x~)^T d log p(y | a) / da  +  lambda (x - D(E(x~))),   a = A(x~);
///       Gaussian noise: beta A'^T (a - y) / sigma_y^2
///
/// so that neither the size of y nor N changes what is approached. beta <= 1 tempers the likelihood while
/// particles are noisy. With lambda = 0 and sigma_D = 0 it is the posterior's; lambda above 0 is a further,
/// improper factor of the prior (a precision).
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include <dwgf/catalogue/method_options.hpp>
#include <dwgf/flow/problem.hpp>

namespace dwgf {

struct DataGradient {
  at::Tensor gradient;  ///< [M, c, h, w]
  at::Tensor misfit;    ///< |A(x~) - y|^2 / (2 m), float64 [M]
};

class DataTerm {
 public:
  /// @pre problem outlives the term; y has the operator's measurement shape. Throws InternalError where the
  /// problem has no noise's model and the objective is bayes.
  DataTerm(const Problem& problem, const DataTermOptions& options, std::uint64_t seed);

  /// At z [M, c, h, w], the particles `first_particle` ... in order, in step `step`.
  DataGradient gradient(const at::Tensor& z, std::int64_t first_particle, std::int64_t step,
                        double tempering = 1.0) const;

 private:
  /// The cotangent of a = A(x~), [M, ...].
  at::Tensor pull_of(const at::Tensor& measured, const at::Tensor& residual, double tempering) const;

  const Problem& problem_;
  const DataTermOptions options_;
  const std::uint64_t seed_;
  at::Tensor y_;  // [1, ...], in the prior's type
  double observed_;
};

}  // namespace dwgf
