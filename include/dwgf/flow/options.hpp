/// Every number that the flow depends on (symbols as in the paper, arXiv 2509.19276).
#pragma once

#include <cstdint>

namespace dwgf {

/// How the posterior is approached.
enum class Method {
  dwgf,       ///< the gradient flow (solve.hpp)
  rlsd,       ///< repulsive latent score distillation (rlsd.hpp)
  psld,       ///< posterior sampling with latent diffusion (psld.hpp)
  latent_dps  ///< diffusion posterior sampling in latent space (latent_dps.hpp)
};

enum class InteractionKind {
  mixture,    ///< the published one: score of the noised particle mixture
  gaussian,   ///< the ensemble taken as N(m, C)
  repulsion,  ///< independent particles plus a kernel repulsion (after arXiv 2406.16683)
  none        ///< independent particles
};

/// How the data term is scaled (data_term.hpp).
enum class Objective {
  reference,  ///< the published conventions: losses are means, the noise's level does not enter
  bayes       ///< the noise's log-likelihood: the posterior is what is approached
};

/// How particles move.
enum class IntegratorKind {
  adam,    ///< the published one (adam.hpp)
  affine,  ///< an affine-invariant flow, for more particles than latent entries (affine.hpp)
  gibbs    ///< a split Gibbs sampler (split_gibbs.hpp)
};

/// Of the ensemble as a Gaussian (ensemble_gaussian.hpp).
enum class CovarianceKind { diagonal, full, lowrank };

/// How the times of the grid are spaced.
enum class Spacing {
  linear,  ///< evenly, as DDIM's "leading"
  log      ///< evenly in log(s / a), from the grid's first time to the one that it leaves out
};

/// What the encoder hands to the consistency term: its mean, or a sample (the authors').
enum class EncodeMode { mean, sample };

struct FlowOptions {
  Method method = Method::dwgf;
  std::int64_t particles = 4;  ///< N
  std::int64_t grid = 999;     ///< K, length of the DDIM time grid
  std::int64_t steps = 0;      ///< stop after that many steps; 0: all
  Spacing spacing = Spacing::linear;
  std::int64_t settle = 0;  ///< further steps, at the time that the grid leaves out (solve.hpp)
  Objective objective = Objective::reference;
  IntegratorKind integrator = IntegratorKind::adam;
  std::int64_t data_steps = 4;  ///< of the split Gibbs sampler: conjugate directions in a step
  InteractionKind interaction = InteractionKind::mixture;
  CovarianceKind covariance = CovarianceKind::diagonal;
  double repulsion = 1.0;              ///< rho
  double weight = 0.15;                ///< w_t
  double consistency = 0.1;            ///< lambda
  std::int64_t consistency_every = 1;  ///< steps of which one has the consistency term, the first of them
  double decoder_std = 0.01;           ///< sigma_D
  double stall =
      0.0;            ///< stop once the misfit falls by less than this share (monitor.hpp); 0: take all steps
  double rate = 1.0;  ///< Adam's learning rate; the affine flow's step
  EncodeMode encode = EncodeMode::mean;
  double guidance = 1.0;         ///< weight of the measurement's norm: psld's omega, latent-dps's zeta'
  double gluing = 0.1;           ///< psld's gamma
  double eta = 0.0;              ///< noise of the samplers' steps: 0 none (DDIM), 1 that of DDPM
  double coupling = 0.2;         ///< rlsd's rho
  double image_rate = 0.2;       ///< rlsd's rate of Adam for images
  std::int64_t micro_batch = 1;  ///< samples in every kernel call, exactly; short ones are padded
  std::uint64_t seed = 0;
  std::int64_t record_every = 1;  ///< diagnostics at every such step, and at the last one
};

}  // namespace dwgf
