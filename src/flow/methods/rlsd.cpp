#include "flow/methods/rlsd.hpp"

#include <vector>

#include <ATen/ATen.h>

#include "flow/canvas.hpp"
#include "flow/draws.hpp"
#include "flow/methods/adam.hpp"
#include "flow/step_loop.hpp"
#include "flow/terms/interaction.hpp"
#include "flow/terms/regulariser.hpp"

namespace dwgf {

namespace {

constexpr double kSecondBeta = 0.99;

/// x ~ N(0, I) beside every latent.
void add_images(FlowState& state, const Problem& problem, const FlowOptions& options) {
  const PriorGeometry& geometry = problem.prior.geometry();
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

FlowOptions with_repulsion(FlowOptions options) {
  options.interaction.kind =
      options.interaction.repulsion > 0.0 ? InteractionKind::repulsion : InteractionKind::none;
  return options;
}

}  // namespace

Solution rlsd(const Problem& problem, const FlowOptions& options, const RankGroup& group,
              FlowObserver& observer) {
  const Prior& prior = problem.prior;
  const std::vector<std::int64_t> times = prior.schedule().times(options.grid);
  const at::Tensor y = problem.y.to(prior.options()).unsqueeze(0);  // [1, ...]
  const double observed = static_cast<double>(problem.forward.observed_count());
  const auto interaction = make_interaction(with_repulsion(options), group.tensors);
  const Adam latent_adam(options.rate, kSecondBeta), image_adam(options.rlsd.image_rate, kSecondBeta);
  FlowState start = start_of(problem, options, group);
  add_images(start, problem, options);

  const auto distil_step = [&](FlowState& state, Monitor& monitor) {
    const std::int64_t t = times[static_cast<std::size_t>(state.step)];
    std::vector<PredictedBatch> predicted = predict(
        state, problem, options, t, *interaction, [&](const ParticleBatch& batch, const DrawAddress& noise) {
          return add_noise(batch, prior.schedule(), t, noise);
        });
    for (std::size_t b = 0; b < state.batches.size(); ++b) {
      ParticleBatch& batch = state.batches[b];
      const double dim = static_cast<double>(batch.image.numel() / batch.image.size(0));
      const std::int64_t before = prior.calls_redone();

      const InteractionScore score = interaction->score(state, b, predicted[b].noised);
      const at::Tensor prior_gradient = regulariser_gradient(
          score.score, predicted[b].eps_theta, predicted[b].noised, options.weight / options.rlsd.coupling);
      const DecodedImage decoded = prior.decode_with_pull_back(batch.z);
      const at::Tensor data_gradient = decoded.pull_back((decoded.x - batch.image) * (1.0 / dim));
      latent_adam.move(batch, data_gradient + prior_gradient, state.step);

      const at::Tensor seen = cut_to_image(batch.image, problem.image_shape);  // [M, C, H, W]
      const at::Tensor residual = problem.forward.apply(seen) - y;             // [M, ...]
      const at::Tensor towards_measurement =
          put_on_canvas(problem.forward.pull_back(seen, residual * (1.0 / observed)), batch.image);
      const at::Tensor from_decoded = batch.image - prior.decode(batch.z);  // [M, C, H', W']
      image_adam.move_images(batch, at::add(towards_measurement, from_decoded, options.rlsd.coupling / dim),
                             state.step);

      predicted[b].redone += prior.calls_redone() - before;
      if (monitor.wants(state.step)) {
        monitor.observe(batch, misfit_of(residual, problem.forward), data_gradient, prior_gradient,
                        score.neighbours, predicted[b].redone);
      }
    }
  };
  return take_steps(std::move(start), options, group, observer, distil_step);
}

}  // namespace dwgf
