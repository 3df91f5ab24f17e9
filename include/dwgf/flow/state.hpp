/// The particles of one image that this rank holds, with what Adam remembers of them: exactly what has to be
/// kept to go on.
///
/// Particles live in whole micro-batches [M, c, h, w], M = flow.micro_batch, aligned to the particle index:
/// every kernel call has the same shape with the same particle in the same place on every layout of ranks, so
/// its bits are the same. The last batch is padded with surplus particles (index >= N) that move like the
/// others and are never counted.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include <dwgf/comm/grid.hpp>

namespace dwgf {

struct ParticleBatch {
  std::int64_t first = 0;    ///< index of its first particle in the ensemble
  std::int64_t counted = 0;  ///< particles in it with index < N
  at::Tensor z;              ///< [M, c, h, w], positions
  at::Tensor first_moment;   ///< [M, c, h, w], Adam's m
  at::Tensor second_moment;  ///< [M, c, h, w], Adam's v

  /// The same for methods that move images beside latents; undefined for the others.
  at::Tensor image;                ///< [M, C, H', W']
  at::Tensor image_first_moment;   ///< [M, C, H', W']
  at::Tensor image_second_moment;  ///< [M, C, H', W']

  /// All that are defined, in the order above: what has to be kept.
  std::vector<at::Tensor*> tensors();
  std::vector<const at::Tensor*> tensors() const;
};

/// What has become of one unknown (unknown.hpp), the same on every rank.
struct UnknownState {
  std::vector<double> value;
  std::vector<double> recent;  ///< the values after the last steps, oldest first
  std::vector<double> trace;   ///< the summaries after all steps
};

struct FlowState {
  ParticleShare share;
  std::vector<std::int64_t> latent_shape;   ///< [c, h, w]
  at::TensorOptions options;                ///< of the positions
  std::int64_t step = 0;                    ///< steps done
  std::vector<ParticleBatch> batches;       ///< none on a rank without particles
  std::vector<UnknownState> unknowns = {};  ///< those of the problem, in its order

  std::int64_t latent_elements() const;  ///< d
};

/// z ~ N(0, I) from the INIT stream, moments zero. `latent_shape` is [c, h, w].
FlowState initial_state(const ParticleShare& share, const std::vector<std::int64_t>& latent_shape,
                        std::uint64_t seed, std::uint64_t image, const at::TensorOptions& options);

}  // namespace dwgf
