#include "flow/methods/latent_dps.hpp"

#include <ATen/ATen.h>

#include "flow/canvas.hpp"
#include "flow/methods/guided_sampling.hpp"

namespace dwgf {

namespace {

class LatentDps final : public Guidance {
 public:
  LatentDps(const Problem& problem, double weight)
      : problem_(problem), weight_(weight), y_(problem.measurement()) {}

  GuidanceGradient gradient(const at::Tensor& z0) const override {
    const Vjp decoded = problem_.prior.codec->decode_vjp(z0);
    const at::Tensor seen = cut_to_image(decoded.value, problem_.image_shape);  // [M, C, H, W]
    const at::Tensor missed = problem_.forward.apply(seen) - y_;                // [M, ...]
    const at::Tensor cotangent = problem_.forward.pull_back(seen, weight_ * unit_vectors(missed));
    return {decoded.pull(put_on_canvas(cotangent, decoded.value)), misfit_of(missed, problem_.forward)};
  }

 private:
  const Problem& problem_;
  const double weight_;
  const at::Tensor y_;  // [1, ...]
};

}  // namespace

std::unique_ptr<FlowMethod> make_latent_dps(const MethodSetup& setup) {
  return guided_sampling(setup, std::make_unique<LatentDps>(setup.problem, setup.options.guidance.weight));
}

}  // namespace dwgf
