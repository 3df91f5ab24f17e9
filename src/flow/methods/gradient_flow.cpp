#include "flow/methods/gradient_flow.hpp"

#include <ATen/ATen.h>

#include <dwgf/flow/times.hpp>

#include "flow/terms/prediction.hpp"
#include "flow/terms/regulariser.hpp"

namespace dwgf {

GradientFlow::GradientFlow(const MethodSetup& setup, const InteractionOptions& interaction,
                           const DataTermOptions& data)
    : setup_(setup),
      bayes_(data.objective == Objective::bayes),
      levels_(flow_levels(*setup.problem.prior.path, setup.options)),
      interaction_(make_interaction(interaction, setup.group)),
      data_term_(setup.problem, data, setup.options.seed) {}

void GradientFlow::step(FlowState& state, StepRecords& records) {
  const Level& level = levels_[static_cast<std::size_t>(state.step)];
  const double weight = setup_.options.weight, beta = tempering(state.step, level);
  const std::vector<PredictedBatch> predicted = predict(
      state, setup_, level, *interaction_,
      [&](const ParticleBatch& batch, const DrawAddress& noise) { return place(batch, level, noise); },
      records);
  std::vector<at::Tensor> gradients;  // [M, c, h, w] of each batch
  for (std::size_t b = 0; b < state.batches.size(); ++b) {
    records.enter(b);
    const ParticleBatch& batch = state.batches[b];
    const auto& [noised, eps_theta] = predicted[b];
    const InteractionScore score = interaction_->score(state, b, noised);
    const at::Tensor prior_gradient =
        bayes_ ? bayes_regulariser_gradient(score.score, eps_theta, noised, level.noise, weight)
               : regulariser_gradient(score.score, eps_theta, noised, weight);
    const DataGradient data = data_term_.gradient(batch.z, batch.first, state.step, beta);
    gradients.push_back(data.gradient + prior_gradient);
    records.add({{"misfit", data.misfit},
                 {"data_gradient", data.gradient},
                 {"prior_gradient", prior_gradient},
                 {"neighbours", score.neighbours}});
  }
  move(state, gradients);
}

namespace {

class Dwgf final : public GradientFlow {
 public:
  explicit Dwgf(const MethodSetup& setup)
      : GradientFlow(setup, setup.options.interaction, setup.options.data), adam_(setup.options.rate) {}

 private:
  NoisedBatch place(const ParticleBatch& batch, const Level& level, const DrawAddress& noise) const override {
    return add_noise(batch, level, noise);
  }
  double tempering(std::int64_t, const Level&) const override { return 1.0; }
  void move(FlowState& state, const std::vector<at::Tensor>& gradients) override {
    for (std::size_t b = 0; b < state.batches.size(); ++b)
      adam_.move(state.batches[b], gradients[b], state.step);
  }

  Adam adam_;
};

}  // namespace

std::unique_ptr<FlowMethod> make_dwgf(const MethodSetup& setup) {
  return std::make_unique<Dwgf>(setup);
}

}  // namespace dwgf
