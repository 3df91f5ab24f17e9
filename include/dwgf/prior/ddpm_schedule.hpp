/// The noise path of a diffusion model, a table over discrete times: z_t = sqrt(abar_t) z_0 + sqrt(1 -
/// abar_t) eps, and the DDIM grid of times (Ho et al., arXiv 2006.11239; Song et al., arXiv 2010.02502).
///
/// Betas and abar are computed in float32 as diffusers does, then widened: that rounding is part of the
/// definition.
#pragma once

#include <cstdint>
#include <vector>

#include <dwgf/prior/noise_path.hpp>

namespace dwgf {

/// What a network gives: the noise eps, the velocity v = a eps - s z_0, or the clean latent z_0.
enum class PredictionType { epsilon, v_prediction, sample };

enum class BetaSchedule {
  linear,         ///< linspace(beta_start, beta_end, T)
  scaled_linear,  ///< linspace(sqrt(beta_start), sqrt(beta_end), T)^2
  squared_cosine  ///< diffusers' squaredcos_cap_v2
};

struct DdpmScheduleConfig {
  std::int64_t train_steps = 1000;
  BetaSchedule beta_schedule = BetaSchedule::scaled_linear;
  double beta_start = 0.00085;
  double beta_end = 0.012;
  std::vector<float> trained_betas;  ///< in place of the schedule above when not empty
  std::int64_t steps_offset = 1;
  PredictionType prediction = PredictionType::epsilon;
};

class DdpmSchedule final : public NoisePath {
 public:
  /// @pre train_steps >= 3, 0 < beta < 1. Throws DataError.
  explicit DdpmSchedule(DdpmScheduleConfig config);

  const DdpmScheduleConfig& config() const { return config_; }
  std::int64_t train_steps() const { return config_.train_steps; }

  /// abar_t. @pre 0 <= time < train_steps(). Throws InternalError.
  double alpha_bar(std::int64_t time) const;
  /// a = sqrt(abar_t), s = sqrt(1 - abar_t). As alpha_bar().
  Level level(std::int64_t time) const;

  /// Returns the DDIM grid with leading spacing, from the noisiest time down, the last one left out: `grid` -
  /// 1 times. times[k] = (grid - 1 - k) * (T / grid) + steps_offset, integer division. @pre 2 <= grid <
  /// train_steps(). Throws UsageError.
  std::vector<std::int64_t> times(std::int64_t grid) const;
  /// Returns `count` times from `first` down to `last`, evenly in log(s / a): each is the one nearest to its
  /// place. @pre as alpha_bar()
  std::vector<std::int64_t> evenly_in_noise(std::int64_t first, std::int64_t last, std::size_t count) const;

  /// At times(grid), or evenly in noise from its first to the time that a DDIM grid leaves out, steps_offset.
  std::vector<Level> levels(std::int64_t grid, Spacing spacing = Spacing::linear) const override;
  Level last() const override { return level(config_.steps_offset); }
  Level first() const override { return level(train_steps() - 1); }
  Level nearly_clean() const override { return level(1); }
  /// Of all times.
  Level nearest(double log_ratio) const override;

 private:
  DdpmScheduleConfig config_;
  std::vector<float> alpha_bar_;
};

}  // namespace dwgf
