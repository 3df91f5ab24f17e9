#include "flow/methods/split_gibbs.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/flow/times.hpp>

#include "flow/canvas.hpp"
#include "flow/diverged.hpp"
#include "flow/draws.hpp"
#include "flow/gathered_rows.hpp"
#include "flow/terms/interaction.hpp"

namespace dwgf {

namespace {

/// <p, q> of every sample, [M, 1, 1, 1].
at::Tensor dot_products(const at::Tensor& p, const at::Tensor& q) {
  return (p * q).flatten(1).sum(1).view({-1, 1, 1, 1});
}

/// R, the covariance of z | z_t.
class ConditionalCovariance {
 public:
  /// r^2 I.
  explicit ConditionalCovariance(double variance) : mean_variance_(variance) {}

  /// From (s^2 / a) dz0 / dz_t, the slope of rows z0 on rows z_t [N, d]; `unit` is s^2 / a^2.
  ConditionalCovariance(const at::Tensor& z_t, const at::Tensor& z0, double a, double unit) {
    const at::Tensor x = z_t.to(at::kDouble) - z_t.to(at::kDouble).mean(0);  // [N, d]
    const at::Tensor slope = at::linalg_solve(at::matmul(x.t(), x), at::matmul(x.t(), z0.to(at::kDouble)));
    std::tie(variances_, axes_) = at::linalg_eigh((slope + slope.t()) * (0.5 * a * unit));  // [d], [d, d]
    variances_ = variances_.clamp_min(kLeastShare * unit);
    mean_variance_ = variances_.mean().item<double>();
  }

  static constexpr double kLeastShare = 1e-3;  // of s^2 / a^2

  /// r, the root of R's mean eigenvalue.
  double scale() const { return std::sqrt(mean_variance_); }

  /// R^power x for x [M, c, h, w].
  at::Tensor times(const at::Tensor& x, double power) const {
    if (!axes_.defined()) return x * std::pow(mean_variance_, power);
    const at::Tensor along = at::matmul(x.flatten(1).to(at::kDouble), axes_);  // [M, d]
    return at::matmul(along * variances_.pow(power), axes_.t()).to(x.scalar_type()).view_as(x);
  }

 private:
  double mean_variance_ = 0.0;
  at::Tensor axes_, variances_;
};

/// Takes it from the particles of all ranks. Collective. Throws Diverged on all alike.
class CovarianceEstimate {
 public:
  CovarianceEstimate(CovarianceKind kind, Collective& group)
      : full_(kind == CovarianceKind::full), noised_(group), other_(group) {}

  ConditionalCovariance from(const FlowState& state, const std::vector<NoisedBatch>& noised,
                             const std::vector<at::Tensor>& denoised, double a, double s) {
    const double unit = s * s / (a * a);
    if (!full_) {
      // e - eps_theta = (z0 - z) a / s
      other_.begin(state, 1, [&](std::size_t b) {
        return (noised[b].eps * (denoised[b] - state.batches[b].z)).flatten(1).mean(1, true) * (a / s);
      });
      other_.finish(state);
      const double share = require_finite(other_.all(), state).to(at::kDouble).mean().item<double>();
      return ConditionalCovariance(unit * std::max(share, ConditionalCovariance::kLeastShare));
    }
    noised_.begin(state, state.latent_elements(), [&](std::size_t b) { return noised[b].z_t.flatten(1); });
    other_.begin(state, state.latent_elements(), [&](std::size_t b) { return denoised[b].flatten(1); });
    noised_.finish(state);
    other_.finish(state);
    return {noised_.all(), require_finite(other_.all(), state), a, unit};
  }

 private:
  static const at::Tensor& require_finite(const at::Tensor& rows, const FlowState& state) {
    if (!at::isfinite(rows).all().item<bool>()) throw Diverged(state.step);
    return rows;
  }

  bool full_;
  GatheredRows noised_, other_;
};

struct DataStep {
  at::Tensor z;               // [M, c, h, w]
  at::Tensor data_gradient;   // [M, c, h, w], of the perturbed -log p(y | a), at the last place but one
  at::Tensor prior_gradient;  // R^-1 (u - c) there
  at::Tensor misfit;          // |a - y|^2 / (2 m) there, float64 [M]
};

/// The second line for one micro-batch.
class DataSampler {
 public:
  DataSampler(const Problem& problem, std::int64_t directions)
      : problem_(problem), noise_(noise_of(problem)), directions_(directions), y_(problem.measurement()) {}

  DataStep sample(const at::Tensor& z0, const ConditionalCovariance& covariance, DrawAddress address) const {
    address.purpose = Purpose::conditional;
    const at::Tensor centre = z0 + covariance.times(normals_like(z0, address), 0.5);  // c [M, c, h, w]
    address.purpose = Purpose::perturbation;
    DataStep step{centre, {}, {}, {}};
    at::Tensor direction, gradient, information, perturbation;
    at::Tensor preconditioned;  // R times the gradient
    for (std::int64_t k = 0; k < directions_; ++k) {
      const Vjp decoded = problem_.prior.codec->decode_vjp(step.z);
      const at::Tensor seen = cut_to_image(decoded.value, problem_.image_shape);  // [M, C, H, W]
      const at::Tensor measured = problem_.forward.apply(seen);                   // a [M, ...]
      if (k == 0) {
        information = noise_.information(measured);                           // F [M, ...]
        perturbation = information.sqrt() * normals_like(measured, address);  // F^(1/2) n1
      }
      const at::Tensor pull =
          perturbation - noise_.log_likelihood_gradient(measured, problem_.y);  // [M, ...]
      step.data_gradient = decoded.pull(put_on_canvas(problem_.forward.pull_back(seen, pull), decoded.value));
      step.prior_gradient = covariance.times(step.z - centre, -1.0);
      step.misfit = misfit_of(measured - y_, problem_.forward);

      const at::Tensor previous = gradient, previous_preconditioned = preconditioned;
      gradient = step.data_gradient + step.prior_gradient;
      preconditioned = covariance.times(gradient, 1.0);
      direction = k == 0 ? -preconditioned
                         : direction * (dot_products(gradient, preconditioned - previous_preconditioned) /
                                        dot_products(previous, previous_preconditioned).clamp_min(kTiny))
                                           .clamp_min(0.0) -
                               preconditioned;
      const at::Tensor change =
          along(step.z, direction, measured, covariance.scale());  // J direction [M, ...]
      const at::Tensor curvature = (change.square() * information).flatten(1).sum(1).view({-1, 1, 1, 1}) +
                                   dot_products(direction, covariance.times(direction, -1.0));
      step.z = step.z - direction * (dot_products(gradient, direction) / curvature.clamp_min(kTiny));
    }
    return step;
  }

 private:
  static constexpr double kTiny = 1e-30;
  static constexpr double kTrialStep = 0.1;  // of r, root mean square over the entries

  /// The change of a along a direction, by a step that is small beside r and large beside rounding.
  at::Tensor along(const at::Tensor& z, const at::Tensor& direction, const at::Tensor& measured,
                   double scale) const {
    const double entries = static_cast<double>(z.numel() / z.size(0));
    const at::Tensor length = dot_products(direction, direction).sqrt().clamp_min(kTiny);
    const at::Tensor trial = (kTrialStep * scale * std::sqrt(entries)) / length;  // [M, 1, 1, 1]
    const at::Tensor seen =
        cut_to_image(problem_.prior.codec->decode(z + trial * direction), problem_.image_shape);
    std::vector<std::int64_t> per_sample(static_cast<std::size_t>(measured.dim()), 1);
    per_sample[0] = -1;
    return (problem_.forward.apply(seen) - measured) / trial.view(per_sample);
  }

  const Problem& problem_;
  const NoiseModel& noise_;
  const std::int64_t directions_;
  const at::Tensor y_;  // [1, ...]
};

class SplitGibbs final : public FlowMethod {
 public:
  explicit SplitGibbs(const MethodSetup& setup)
      : problem_(setup.problem),
        options_(setup.options),
        levels_(flow_levels(*problem_.prior.path, options_)),
        sampler_(problem_, options_.gibbs.data_steps),
        estimate_(options_.interaction.covariance, setup.group) {}

  void step(FlowState& state, StepRecords& records) override {
    const Prior& prior = problem_.prior;
    const Level& level = levels_[static_cast<std::size_t>(state.step)];
    const DrawAddress address{options_.seed, problem_.image, 0, static_cast<std::uint32_t>(state.step),
                              Purpose::noising};
    std::vector<NoisedBatch> noised;
    std::vector<at::Tensor> denoised;  // z0 [M, c, h, w]
    for (std::size_t b = 0; b < state.batches.size(); ++b) {
      records.enter(b);
      noised.push_back(add_noise(state.batches[b], level, address));
      const NoisedBatch& last = noised.back();
      denoised.push_back((last.z_t - last.s * prior.noise(last.z_t, level)) * (1.0 / last.a));
    }
    const ConditionalCovariance covariance =
        estimate_.from(state, noised, denoised, level.signal, level.noise);

    for (std::size_t b = 0; b < state.batches.size(); ++b) {
      records.enter(b);
      DrawAddress own = address;
      own.particle = static_cast<std::uint32_t>(state.batches[b].first);
      const DataStep step = sampler_.sample(denoised[b], covariance, own);
      state.batches[b].z = step.z;
      records.add({{"misfit", step.misfit},
                   {"data_gradient", step.data_gradient},
                   {"prior_gradient", step.prior_gradient},
                   {"neighbours", at::full_like(step.misfit, static_cast<double>(options_.particles))}});
    }
  }

 private:
  const Problem& problem_;
  const FlowOptions& options_;
  const std::vector<Level> levels_;
  const DataSampler sampler_;
  CovarianceEstimate estimate_;
};

}  // namespace

std::unique_ptr<FlowMethod> make_gibbs(const MethodSetup& setup) {
  const std::int64_t entries = setup.start.latent_elements(), particles = setup.options.particles;
  const CovarianceKind covariance = setup.options.interaction.covariance;
  if (covariance == CovarianceKind::lowrank)
    throw UsageError("flow.method = gibbs has no use for flow.covariance = lowrank; take diagonal or full");
  if (covariance == CovarianceKind::full && particles <= entries) {
    throw UsageError(
        "flow.covariance = full takes a covariance of {} latent entries from {} particles; take more "
        "particles than entries, or flow.covariance = diagonal",
        entries, particles);
  }
  return std::make_unique<SplitGibbs>(setup);
}

}  // namespace dwgf
