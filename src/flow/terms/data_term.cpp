#include "flow/terms/data_term.hpp"

#include <ATen/ATen.h>

#include "flow/canvas.hpp"
#include "flow/draws.hpp"

namespace dwgf {

DataTerm::DataTerm(const Problem& problem, const DataTermOptions& options, std::uint64_t seed)
    : problem_(problem),
      options_(options),
      seed_(seed),
      y_(problem.measurement()),
      observed_(static_cast<double>(problem.forward.observed_count())) {
  if (options.objective == Objective::bayes) noise_of(problem);
}

at::Tensor DataTerm::pull_of(const at::Tensor& measured, const at::Tensor& residual, double tempering) const {
  if (options_.objective == Objective::reference) return residual * (1.0 / observed_);
  return problem_.noise->log_likelihood_gradient(measured, problem_.y) * -tempering;
}

DataGradient DataTerm::gradient(const at::Tensor& z, std::int64_t first_particle, std::int64_t step,
                                double tempering) const {
  const auto address = [&](Purpose purpose) {
    return DrawAddress{seed_, problem_.image, static_cast<std::uint32_t>(first_particle),
                       static_cast<std::uint32_t>(step), purpose};
  };
  const Vjp decoded = problem_.prior.codec->decode_vjp(z);
  const at::Tensor& x = decoded.value;  // [M, C, H', W']
  const at::Tensor noisy =
      options_.decoder_std > 0.0 ? x + options_.decoder_std * normals_like(x, address(Purpose::decoder)) : x;

  const at::Tensor seen = cut_to_image(noisy, problem_.image_shape);  // [M, C, H, W]
  const at::Tensor measured = problem_.forward.apply(seen);           // [M, ...]
  const at::Tensor residual = measured - y_;                          // [M, ...]
  at::Tensor cotangent = put_on_canvas(
      problem_.forward.pull_back(seen, pull_of(measured, residual, tempering)), x);  // [M, C, H', W']

  if (options_.consistency > 0.0 && step % options_.consistency_every == 0) {
    const LatentDistribution code = problem_.prior.codec->encode(noisy);
    const at::Tensor encoded = options_.encode == EncodeMode::sample
                                   ? code.mean + code.std * normals_like(code.mean, address(Purpose::encoder))
                                   : code.mean;  // [M, c, h, w]
    const bool sum = options_.objective == Objective::bayes;
    const double dim = sum ? 1.0 : static_cast<double>(x.numel() / x.size(0));
    cotangent = cotangent + (x - problem_.prior.codec->decode(encoded)) * (options_.consistency / dim);
  }

  return {decoded.pull(cotangent), misfit_of(residual, problem_.forward)};
}

}  // namespace dwgf
