#include "flow/methods/kalman.hpp"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/flow/times.hpp>
#include <dwgf/prior/ddpm_schedule.hpp>

#include "flow/canvas.hpp"
#include "flow/draws.hpp"
#include "flow/methods/reverse_diffusion.hpp"
#include "flow/terms/kalman_gain.hpp"
#include "prior/moments.hpp"

namespace dwgf {

namespace {

constexpr double kNoisiestTime = 850;
constexpr std::int64_t kGaussNewtonSteps = 4;
constexpr std::uint32_t kArraysOfStep = 16;  // addresses of noise that a step may use

/// The levels of the steps, and log(s / a) of those of their gains.
struct Course {
  std::vector<Level> levels;
  std::vector<double> gains;
};

/// Whether latents are images, of any size.
bool is_of_pixels(const PriorGeometry& geometry) {
  return geometry.factor == 1 && geometry.latent_channels == geometry.image_channels && !geometry.only;
}

Course course_of(const Prior& prior, const FlowOptions& options) {
  const DdpmSchedule measure{DdpmScheduleConfig{}};
  const double fine = std::clamp(std::log2(static_cast<double>(options.grid - 1)) - 2.0, 0.0, 1.0);
  const double from = std::lerp(700.0, kNoisiestTime, fine), to = std::lerp(60.0, 40.0, fine);
  const bool of_pixels = is_of_pixels(prior.geometry);
  const double last = of_pixels ? prior.moments->levels().front().log_ratio : log_ratio_at(to);
  Course course{levels_between(*prior.path, log_ratio_at(from), last, options.grid - 1), {}};
  course.levels.resize(static_cast<std::size_t>(step_count(options)));
  for (const Level& level : course.levels) {
    if (of_pixels) {  // no time of that schedule is as clean as the last levels
      course.gains.push_back(log_ratio(level) + options.kalman.lag / 100);
      continue;
    }
    const double time = measure.nearest(log_ratio(level)).time;
    course.gains.push_back(log_ratio_at(std::min(time + options.kalman.lag, kNoisiestTime)));
  }
  return course;
}

/// Of the prior's mean, and of every step. Kept from image to image.
struct Covariances {
  Canvas canvas;
  PriorMoments moments;
  std::shared_ptr<const StepCovariance> prior;
  std::vector<std::shared_ptr<const StepCovariance>> steps;
};
using Projections = std::vector<std::shared_ptr<ProjectedCovariance>>;

/// Of every sample, [M, 1, ...].
at::Tensor mean_square(const at::Tensor& values) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(values.dim()), 1);
  shape[0] = -1;
  return values.square().flatten(1).mean(1).view(shape);
}

class Kalman final : public FlowMethod {
 public:
  Kalman(const MethodSetup& setup, Canvas canvas)
      : problem_(setup.problem),
        options_(setup.options),
        cells_(problem_.prior.geometry, canvas),
        course_(course_of(problem_.prior, options_)),
        y_(problem_.measurement()),
        memory_(problem_.memory ? *problem_.memory : own_memory_) {
    keep_covariances(canvas);
    begin(setup.start);
  }

  void step(FlowState& state, StepRecords& records) override {
    const auto k = static_cast<std::size_t>(state.step);
    const Level& level = course_.levels[k];
    const bool last = k + 1 == course_.levels.size();
    const bool sampled = options_.kalman.sampled == SampledSteps::every ||
                         (last && options_.kalman.sampled == SampledSteps::last);
    for (std::size_t b = 0; b < state.batches.size(); ++b) {
      records.enter(b);
      ParticleBatch& batch = state.batches[b];
      const at::Tensor z0 = clean_estimate(batch.z, problem_.prior.noise(batch.z, level), level);
      const at::Tensor x = problem_.prior.codec->decode(z0).clamp(-1, 1);  // [M, C, H', W']
      const Corrected corrected = correct(cells_.join(z0, x), k + 1, batch.first, sampled);
      const at::Tensor z = cells_.latents(corrected.cells);
      batch.image = cells_.images(corrected.cells).clamp(-1, 1);
      records.add({{"misfit", last ? misfit(batch.image) : corrected.misfit},
                   {"data_gradient", z - z0},
                   {"prior_gradient", z0 - batch.z}});
      batch.z = last ? z : noised(z0 + options_.kalman.relaxation * (z - z0), k + 1, batch);
    }
  }

 private:
  struct Corrected {
    at::Tensor cells;   // [M, Q, h, w]
    at::Tensor misfit;  // before, float64 [M]
  };

  /// Reads J of every step, unless an image before this one has.
  void keep_covariances(const Canvas& canvas) {
    const auto* kept = std::any_cast<Covariances>(&memory_.of_prior);
    if (!kept || kept->canvas != canvas) {
      problem_.prior.moments->require_fits(cells_);
      Covariances made{canvas, problem_.prior.moments->to(problem_.prior.options), {}, {}};
      const auto covariance = [&](JointCovariance joint) {
        return std::make_shared<const StepCovariance>(std::move(joint), cells_);
      };
      made.prior = covariance(made.moments.prior());
      for (const double ratio : course_.gains) made.steps.push_back(covariance(made.moments.at(ratio)));
      memory_.of_prior = std::move(made);
      memory_.of_operator.reset();
    }
    covariances_ = std::any_cast<Covariances>(&memory_.of_prior);
  }

  /// J of stage 0, the beginning, or of stage k + 1, step k.
  const StepCovariance& covariance(std::size_t stage) const {
    return stage == 0 ? *covariances_->prior : *covariances_->steps[stage - 1];
  }

  KalmanGain gain(std::size_t stage) const {
    // Not once for all steps: an operator that is estimated is another one after each.
    if (!memory_.of_operator.has_value()) memory_.of_operator = Projections(course_.levels.size() + 1);
    auto& projected = std::any_cast<Projections&>(memory_.of_operator)[stage];
    const StepCovariance& joint = covariance(stage);
    if (!projected && can_project(joint, problem_))
      projected = std::make_shared<ProjectedCovariance>(project(joint, problem_, cells_));
    return {joint, projected.get(), problem_, cells_, options_.kalman.gain_iterations};
  }

  /// Every particle at the first level, about what the prior's mean and covariance make of y.
  void begin(FlowState& state) const {
    const bool sampled = options_.kalman.sampled == SampledSteps::every;
    const at::Tensor mean = covariances_->moments.mean().unsqueeze(0).expand(
        {state.share.micro_batch, cells_.values(), cells_.rows(), cells_.columns()});
    for (ParticleBatch& batch : state.batches) {
      const Corrected corrected = correct(mean, 0, batch.first, sampled);
      const Level& level = course_.levels.front();
      batch.z = level.signal * cells_.latents(corrected.cells) + level.noise * batch.z;
      batch.image = cells_.images(corrected.cells).clamp(-1, 1);
    }
  }

  /// What y says of a = A(x), entry by entry; nothing where not observed.
  struct Innovation {
    at::Tensor residual;  // [M, ...], 0 where not observed
    at::Tensor variance;  // [M, ...], 1 where not observed
    at::Tensor observed;  // [M, ...]
  };

  /// The residual is y - a where the noise is Gaussian, and where not, what one step of scoring takes for it.
  Innovation innovation(const at::Tensor& measured) const {
    const at::Tensor information = noise_of(problem_).information(measured);
    const at::Tensor observed = information.gt(0);
    const at::Tensor variance = at::where(observed, information.clamp_min(kTiny).reciprocal(), 1.0);
    const at::Tensor pull = noise_of(problem_).log_likelihood_gradient(measured, problem_.y);
    return {at::where(observed, pull * variance, 0.0), variance, observed};
  }

  /// The estimate (z, x) with what y says of its error.
  Corrected correct(const at::Tensor& estimate, std::size_t stage, std::int64_t first_particle,
                    bool sampled) const {
    std::uint32_t array = 0;
    const WhiteNoise white = [&](at::IntArrayRef shape) {
      return normals(shape, Purpose::conditional, stage, array++, first_particle);
    };
    const at::Tensor start =
        sampled ? estimate + covariance(stage).joint().draw(estimate.size(0), cells_, white) : estimate;
    const ForwardOperator& forward = problem_.forward;
    const KalmanGain by = gain(stage);
    Corrected corrected{start, {}};
    at::Tensor x_before, measured_before;
    for (std::int64_t step = 0; step < (forward.is_linear() ? 1 : kGaussNewtonSteps); ++step) {
      const at::Tensor x = image_of(corrected.cells);  // [M, C, H, W]
      const at::Tensor measured = forward.apply(x);    // a [M, ...]
      Innovation own = innovation(measured);
      if (step == 0) corrected.misfit = misfit_of(measured - y_, forward);
      if (sampled) {
        const at::Tensor noise = normals(measured.sizes(), Purpose::perturbation, stage, 0, first_particle);
        own.residual = own.residual + at::where(own.observed, own.variance.sqrt() * noise, 0.0);
      }
      if (step > 0) {
        own.residual = own.residual + forward.push_forward(x, image_of(corrected.cells - start));
        // What A' did not foresee of the last step counts as noise: rounding above all.
        const at::Tensor foreseen = measured_before + forward.push_forward(x_before, x - x_before);
        own.variance = own.variance + mean_square(measured - foreseen);
      }
      corrected.cells = start + by.correction(x, own.residual, own.variance);
      x_before = x;
      measured_before = measured;
    }
    return corrected;
  }

  at::Tensor image_of(const at::Tensor& cells) const {
    return cut_to_image(cells_.images(cells), problem_.image_shape);
  }

  at::Tensor misfit(const at::Tensor& image) const {
    const at::Tensor seen = cut_to_image(image, problem_.image_shape);
    return misfit_of(problem_.forward.apply(seen) - y_, problem_.forward);
  }

  /// A clean latent at the next level.
  at::Tensor noised(const at::Tensor& z, std::size_t next, const ParticleBatch& batch) const {
    const Level& level = course_.levels[next];
    const at::Tensor fresh = normals(z.sizes(), Purpose::noising, next, 0, batch.first);
    return level.signal * z + (options_.kalman.renoise * level.noise) * fresh;
  }

  /// The normals of one of the arrays that a stage draws.
  at::Tensor normals(at::IntArrayRef shape, Purpose purpose, std::size_t stage, std::uint32_t array,
                     std::int64_t first_particle) const {
    const auto step = static_cast<std::uint32_t>(stage) * kArraysOfStep + array;
    return normals_like(
        at::empty(shape, problem_.prior.options),
        {options_.seed, problem_.image, static_cast<std::uint32_t>(first_particle), step, purpose});
  }

  static constexpr double kTiny = 1e-30;

  const Problem& problem_;
  const FlowOptions& options_;
  const Cells cells_;
  const Course course_;
  const at::Tensor y_;  // [1, ...]
  MethodMemory own_memory_;
  MethodMemory& memory_;
  const Covariances* covariances_ = nullptr;
};

}  // namespace

std::unique_ptr<FlowMethod> make_kalman(const MethodSetup& setup) {
  if (setup.options.stall != 0.0) throw UsageError("a sampler that stops early has no result");
  if (!setup.problem.prior.moments) {
    throw UsageError(
        "flow.method = kalman needs the prior's moments, and this prior has none; measure them with `dwgf "
        "calibrate-prior` and name the file as prior.moments, or take another method");
  }
  const ImageShape& shape = setup.problem.image_shape;
  return std::make_unique<Kalman>(setup, setup.problem.prior.geometry.canvas(shape.height, shape.width));
}

}  // namespace dwgf
