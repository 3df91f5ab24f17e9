#include "flow/unknowns/noise_level.hpp"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

namespace dwgf {

namespace {

constexpr double kLeast = 1e-4, kMost = 10.0;

class NoiseLevel final : public Unknown {
 public:
  NoiseLevel(double start, const NoiseLevelPrior& prior)
      : start_(std::clamp(start, kLeast, kMost)), prior_(prior) {}

  std::string name() const override { return "sigma"; }
  std::vector<std::int64_t> shape() const override { return {1}; }
  std::vector<double> start() const override { return {start_}; }

  /// The mean square of the residual, and m as a share of itself a million times larger.
  std::int64_t statistics() const override { return 2; }
  at::Tensor statistics_of(const SeenBatch& batch) const override {
    const ForwardOperator& forward = *batch.parts.forward;
    const double count = static_cast<double>(forward.observed_count());
    const at::Tensor residual = forward.apply(batch.images) - batch.y;  // [M, ...]; 0 where not observed
    const at::Tensor mean = residual.to(at::kCPU, at::kDouble).square().flatten(1).sum(1) / count;
    return at::stack({mean, at::full_like(mean, count * kCountScale)}, 1);
  }
  std::vector<double> stepped(const std::vector<double>&, const at::Tensor& mean, double) const override {
    const double square = mean[0].item<double>(), count = mean[1].item<double>() / kCountScale;
    const double variance = (prior_.scale + 0.5 * count * square) / (prior_.shape + 0.5 * count);
    return {std::clamp(std::sqrt(variance), kLeast, kMost)};
  }
  void put(const std::vector<double>& value, ProblemParts& parts) const override {
    parts.sigma = value[0];
    parts.noise = make_noise_model("gaussian", value[0], *parts.forward);
  }

 private:
  static constexpr double kCountScale = 0x1p-20;

  double start_;
  NoiseLevelPrior prior_;
};

}  // namespace

std::shared_ptr<const Unknown> make_unknown_noise_level(double start, const NoiseLevelPrior& prior) {
  return std::make_shared<NoiseLevel>(start, prior);
}

}  // namespace dwgf
