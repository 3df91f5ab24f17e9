/// The forward noising process of a diffusion prior, z_t = sqrt(abar_t) z_0 + sqrt(1 - abar_t) eps, and the
/// DDIM grid of times that the flow visits (Ho et al., arXiv 2006.11239; Song et al., arXiv 2010.02502).
///
/// Betas and abar are computed in float32 as diffusers does, then widened: that rounding is part of the
/// definition.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dwgf {

enum class PredictionType { epsilon, v_prediction };

enum class BetaSchedule {
  linear,         ///< linspace(beta_start, beta_end, T)
  scaled_linear,  ///< linspace(sqrt(beta_start), sqrt(beta_end), T)^2
  squared_cosine  ///< diffusers' squaredcos_cap_v2
};

struct NoiseScheduleConfig {
  std::int64_t train_steps = 1000;
  BetaSchedule beta_schedule = BetaSchedule::scaled_linear;
  double beta_start = 0.00085;
  double beta_end = 0.012;
  std::vector<float> trained_betas;  ///< in place of the schedule above when not empty
  std::int64_t steps_offset = 1;
  PredictionType prediction = PredictionType::epsilon;
};

class NoiseSchedule {
 public:
  /// @pre train_steps >= 3, 0 < beta < 1. Throws DataError.
  explicit NoiseSchedule(NoiseScheduleConfig config);

  const NoiseScheduleConfig& config() const { return config_; }
  std::int64_t train_steps() const { return config_.train_steps; }
  PredictionType prediction() const { return config_.prediction; }

  /// abar_t. @pre 0 <= time < train_steps().
  double alpha_bar(std::int64_t time) const;
  /// a = sqrt(abar_t)
  double signal(std::int64_t time) const;
  /// s = sqrt(1 - abar_t)
  double noise(std::int64_t time) const;

  /// The DDIM grid with leading spacing, from the noisiest time down, the last one left out: `grid` - 1
  /// times. times[k] = (grid - 1 - k) * (T / grid) + steps_offset, integer division.
  /// @pre 2 <= grid < train_steps(). Throws UsageError.
  std::vector<std::int64_t> times(std::int64_t grid) const;

 private:
  NoiseScheduleConfig config_;
  std::vector<float> alpha_bar_;
};

}  // namespace dwgf
