#include "flow/methods/rlsd.hpp"

#include <vector>

#include <ATen/ATen.h>

#include <dwgf/flow/times.hpp>

#include "flow/canvas.hpp"
#include "flow/draws.hpp"
#include "flow/methods/adam.hpp"
#include "flow/terms/interaction.hpp"
#include "flow/terms/prediction.hpp"
#include "flow/terms/regulariser.hpp"

namespace dwgf {

namespace {

constexpr double kSecondBeta = 0.99;

/// x ~ N(0, I) beside every latent.
void add_images(FlowState& state, const Problem& problem, const FlowOptions& options) {
  const PriorGeometry& geometry = problem.prior.geometry;
  const Canvas canvas = geometry.canvas(problem.image_shape.height, problem.image_shape.width);
  for (ParticleBatch& batch : state.batches) {
    batch.image_first_moment =
        at::zeros({batch.z.size(0), geometry.image_channels, canvas.height, canvas.width}, state.options);
    batch.image_second_moment = at::zeros_like(batch.image_first_moment);
    batch.image = normals_like(
        batch.image_first_moment,
        {options.seed, problem.image, static_cast<std::uint32_t>(batch.first), 0, Purpose::decoder});
  }
}

InteractionOptions repulsion_of(const FlowOptions& options) {
  const double strength = options.interaction.repulsion;
  return {.kind = strength > 0.0 ? InteractionKind::repulsion : InteractionKind::none, .repulsion = strength};
}

class Rlsd final : public FlowMethod {
 public:
  explicit Rlsd(const MethodSetup& setup)
      : setup_(setup),
        levels_(evenly_spaced_levels(*setup.problem.prior.path, setup.options)),
        y_(setup.problem.measurement()),
        interaction_(make_interaction(repulsion_of(setup.options), setup.group)),
        latent_adam_(setup.options.rate, kSecondBeta),
        image_adam_(setup.options.rlsd.image_rate, kSecondBeta) {}

  void step(FlowState& state, StepRecords& records) override {
    const auto& [problem, options, group, start] = setup_;
    const Prior& prior = problem.prior;
    const double coupling = options.rlsd.coupling;
    const double observed = static_cast<double>(problem.forward.observed_count());
    const Level& level = levels_[static_cast<std::size_t>(state.step)];
    const std::vector<PredictedBatch> predicted = predict(
        state, setup_, level, *interaction_,
        [&](const ParticleBatch& batch, const DrawAddress& noise) { return add_noise(batch, level, noise); },
        records);
    for (std::size_t b = 0; b < state.batches.size(); ++b) {
      records.enter(b);
      ParticleBatch& batch = state.batches[b];
      const double dim = static_cast<double>(batch.image.numel() / batch.image.size(0));

      const InteractionScore score = interaction_->score(state, b, predicted[b].noised);
      const at::Tensor prior_gradient = regulariser_gradient(score.score, predicted[b].eps_theta,
                                                             predicted[b].noised, options.weight / coupling);
      const Vjp decoded = prior.codec->decode_vjp(batch.z);
      const at::Tensor data_gradient = decoded.pull((decoded.value - batch.image) * (1.0 / dim));
      latent_adam_.move(batch, data_gradient + prior_gradient, state.step);

      const at::Tensor seen = cut_to_image(batch.image, problem.image_shape);  // [M, C, H, W]
      const at::Tensor residual = problem.forward.apply(seen) - y_;            // [M, ...]
      const at::Tensor towards_measurement =
          put_on_canvas(problem.forward.pull_back(seen, residual * (1.0 / observed)), batch.image);
      const at::Tensor from_decoded = batch.image - prior.codec->decode(batch.z);  // [M, C, H', W']
      image_adam_.move_images(batch, at::add(towards_measurement, from_decoded, coupling / dim), state.step);

      records.add({{"misfit", misfit_of(residual, problem.forward)},
                   {"data_gradient", data_gradient},
                   {"prior_gradient", prior_gradient},
                   {"neighbours", score.neighbours}});
    }
  }

 private:
  const MethodSetup setup_;
  const std::vector<Level> levels_;
  const at::Tensor y_;  // [1, ...]
  const std::unique_ptr<Interaction> interaction_;
  const Adam latent_adam_, image_adam_;
};

}  // namespace

std::unique_ptr<FlowMethod> make_rlsd(const MethodSetup& setup) {
  add_images(setup.start, setup.problem, setup.options);
  return std::make_unique<Rlsd>(setup);
}

}  // namespace dwgf
