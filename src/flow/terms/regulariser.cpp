#include "flow/terms/regulariser.hpp"

#include <ATen/ATen.h>

namespace dwgf {

at::Tensor regulariser_gradient(const at::Tensor& interaction, const at::Tensor& predicted_noise,
                                const NoisedBatch& noised, double weight) {
  const double d = static_cast<double>(interaction.numel() / interaction.size(0));
  const at::Tensor difference = at::add(interaction, predicted_noise, 1.0 / noised.s);  // G - S
  return difference * (weight * (noised.s / noised.a) * noised.s / d);
}

at::Tensor bayes_regulariser_gradient(const at::Tensor& interaction, const at::Tensor& predicted_noise,
                                      const NoisedBatch& noised, double prior_noise, double weight) {
  return at::add(interaction, predicted_noise, 1.0 / prior_noise) * (weight * noised.a);
}

}  // namespace dwgf
