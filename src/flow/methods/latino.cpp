#include "flow/methods/latino.hpp"

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/flow/times.hpp>

#include "flow/canvas.hpp"
#include "flow/draws.hpp"
#include "flow/methods/reverse_diffusion.hpp"
#include "flow/terms/proximal.hpp"
#include "prior/moments.hpp"

namespace dwgf {

namespace {

constexpr double kTrainTimes = 1000;
constexpr double kLeastVariance = 1e-12;

/// delta of the authors' task, in units of |r| where y has that many entries.
struct PublishedDelta {
  double above, below, time;
  double entries = 0;  // 0: no |r|
};
constexpr PublishedDelta kInpainting{1.0, 0.5, 500};
constexpr PublishedDelta kSuperResolution{0.3, 0.2, 300, 3.0 * 64 * 64};
constexpr PublishedDelta kBlur{5e-4, 2e-4, 400, 3.0 * 1024 * 1024};

const PublishedDelta& published_delta(const Problem& problem) {
  if (problem.forward.observed().defined()) return kInpainting;
  const auto [channels, height, width] = problem.image_shape;
  const bool fewer = c10::multiply_integers(problem.forward.measurement_shape()) < channels * height * width;
  return fewer ? kSuperResolution : kBlur;
}

/// The mean square error of pixels of the clean estimate at a level.
double pixel_error(const Problem& problem, const Level& level) {
  const PriorGeometry& geometry = problem.prior.geometry;
  const Cells cells(geometry, geometry.canvas(problem.image_shape.height, problem.image_shape.width));
  problem.prior.moments->require_fits(cells);
  const at::Tensor variances = problem.prior.moments->at(log_ratio(level)).diagonal();  // [Q, ...]
  const std::int64_t latents = cells.latent_values();
  return variances.narrow(0, latents, cells.values() - latents).to(at::kDouble).mean().item<double>();
}

struct Stage {
  Level level;
  double time;            // of a schedule of 1,000
  double measured = 0.0;  // rho^2, where it is
};

std::vector<Stage> course_of(const Problem& problem, const FlowOptions& options) {
  const auto count = static_cast<double>(options.grid - 1);
  std::vector<Stage> course;
  for (std::int64_t k = 0; k < options.grid - 1; ++k) {
    const double time = std::round(kTrainTimes * (count - static_cast<double>(k)) / count) - 1.0;
    course.push_back({problem.prior.path->nearest(log_ratio_at(time)), time});
  }
  course.resize(static_cast<std::size_t>(step_count(options)), course.back());
  if (options.latino.delta == LatinoDelta::measured)
    for (Stage& stage : course) stage.measured = pixel_error(problem, stage.level);
  return course;
}

class Latino final : public FlowMethod {
 public:
  explicit Latino(const MethodSetup& setup)
      : problem_(setup.problem),
        options_(setup.options),
        course_(course_of(problem_, options_)),
        y_(problem_.measurement()) {
    begin(setup.start);
  }

  void step(FlowState& state, StepRecords& records) override {
    const auto k = static_cast<std::size_t>(state.step);
    const Stage& stage = course_[k];
    for (std::size_t b = 0; b < state.batches.size(); ++b) {
      records.enter(b);
      ParticleBatch& batch = state.batches[b];
      const at::Tensor z0 = clean_estimate(batch.z, problem_.prior.noise(batch.z, stage.level), stage.level);
      const at::Tensor x = problem_.prior.codec->decode(z0).clamp(-1, 1);  // [M, C, H', W']
      const at::Tensor seen = cut_to_image(x, problem_.image_shape);       // [M, C, H, W]
      const at::Tensor misfit = misfit_of(problem_.forward.apply(seen) - y_, problem_.forward);  // [M]
      const at::Tensor moved = proximal_step(problem_, seen, variance(stage, misfit)) - seen;
      const at::Tensor z = encoded(x + put_on_canvas(moved, x));
      records.add({{"misfit", misfit}, {"data_gradient", z - z0}, {"prior_gradient", z0 - batch.z}});
      batch.z = k + 1 == course_.size() ? z : noised(z, k + 1, batch);
    }
  }

 private:
  /// Every particle at the first level, about E(A^T y).
  void begin(FlowState& state) const {
    const auto [channels, height, width] = problem_.image_shape;
    const Level& level = course_.front().level;
    const Canvas canvas = problem_.prior.geometry.canvas(height, width);
    for (ParticleBatch& batch : state.batches) {
      const std::int64_t samples = batch.z.size(0);
      const at::Tensor blank = at::zeros({samples, channels, canvas.height, canvas.width}, batch.z.options());
      std::vector<std::int64_t> shape = y_.sizes().vec();
      shape.front() = samples;
      const at::Tensor pulled = problem_.forward.pull_back(cut_to_image(blank, problem_.image_shape),
                                                           y_.expand(shape).contiguous());
      batch.z = level.signal * encoded(put_on_canvas(pulled, blank)) + level.noise * batch.z;
    }
  }

  at::Tensor encoded(const at::Tensor& x) const { return problem_.prior.codec->encode(x.clamp(-1, 1)).mean; }

  /// rho^2 [M], by the misfit |r|^2 / (2 m).
  at::Tensor variance(const Stage& stage, const at::Tensor& misfit) const {
    if (options_.latino.delta == LatinoDelta::measured) return at::full_like(misfit, stage.measured);
    const PublishedDelta& published = published_delta(problem_);
    const double delta = stage.time > published.time ? published.above : published.below;
    const double noise = stage.level.noise / scale_of(stage.level);
    const double scale = delta * noise * noise;
    if (published.entries == 0) return at::full_like(misfit, scale);
    return (scale * (2.0 * published.entries * misfit).sqrt()).clamp_min(kLeastVariance);
  }

  /// A clean latent at a level.
  at::Tensor noised(const at::Tensor& z, std::size_t next, const ParticleBatch& batch) const {
    const Level& level = course_[next].level;
    return level.signal * z +
           level.noise *
               normals_like(z, {options_.seed, problem_.image, static_cast<std::uint32_t>(batch.first),
                                static_cast<std::uint32_t>(next), Purpose::noising});
  }

  const Problem& problem_;
  const FlowOptions& options_;
  const std::vector<Stage> course_;
  const at::Tensor y_;  // [1, ...]
};

}  // namespace

std::unique_ptr<FlowMethod> make_latino(const MethodSetup& setup) {
  if (setup.options.stall != 0.0) throw UsageError("a sampler that stops early has no result");
  if (setup.options.latino.delta == LatinoDelta::measured && !setup.problem.prior.moments) {
    throw UsageError(
        "flow.delta = measured needs the prior's moments, and this prior has none; measure them with `dwgf "
        "calibrate-prior` and name the file as prior.moments, or set flow.delta = published");
  }
  return std::make_unique<Latino>(setup);
}

}  // namespace dwgf
