#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include <dwgf/flow/solve.hpp>

#include "flow/methods/guided_sampling.hpp"
#include "flow/methods/integrator.hpp"
#include "flow/methods/rlsd.hpp"
#include "flow/methods/split_gibbs.hpp"
#include "flow/step_loop.hpp"
#include "flow/terms/interaction.hpp"
#include "flow/terms/regulariser.hpp"

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
  if (options.method == Method::gibbs) return split_gibbs(problem, options, group, observer);
  if (options.method == Method::psld || options.method == Method::latent_dps)
    return guided_sampling(problem, options, group, observer);

  const NoiseSchedule& schedule = problem.prior.schedule();
  const std::vector<std::int64_t> times = flow_times(schedule, options);
  const bool bayes = options.data.objective == Objective::bayes;
  FlowState start = start_of(problem, options, group);
  const auto interaction = make_interaction(options, group.tensors);
  const auto integrator = make_integrator(options, start, group.tensors);
  const DataTerm data_term(problem, options);

  const auto flow_step = [&](FlowState& state, Monitor& monitor) {
    const std::int64_t t = times[static_cast<std::size_t>(state.step)];
    const double prior_noise = schedule.noise(t);
    const bool annealed = state.step < options.grid - 1;
    const double tempering =
        bayes && annealed ? integrator->tempering(problem.noise->variance(), prior_noise) : 1.0;
    const std::vector<PredictedBatch> predicted = predict(
        state, problem, options, t, *interaction, [&](const ParticleBatch& batch, const DrawAddress& noise) {
          return integrator->place(batch, schedule, t, noise);
        });
    std::vector<at::Tensor> gradients;  // [M, c, h, w] of each batch
    for (std::size_t b = 0; b < state.batches.size(); ++b) {
      const ParticleBatch& batch = state.batches[b];
      const auto& [noised, eps_theta, redone] = predicted[b];
      const InteractionScore score = interaction->score(state, b, noised);
      const at::Tensor prior_gradient =
          bayes ? bayes_regulariser_gradient(score.score, eps_theta, noised, prior_noise, options.weight)
                : regulariser_gradient(score.score, eps_theta, noised, options.weight);
      const std::int64_t before = problem.prior.calls_redone();
      const DataGradient data = data_term.gradient(batch.z, batch.first, state.step, tempering);
      gradients.push_back(data.gradient + prior_gradient);
      if (monitor.wants(state.step)) {
        monitor.observe(batch, data.misfit, data.gradient, prior_gradient, score.neighbours,
                        redone + problem.prior.calls_redone() - before);
      }
    }
    integrator->move(state, gradients);
  };
  return take_steps(std::move(start), options, group, observer, flow_step);
}

}  // namespace dwgf
