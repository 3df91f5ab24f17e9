#include "support/flow_matching.hpp"

#include <cmath>
#include <fstream>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

namespace dwgf {
namespace {

constexpr double kNoisiest = 0.99, kCleanest = 0.005;

class LinePath final : public NoisePath {
 public:
  std::vector<Level> levels(std::int64_t grid, Spacing spacing) const override {
    if (grid < 2) throw UsageError("a grid of {} levels; allowed: at least 2", grid);
    const auto log_ratio = [](double s) { return std::log(s / (1.0 - s)); };
    std::vector<Level> levels;
    for (std::int64_t k = 0; k + 1 < grid; ++k) {
      const auto share = static_cast<double>(k);
      const double from = log_ratio(kNoisiest), to = log_ratio(kCleanest);
      levels.push_back(
          spacing == Spacing::linear
              ? at(std::lerp(kNoisiest, kCleanest, share / static_cast<double>(grid - 1)))
              : at(1.0 / (1.0 + std::exp(-std::lerp(
                                    from, to, grid > 2 ? share / static_cast<double>(grid - 2) : 0.0)))));
    }
    return levels;
  }
  Level last() const override { return at(kCleanest); }
  Level first() const override { return at(kNoisiest); }

 private:
  static Level at(double s) { return {1.0 - s, s, 1000.0 * s}; }
};

class VelocityDenoiser final : public Denoiser {
 public:
  VelocityDenoiser(double mean, double variance) : mean_(mean), variance_(variance) {}
  at::Tensor noise(const at::Tensor& z_t, const Level& level, const Conditioning&) const override {
    return z_t + level.signal * velocity(z_t, level.time);
  }
  Vjp noise_vjp(const at::Tensor& z_t, const Level& level, const Conditioning& given) const override {
    return {noise(z_t, level, given), [slope = 1.0 + level.signal * slope_at(level.time / 1000.0)](
                                          const at::Tensor& cotangent) { return slope * cotangent; }};
  }

 private:
  double slope_at(double s) const {
    const double a = 1.0 - s;
    return (s - a * variance_) / (a * a * variance_ + s * s);
  }
  /// The network: it knows of a level what it is told, its time.
  at::Tensor velocity(const at::Tensor& z_t, double time) const {
    const double s = time / 1000.0;
    return slope_at(s) * (z_t - (1.0 - s) * mean_) - mean_;
  }

  double mean_, variance_;
};

bool recognises(const std::string& path) {
  return path.ends_with(".gaussian") && std::ifstream(path).good();
}

std::unique_ptr<Prior> load(const std::string& path, const PriorOptions& options) {
  std::int64_t channels = 0, height = 0, width = 0;
  double mean = 0.0, variance = 0.0;
  if (!(std::ifstream(path) >> channels >> height >> width >> mean >> variance))
    throw DataError("{} is not 'channels height width m r'", path);
  auto prior = std::make_unique<Prior>();
  prior->path = std::make_shared<LinePath>();
  prior->denoiser = std::make_shared<VelocityDenoiser>(mean, variance);
  prior->codec = std::make_shared<IdentityCodec>();
  prior->geometry = {
      .image_channels = channels, .latent_channels = channels, .only = Canvas{height, width, height, width}};
  prior->options = at::TensorOptions(options.dtype).device(options.device);
  prior->sha256 = std::string(64, '0');
  return prior;
}

}  // namespace

const PriorFamily kGaussianFlowMatching{"gaussian_flow_matching", false, recognises, load};

}  // namespace dwgf
