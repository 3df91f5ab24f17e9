/// The noise path of a diffusion model that was distilled to few steps: of the times that it was trained with
/// (ddpm_schedule.hpp) its denoiser may be called at some alone. And the samplers that such models have:
///
///   consistency   latent consistency models (arXiv 2310.04378): lands on the clean latent, noised anew
///   trajectory    trajectory consistency distillation (arXiv 2402.19159): lands at time
///                 floor((1 - gamma) t'), noised up to the next time t'
///   euler         Euler's rule on the probability flow, as Turbo and Lightning models: lands on the next
///                 time, which is DDIM's step without noise; z = s n at first
///   ancestral     the same with the noise of DDPM's step anew, as SDXL-Turbo: with q = s / a, lands at
///                 q_l^2 = q'^2 - q'^2 (q^2 - q'^2) / q^2
///
/// Times of K steps: of those allowed, in descending order, number floor(k n / K), k = 0 ... K - 1; of the
/// last two without a choice of times, round(T - k T / K) - 1 (`timestep_spacing` = trailing). As diffusers
/// 0.42.1, schedulers/scheduling_lcm.py, scheduling_tcd.py, scheduling_euler_discrete.py and
/// scheduling_euler_ancestral_discrete.py.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <dwgf/prior/ddpm_schedule.hpp>
#include <dwgf/prior/few_steps.hpp>

namespace dwgf {

enum class FewStepSampler { consistency, trajectory, euler, ancestral };

/// gamma of `trajectory`: how much of the noise is anew; what its authors' pipelines take.
inline constexpr double kTrajectoryGamma = 0.3;

struct FewStepConfig {
  FewStepSampler sampler = FewStepSampler::consistency;
  std::int64_t original_steps = 50;  ///< consistency, trajectory: times of the distillation, k T / 50 - 1
  double time_scaling = 10.0;        ///< consistency: of times in the boundary condition
  /// Times at which the denoiser may be called, descending; empty: those of the distillation, or for the last
  /// two samplers all.
  std::vector<std::int64_t> times = {};
};

class FewStepSchedule final : public NoisePath {
 public:
  /// Throws DataError where a time is outside of the schedule, or where times do not descend.
  FewStepSchedule(DdpmSchedule schedule, FewStepConfig config);

  const DdpmSchedule& schedule() const { return schedule_; }
  /// As above. Throws UsageError for less than one step, or more than there are times.
  std::vector<std::int64_t> times(std::int64_t steps) const;
  std::vector<FewStep> course(std::int64_t steps, double gamma = kTrajectoryGamma) const;
  /// As many steps as the times that were chosen, else 4.
  FewSteps few_steps() const;

  /// Methods take what levels there are: a grid of K levels visits the times of K - 1 steps, or where there
  /// are fewer, or with log spacing, for each level of the schedule's grid the allowed one that is as noisy.
  /// A step more at a level costs a method little; a level that the denoiser was never shown gives nonsense.
  std::vector<Level> levels(std::int64_t grid, Spacing spacing = Spacing::linear) const override;
  Level last() const override;
  Level first() const override;
  /// Of the allowed ones.
  Level nearest(double log_ratio) const override;

 private:
  DdpmSchedule schedule_;
  FewStepConfig config_;
  std::vector<std::int64_t> allowed_;  // descending; empty: all
};

}  // namespace dwgf
