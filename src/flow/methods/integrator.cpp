#include "flow/methods/integrator.hpp"

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "flow/methods/adam.hpp"
#include "flow/methods/affine.hpp"

namespace dwgf {

namespace {

class AdamIntegrator final : public Integrator {
 public:
  explicit AdamIntegrator(double rate) : adam_(rate) {}

  NoisedBatch place(const ParticleBatch& batch, const NoiseSchedule& schedule, std::int64_t time,
                    const DrawAddress& address) const override {
    return add_noise(batch, schedule, time, address);
  }
  double tempering(double, double) const override { return 1.0; }
  void move(FlowState& state, const std::vector<at::Tensor>& gradients) override {
    for (std::size_t b = 0; b < state.batches.size(); ++b)
      adam_.move(state.batches[b], gradients[b], state.step);
  }

 private:
  Adam adam_;
};

class AffineIntegrator final : public Integrator {
 public:
  AffineIntegrator(double step, Collective& group) : flow_(step, group) {}

  NoisedBatch place(const ParticleBatch& batch, const NoiseSchedule&, std::int64_t,
                    const DrawAddress&) const override {
    return {batch.z, at::zeros_like(batch.z), 1.0, 0.0};
  }
  double tempering(double variance, double prior_noise) const override {
    return variance / (variance + prior_noise * prior_noise);
  }
  void move(FlowState& state, const std::vector<at::Tensor>& gradients) override {
    flow_.move(state, gradients);
  }

 private:
  AffineFlow flow_;
};

}  // namespace

std::unique_ptr<Integrator> make_integrator(const FlowOptions& options, const FlowState& state,
                                            Collective& group) {
  if (options.method != Method::affine) return std::make_unique<AdamIntegrator>(options.rate);
  if (options.particles <= state.latent_elements()) {
    throw UsageError(
        concat("flow.integrator = affine moves particles by their own covariance and needs more of them "
               "than a latent has entries: flow.particles is ",
               options.particles, ", entries are ", state.latent_elements(),
               "; take more particles, or flow.integrator = gibbs"));
  }
  return std::make_unique<AffineIntegrator>(options.rate, group);
}

}  // namespace dwgf
