/// The options of the methods: what all of them have, then one struct a term that several are made of, then
/// one a method. Equations stand in the header of the term or method (flow/terms, flow/methods); symbols are
/// those of the papers.
#pragma once

#include <cstdint>

#include <dwgf/catalogue/spacing.hpp>

namespace dwgf {

/// How the posterior is approached. The rows of flow/known_methods.cpp.
enum class Method {
  dwgf,        ///< the published gradient flow, moved by Adam
  affine,      ///< a gradient flow preconditioned by the ensemble's covariance
  gibbs,       ///< a split Gibbs sampler
  rlsd,        ///< repulsive latent score distillation
  psld,        ///< posterior sampling with latent diffusion
  latent_dps,  ///< diffusion posterior sampling in latent space
  kalman,      ///< a few steps of denoising, each corrected by a gain that was measured once per prior
  latino       ///< a few steps of denoising, each brought to the measurement in pixels
};

/// How the particles of an image act on each other (terms/interaction.hpp).
enum class InteractionKind {
  mixture,    ///< the published one: score of the noised particle mixture
  gaussian,   ///< the ensemble taken as N(m, C)
  repulsion,  ///< independent particles plus a kernel repulsion (after arXiv 2406.16683)
  none        ///< independent particles
};

/// Of the ensemble as a Gaussian (terms/ensemble_gaussian.hpp).
enum class CovarianceKind { diagonal, full, lowrank };

/// Of dwgf, which may have any; affine and gibbs take the ensemble's Gaussian; rlsd takes the repulsion.
struct InteractionOptions {
  InteractionKind kind = InteractionKind::mixture;
  CovarianceKind covariance = CovarianceKind::diagonal;  ///< of the gaussian kind
  double repulsion = 1.0;                                ///< rho; rlsd's gamma
};

/// How the data term is scaled (terms/data_term.hpp). dwgf may have either; affine and gibbs are `bayes`.
enum class Objective {
  reference,  ///< the published conventions: losses are means, the noise's level does not enter
  bayes       ///< the noise's log-likelihood: the posterior is what is approached
};

/// What the encoder hands to the consistency term: its mean, or a sample (the authors').
enum class EncodeMode { mean, sample };

/// Of dwgf and affine (terms/data_term.hpp).
struct DataTermOptions {
  Objective objective = Objective::reference;
  double decoder_std = 0.01;           ///< sigma_D
  double consistency = 0.1;            ///< lambda
  std::int64_t consistency_every = 1;  ///< steps of which one has the consistency term, the first of them
  EncodeMode encode = EncodeMode::mean;
};

/// Of the guided samplers, psld and latent_dps.
struct GuidanceOptions {
  double weight = 1.0;  ///< of the measurement's norm: psld's omega, latent_dps's zeta'
  double eta = 0.0;     ///< noise of the steps: 0 none (DDIM), 1 that of DDPM
};

struct GibbsOptions {
  std::int64_t data_steps = 4;  ///< conjugate directions in a step
};

/// Where particles begin.
enum class Start {
  noise,  ///< z ~ N(0, I), at the noisiest level
  kalman  ///< where kalman leaves them; the method goes on from a level that is less noisy
};

/// Which steps of kalman draw from the conditional distribution, where the others take its mean.
enum class SampledSteps { none, last, every };

struct KalmanOptions {
  double relaxation = 1.8;  ///< of a step's correction, in what is noised again
  double renoise = 0.7;     ///< of the noise that is added again; 1: as much as the level has
  double lag = 50;          ///< the gain is that of a level so much noisier [times of 1,000]
  SampledSteps sampled = SampledSteps::none;
  std::int64_t gain_iterations = 40;  ///< conjugate gradients, where no factor is made
};

/// The variance of latino's clean images, by which a step weighs them against the measurement.
enum class LatinoDelta {
  published,  ///< the authors' table
  measured    ///< of the prior's moments
};

struct LatinoOptions {
  LatinoDelta delta = LatinoDelta::published;
};

struct RlsdOptions {
  double coupling = 0.2;    ///< rho
  double image_rate = 0.2;  ///< Adam's rate for images
};

struct PsldOptions {
  double gluing = 0.1;  ///< gamma
};

struct FlowOptions {
  Method method = Method::dwgf;
  Start start = Start::noise;
  double start_time = 250;       ///< level from which a method goes on after kalman [times of 1,000]
  std::int64_t particles = 4;    ///< N
  std::int64_t grid = 999;       ///< K, length of the DDIM time grid
  std::int64_t steps = 0;        ///< stop after that many steps; 0: all
  std::int64_t micro_batch = 1;  ///< samples in every kernel call, exactly; short ones are padded
  std::uint64_t seed = 0;
  std::int64_t record_every = 1;  ///< diagnostics at every such step, and at the last one

  Spacing spacing = Spacing::linear;  ///< of dwgf, affine and gibbs, as is the next
  std::int64_t settle = 0;            ///< further steps, at the time that the grid leaves out (times.hpp)
  std::int64_t polish = 0;            ///< last steps that use Prior::full_codec
  double stall =
      0.0;  ///< stop once the misfit falls by less than this share (monitor.hpp); 0: take all steps
  double weight = 0.15;  ///< w_t, of the prior in dwgf, affine and rlsd
  double rate = 1.0;     ///< Adam's in dwgf and rlsd; affine's step tau

  InteractionOptions interaction = {};
  DataTermOptions data = {};
  GuidanceOptions guidance = {};
  GibbsOptions gibbs = {};
  RlsdOptions rlsd = {};
  PsldOptions psld = {};
  KalmanOptions kalman = {};
  LatinoOptions latino = {};
};

}  // namespace dwgf
