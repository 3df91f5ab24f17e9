#include "flow/methods/affine.hpp"

#include <cmath>
#include <tuple>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "flow/diverged.hpp"
#include "flow/gathered_rows.hpp"
#include "flow/methods/gradient_flow.hpp"

namespace dwgf {

at::Tensor affine_step(const at::Tensor& z, const at::Tensor& g, double step) {
  const double n = static_cast<double>(z.size(0)), d = static_cast<double>(z.size(1));
  const at::Tensor positions = z.to(at::kDouble), gradients = g.to(at::kDouble);               // [N, d]
  const at::Tensor mean = positions.mean(0);                                                   // [d]
  const at::Tensor away = positions - mean;                                                    // [N, d]
  const auto [root, failed] = at::linalg_cholesky_ex(at::matmul(away.t(), away) / (n - 1.0));  // C = L L^T
  const at::Tensor white = at::linalg_solve_triangular(root, away.t(), /*upper=*/false).t();   // L^-1 (z - m)
  const at::Tensor slope = at::matmul(gradients, root);                                        // L^T g

  const at::Tensor mean_slope = slope.mean(0);                                   // [d]
  const at::Tensor fit = at::matmul(white.t(), slope - mean_slope) / (n - 1.0);  // [d, d]
  const at::Tensor linear = 0.5 * (fit + fit.t());                               // B
  const at::Tensor rest = slope - mean_slope - at::matmul(white, linear);        // e [N, d]

  const auto [values, axes] = at::linalg_eigh(linear);
  const at::Tensor precision = (1.0 + step * values).clamp_min(1.0 - step);  // of I + tau B, [d]
  const auto through = [&](const at::Tensor& rows, const at::Tensor& factor) {
    return at::matmul(at::matmul(rows, axes) * factor, axes.t());
  };
  at::Tensor push = through(rest, step / precision);  // [N, d]
  push = push * (std::sqrt(d) / push.norm(2, 1, true).clamp_min(std::sqrt(d)));
  const at::Tensor moved = through(white, precision.rsqrt()) - push -
                           through(mean_slope.unsqueeze(0), step / precision);  // [N, d]
  return (mean + at::matmul(moved, root.t())).to(z.scalar_type());
}

namespace {

InteractionOptions whole_gaussian() {
  return {.kind = InteractionKind::gaussian, .covariance = CovarianceKind::full};
}

DataTermOptions with_likelihood(DataTermOptions data) {
  data.objective = Objective::bayes;
  return data;
}

class Affine final : public GradientFlow {
 public:
  explicit Affine(const MethodSetup& setup)
      : GradientFlow(setup, whole_gaussian(), with_likelihood(setup.options.data)),
        variance_(noise_of(setup.problem).variance()),
        positions_(setup.group),
        gradients_(setup.group) {}

 private:
  NoisedBatch place(const ParticleBatch& batch, const Level& level, const DrawAddress&) const override {
    const double scale = scale_of(level);
    return {scale == 1.0 ? batch.z : batch.z * scale, at::zeros_like(batch.z), scale, 0.0};
  }

  double tempering(std::int64_t step, const Level& level) const override {
    const double s = level.noise / scale_of(level);
    return step < setup().options.grid - 1 ? variance_ / (variance_ + s * s) : 1.0;
  }

  void move(FlowState& state, const std::vector<at::Tensor>& gradients) override {
    positions_.begin(state);
    gradients_.begin(state, state.latent_elements(), [&](std::size_t b) { return gradients[b].flatten(1); });
    positions_.finish(state);
    gradients_.finish(state);
    const at::Tensor moved = affine_step(positions_.all(), gradients_.all(), setup().options.rate);  // [N, d]
    // On a device the answer would have to be waited for; a NaN in the positions tells it at the next record.
    if (moved.device().is_cpu() && !at::isfinite(moved).all().item<bool>()) throw Diverged(state.step);
    for (ParticleBatch& batch : state.batches) {
      at::Tensor counted =
          batch.z.slice(0, 0, batch.counted);  // [counted, c, h, w]; the padding stays where it is
      counted.copy_(moved.slice(0, batch.first, batch.first + batch.counted).view_as(counted));
    }
  }

  const double variance_;
  GatheredRows positions_, gradients_;
};

}  // namespace

std::unique_ptr<FlowMethod> make_affine(const MethodSetup& setup) {
  const std::int64_t entries = setup.start.latent_elements();
  if (setup.options.particles <= entries) {
    throw UsageError(
        "flow.method = affine moves particles by their own covariance and needs more of them than a latent "
        "has entries: flow.particles is {}, entries are {}; take more particles, or flow.method = gibbs",
        setup.options.particles, entries);
  }
  return std::make_unique<Affine>(setup);
}

}  // namespace dwgf
