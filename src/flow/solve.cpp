#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include <dwgf/flow/draws.hpp>
#include <dwgf/flow/guided_sampling.hpp>
#include <dwgf/flow/integrator.hpp>
#include <dwgf/flow/interaction.hpp>
#include <dwgf/flow/regulariser.hpp>
#include <dwgf/flow/rlsd.hpp>
#include <dwgf/flow/solve.hpp>
#include <dwgf/flow/split_gibbs.hpp>

namespace dwgf {

at::Tensor restored_images(const Prior& prior, const ParticleBatch& batch) {
  return batch.image.defined() ? batch.image : prior.decode(batch.z);
}

Solution solve(const Problem& problem, const FlowOptions& options, Collective& group) {
  FlowObserver nobody;
  return solve(problem, options, group, nobody);
}

Solution solve(const Problem& problem, const FlowOptions& options, Collective& group,
               FlowObserver& observer) {
  return solve(problem, options, RankGroup{group, group}, observer);
}

Solution solve(const Problem& problem, const FlowOptions& options, const RankGroup& group,
               FlowObserver& observer) {
  if (options.method == Method::rlsd) return rlsd(problem, options, group, observer);
  if (options.method != Method::dwgf) return guided_sampling(problem, options, group, observer);
  if (options.integrator == IntegratorKind::gibbs) return split_gibbs(problem, options, group, observer);
  const Prior& prior = problem.prior;
  const Canvas canvas = prior.geometry().canvas(problem.image_shape.height, problem.image_shape.width);
  const std::vector<std::int64_t> latent_shape{prior.geometry().latent_channels, canvas.latent_height,
                                               canvas.latent_width};
  const std::vector<std::int64_t> times = flow_times(prior.schedule(), options);
  const std::int64_t steps = step_count(options);

  const bool bayes = options.objective == Objective::bayes;
  FlowState state = initial_state(
      share_particles(options.particles, options.micro_batch, group.host.rank(), group.host.size()),
      latent_shape, options.seed, problem.image, prior.options());
  const auto interaction = make_interaction(options, group.tensors);
  const DataTerm data_term(problem, options);
  const auto integrator = make_integrator(options, state, group.tensors);
  Monitor monitor(options, steps, group.host);

  observer.begin(state, monitor);
  bool wanted = !monitor.stalled();
  while (wanted && state.step < steps) {
    const std::int64_t t = times[static_cast<std::size_t>(state.step)];
    const double prior_noise = prior.schedule().noise(t);
    const bool annealed = state.step < options.grid - 1;
    const double tempering =
        bayes && annealed ? integrator->tempering(problem.noise->variance(), prior_noise) : 1.0;
    interaction->begin(state);
    std::vector<NoisedBatch> noised;
    std::vector<at::Tensor> predicted;  // eps_theta(z_t, t)
    std::vector<std::int64_t> redone;   // network calls of this step, by batch
    for (const ParticleBatch& batch : state.batches) {
      noised.push_back(integrator->place(
          batch, prior.schedule(), t,
          {options.seed, problem.image, 0, static_cast<std::uint32_t>(state.step), Purpose::noising}));
      const std::int64_t before = prior.calls_redone();
      predicted.push_back(prior.predict_noise(noised.back().z_t, t));
      redone.push_back(prior.calls_redone() - before);
    }
    interaction->finish(state);
    std::vector<at::Tensor> gradients;  // [M, c, h, w] of each batch
    for (std::size_t b = 0; b < state.batches.size(); ++b) {
      const ParticleBatch& batch = state.batches[b];
      const InteractionScore score = interaction->score(state, b, noised[b]);
      const at::Tensor prior_gradient =
          bayes
              ? bayes_regulariser_gradient(score.score, predicted[b], noised[b], prior_noise, options.weight)
              : regulariser_gradient(score.score, predicted[b], noised[b], options.weight);
      const std::int64_t before = prior.calls_redone();
      const DataGradient data = data_term.gradient(batch.z, batch.first, state.step, tempering);
      redone[b] += prior.calls_redone() - before;
      gradients.push_back(data.gradient + prior_gradient);
      if (monitor.wants(state.step)) {
        monitor.observe(batch, data.misfit, data.gradient, prior_gradient, score.neighbours, redone[b]);
      }
    }
    integrator->move(state, gradients);
    monitor.finish_step(state);
    ++state.step;
    wanted = observer.at_step_boundary(state, monitor) && !monitor.stalled();
  }
  const bool complete = state.step == steps || monitor.stalled();
  return {std::move(state), monitor.finish(), complete};
}

}  // namespace dwgf
