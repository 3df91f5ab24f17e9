#include <algorithm>
#include <functional>
#include <numeric>

#include <ATen/ATen.h>

#include <dwgf/flow/state.hpp>

#include "flow/draws.hpp"

namespace dwgf {

std::vector<at::Tensor*> ParticleBatch::tensors() {
  std::vector<at::Tensor*> kept{&z, &first_moment, &second_moment};
  for (auto* of_image : {&image, &image_first_moment, &image_second_moment}) {
    if (of_image->defined()) kept.push_back(of_image);
  }
  return kept;
}

std::vector<const at::Tensor*> ParticleBatch::tensors() const {
  std::vector<const at::Tensor*> kept{&z, &first_moment, &second_moment};
  for (auto* of_image : {&image, &image_first_moment, &image_second_moment}) {
    if (of_image->defined()) kept.push_back(of_image);
  }
  return kept;
}

std::int64_t FlowState::latent_elements() const {
  return std::accumulate(latent_shape.begin(), latent_shape.end(), std::int64_t{1}, std::multiplies<>());
}

FlowState initial_state(const ParticleShare& share, const std::vector<std::int64_t>& latent_shape,
                        std::uint64_t seed, std::uint64_t image, const at::TensorOptions& options) {
  FlowState state{share, latent_shape, options, 0, {}};
  std::vector<std::int64_t> shape{share.micro_batch};
  shape.insert(shape.end(), latent_shape.begin(), latent_shape.end());
  for (std::int64_t b = 0; b < share.batches; ++b) {
    ParticleBatch batch;
    batch.first = (share.first_batch + b) * share.micro_batch;
    batch.counted = std::clamp<std::int64_t>(share.particles - batch.first, 0, share.micro_batch);
    batch.first_moment = at::zeros(shape, options);   // [M, c, h, w]
    batch.second_moment = at::zeros(shape, options);  // [M, c, h, w]
    batch.z = normals_like(batch.first_moment,
                           {seed, image, static_cast<std::uint32_t>(batch.first), 0, Purpose::init});
    state.batches.push_back(std::move(batch));
  }
  return state;
}

}  // namespace dwgf
