/// One image's inverse problem, y = A(x) + noise with a prior of x.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include <dwgf/flow/method_memory.hpp>
#include <dwgf/flow/unknown.hpp>
#include <dwgf/operators/noise.hpp>
#include <dwgf/operators/operator.hpp>
#include <dwgf/prior/prior.hpp>

namespace dwgf {

struct Problem {
  const Prior& prior;
  const ForwardOperator& forward;
  at::Tensor y;  ///< [...], float32 as measured
  ImageShape image_shape;
  std::uint64_t image = 0;             ///< the image's identity
  const NoiseModel* noise = nullptr;   ///< needed by what is approached with `Objective::bayes`
  MethodMemory* memory = nullptr;      ///< of the images before it; may be left out
  const Unknowns* unknowns = nullptr;  ///< what is estimated with the image; may be left out

  /// y as a batch of one, [1, ...], in the prior's type and on its device.
  at::Tensor measurement() const;
};

/// |A(x) - y|^2 / (2 m) of every sample of A(x) - y [M, ...], m observed entries: float64 [M].
at::Tensor misfit_of(const at::Tensor& residual, const ForwardOperator& forward);

/// Returns the noise's model. Throws InternalError where the problem has none.
const NoiseModel& noise_of(const Problem& problem);

}  // namespace dwgf
