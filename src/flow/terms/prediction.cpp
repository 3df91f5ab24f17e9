#include "flow/terms/prediction.hpp"

#include <utility>

namespace dwgf {

std::vector<PredictedBatch> predict(const FlowState& state, const MethodSetup& setup, const Level& level,
                                    Interaction& interaction, const Placement& place, StepRecords& records) {
  const DrawAddress address{setup.options.seed, setup.problem.image, 0,
                            static_cast<std::uint32_t>(state.step), Purpose::noising};
  interaction.begin(state);
  std::vector<PredictedBatch> predicted;
  for (std::size_t b = 0; b < state.batches.size(); ++b) {
    records.enter(b);
    NoisedBatch noised = place(state.batches[b], address);
    at::Tensor eps_theta = setup.problem.prior.noise(noised.z_t, level);
    predicted.push_back({std::move(noised), std::move(eps_theta)});
  }
  interaction.finish(state);
  return predicted;
}

}  // namespace dwgf
