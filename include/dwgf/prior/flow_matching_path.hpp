/// The noise path of flow matching, z_t = (1 - s) z_0 + s eps for s in [0, 1] (Lipman et al., arXiv
/// 2210.02747), with the shift of its levels towards noise that Stable Diffusion 3 was trained with (Esser et
/// al., arXiv 2403.03206, equation 23):
///
///   shifted(s) = k s / (1 + (k - 1) s),   k the shift;   the denoiser is told T s, T the training times
///
/// Levels are those of diffusers' FlowMatchEulerDiscreteScheduler (0.42.1,
/// https://github.com/huggingface/diffusers, schedulers/scheduling_flow_match_euler_discrete.py), rounded to
/// float32 as there. It shifts twice: the levels of training, 1 / T ... 1, of which it takes the two ends,
/// and again what it lays evenly between them.
#pragma once

#include <cstdint>
#include <vector>

#include <dwgf/prior/noise_path.hpp>

namespace dwgf {

struct FlowMatchingConfig {
  std::int64_t train_steps = 1000;  ///< T
  double shift = 1.0;               ///< k
};

class FlowMatchingPath final : public NoisePath {
 public:
  /// The signal that levels() and first() leave where the scheduler leaves less: from noise alone no method
  /// could form (z_t - s eps) / a. The denoiser is told the scheduler's time there too.
  static constexpr double kLeastSignal = 1.0 / 1024;

  /// @pre train_steps >= 3, shift > 0. Throws DataError.
  explicit FlowMatchingPath(FlowMatchingConfig config);

  const FlowMatchingConfig& config() const { return config_; }

  /// The scheduler's sigmas for so many steps, from 1 down, without the 0 at their end. @pre 1 <= steps <=
  /// train_steps. Throws UsageError.
  std::vector<double> sigmas(std::int64_t steps) const;
  /// a = 1 - s, also for s = 1.
  Level level(double s) const;

  /// With linear spacing the scheduler's for `grid` - 1 steps; with log spacing from the same first level to
  /// last(), evenly in log(s / a). @pre 2 <= grid <= train_steps. Throws UsageError.
  std::vector<Level> levels(std::int64_t grid, Spacing spacing = Spacing::linear) const override;
  /// The scheduler's last, whatever the number of steps.
  Level last() const override;
  Level first() const override;
  /// That ratio itself, between those of last() and first(). Its time need not be whole.
  Level nearest(double log_ratio) const override;

 private:
  double shifted(double s) const;
  /// level(), with kLeastSignal at least.
  Level with_signal(double s) const;

  FlowMatchingConfig config_;
  double cleanest_ = 0.0;  // of training
};

}  // namespace dwgf
