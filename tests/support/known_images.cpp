#include "support/known_images.hpp"

#include <ATen/ATen.h>

#include <dwgf/prior/families/gaussian_mixture.hpp>

namespace dwgf::test {

at::Tensor KnownImages::image;

void KnownImages::step(FlowState& state, StepRecords& records) {
  for (std::size_t b = 0; b < state.batches.size(); ++b) {
    records.enter(b);
    at::Tensor& z = state.batches[b].z;
    z = image.to(z.options()).expand_as(z).contiguous();
    records.add({{"misfit", at::zeros({z.size(0)}, at::kDouble)}, {"data_gradient", at::zeros_like(z)}});
  }
}

const MethodRow kKnownImages = {"known-images", [](const MethodSetup&) -> std::unique_ptr<FlowMethod> {
                                  return std::make_unique<KnownImages>();
                                }};

std::unique_ptr<Prior> white_prior(const ImageShape& shape) {
  const std::int64_t mean[] = {1, shape.channels, shape.height, shape.width};
  return make_gaussian_mixture({.weights = at::ones({1}, at::kDouble),
                                .means = at::zeros(mean, at::kDouble),
                                .covariances = at::ones(mean, at::kDouble),
                                .decoder = {},
                                .offset = {},
                                .schedule = {}},
                               at::TensorOptions(at::kDouble));
}

}  // namespace dwgf::test
