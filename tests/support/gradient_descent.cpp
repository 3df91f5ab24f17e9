#include "support/gradient_descent.hpp"

#include <ATen/ATen.h>

#include "flow/terms/data_term.hpp"

namespace dwgf {

namespace {

class GradientDescent final : public FlowMethod {
 public:
  explicit GradientDescent(const MethodSetup& setup)
      : rate_(setup.options.rate), data_term_(setup.problem, setup.options.data, setup.options.seed) {}

  void step(FlowState& state, StepRecords& records) override {
    for (std::size_t b = 0; b < state.batches.size(); ++b) {
      records.enter(b);
      ParticleBatch& batch = state.batches[b];
      const DataGradient data = data_term_.gradient(batch.z, batch.first, state.step);
      batch.z = batch.z - rate_ * data.gradient;
      records.add({{"misfit", data.misfit}, {"data_gradient", data.gradient}});
    }
  }

 private:
  const double rate_;
  const DataTerm data_term_;
};

std::unique_ptr<FlowMethod> make(const MethodSetup& setup) {
  return std::make_unique<GradientDescent>(setup);
}

}  // namespace

const MethodRow kGradientDescent = {"gradient-descent", make};

}  // namespace dwgf
