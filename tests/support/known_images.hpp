/// Particles that are one image from the first step on, and a prior in whose latents it is itself: for what
/// is estimated beside them.
#pragma once

#include <memory>

#include <ATen/core/Tensor.h>

#include <dwgf/flow/method.hpp>
#include <dwgf/prior/prior.hpp>

namespace dwgf::test {

/// The method. `image` [C, H, W] is what it knows.
struct KnownImages final : FlowMethod {
  void step(FlowState& state, StepRecords& records) override;
  static at::Tensor image;
};
extern const MethodRow kKnownImages;

/// z ~ N(0, I) of this shape, in float64.
std::unique_ptr<Prior> white_prior(const ImageShape& shape);

}  // namespace dwgf::test
