/// The interaction score G^i: the one place where the particles of an image meet. With z_t = a z + s eps,
/// a = sqrt(abar_t), s = sqrt(1 - abar_t), per particle i (N particles):
///
///   mixture    G^i = grad log (1/N) sum_j N(z_t^i; a z^j, s^2 I) = -(z_t^i - a sum_j w_ij z^j) / s^2,
///              w_ij = softmax_j(-|z_t^i - a z^j|^2 / (2 s^2))               (arXiv 2509.19276)
///   gaussian   G^i = -(a^2 C + s^2 I)^-1 (z_t^i - a m),
///              m and C the ensemble's mean and unbiased covariance: its diagonal, all of it,
///                  or shrunk where the
///              particles are few (ensemble_gaussian.hpp)
///   repulsion  G^i = -eps^i / s + rho grad_i log sum_j exp(-|z^i - z^j|^2 / (2 h^2)),
///              h^2 = median_{i != j} |z^i - z^j|^2 / (2 log N)              (after arXiv 2406.16683)
///   none       G^i = -eps^i / s
///
/// What each exchanges, and no more: mixture all-gathers positions; repulsion all-gathers positions, then N
/// numbers a particle (its squared distances, for the median); gaussian all-reduces 2 d + 1 fixed-point
/// integers, and all-gathers positions where its covariance is not diagonal; none nothing. Work and memory: a
/// covariance N d min(N, d) multiply-adds on every rank; mixture and repulsion N^2 d multiply-adds an image
/// and step over all ranks; positions of all N particles (N d values) and one block of distances of at most
/// 2^22 values on each rank; never an N x N x d tensor.
///
/// Order of collectives: `begin` starts the exchange, `finish` completes it, and makes repulsion's second
/// one.
#pragma once

#include <memory>

#include <ATen/core/Tensor.h>

#include <dwgf/base/random.hpp>
#include <dwgf/catalogue/method_options.hpp>
#include <dwgf/comm/collective.hpp>
#include <dwgf/flow/state.hpp>
#include <dwgf/prior/noise_path.hpp>

namespace dwgf {

/// One micro-batch at its noised place.
struct NoisedBatch {
  at::Tensor z_t;  ///< [M, c, h, w]
  at::Tensor eps;  ///< [M, c, h, w]
  double a = 1.0;
  double s = 0.0;
};

/// z_t = a z + s eps at a level; the draw of particle i is `address` with particle i.
NoisedBatch add_noise(const ParticleBatch& batch, const Level& level, DrawAddress address);

struct InteractionScore {
  at::Tensor score;       ///< G [M, c, h, w]
  at::Tensor neighbours;  ///< effective number of neighbours 1 / sum_j w_ij^2, float64 [M]; N for gaussian, 1
                          ///< where none act
};

class Interaction {
 public:
  virtual ~Interaction() = default;
  /// Starts the exchange of what the step needs of the other ranks' particles.
  virtual void begin(const FlowState& state) = 0;
  /// Completes it. Throws Diverged on every rank of the group alike.
  virtual void finish(const FlowState& state) = 0;
  /// G of batch number `batch` of the state. @pre finish() was called for this step
  virtual InteractionScore score(const FlowState& state, std::size_t batch,
                                 const NoisedBatch& noised) const = 0;
};

/// @pre `group` outlives the interaction.
std::unique_ptr<Interaction> make_interaction(const InteractionOptions& options, Collective& group);

}  // namespace dwgf
