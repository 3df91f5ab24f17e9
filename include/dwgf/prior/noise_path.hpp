/// The forward noising process of a prior, z = a z_0 + s eps from almost pure noise to an almost clean
/// latent, and the levels on it that a flow visits. A diffusion model has a table of levels
/// (ddpm_schedule.hpp), flow matching the line a = 1 - s; adding a path means implementing the first
/// three functions below.
#pragma once

#include <cstdint>
#include <vector>

#include <dwgf/catalogue/spacing.hpp>

namespace dwgf {

/// A noise level: z = signal z_0 + noise eps.
struct Level {
  double signal = 1.0;  ///< a
  double noise = 0.0;   ///< s
  double time = 0.0;    ///< what the denoiser is told of this level

  bool operator==(const Level&) const = default;
};

/// log(s / a), how noisy a level is.
double log_ratio(const Level& level);

/// c = sqrt(a^2 + s^2), exactly 1 where a path preserves variance: z / c is the z_t of such a path, as noisy.
double scale_of(const Level& level);

class NoisePath {
 public:
  virtual ~NoisePath() = default;

  /// Returns the levels of a grid of length `grid` from the noisiest down, `grid` - 1 of them: with linear
  /// spacing the grid's last, cleanest level is left out; with log spacing they end at last().
  /// Throws UsageError naming the lengths that are allowed.
  virtual std::vector<Level> levels(std::int64_t grid, Spacing spacing = Spacing::linear) const = 0;
  /// The cleanest level of any grid, where a flow settles.
  virtual Level last() const = 0;
  /// The noisiest level that the denoiser knows.
  virtual Level first() const = 0;
  /// The level at which the denoiser's score is taken for the score of clean latents.
  virtual Level nearly_clean() const { return last(); }
  /// The level whose log(s / a) is nearest to this one: of levels(999), where a path knows no better.
  virtual Level nearest(double log_ratio) const;
};

}  // namespace dwgf
