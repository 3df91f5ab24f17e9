#include <ATen/ATen.h>

#include <dwgf/flow/data_term.hpp>
#include <dwgf/flow/draws.hpp>

namespace dwgf {

namespace {

/// The image's corner of canvases [M, C, H', W'] -> [M, C, H, W].
at::Tensor cut_to_image(const at::Tensor& canvas, const ImageShape& image) {
  if (canvas.size(2) == image.height && canvas.size(3) == image.width) return canvas;
  return canvas.narrow(2, 0, image.height).narrow(3, 0, image.width).contiguous();
}

/// Its adjoint: zero outside the image.
at::Tensor put_on_canvas(const at::Tensor& image, const at::Tensor& canvas) {
  if (image.sizes() == canvas.sizes()) return image;
  return at::constant_pad_nd(image, {0, canvas.size(3) - image.size(3), 0, canvas.size(2) - image.size(2)});
}

}  // namespace

DataTerm::DataTerm(const Problem& problem, const FlowOptions& options)
    : problem_(problem),
      options_(options),
      y_(problem.y.to(problem.prior.options()).unsqueeze(0)),
      observed_(static_cast<double>(problem.forward.observed_count())) {}

DataGradient DataTerm::gradient(const at::Tensor& z, std::int64_t first_particle, std::int64_t step) const {
  const auto address = [&](Purpose purpose) {
    return DrawAddress{options_.seed, problem_.image, static_cast<std::uint32_t>(first_particle),
                       static_cast<std::uint32_t>(step), purpose};
  };
  const DecodedImage decoded = problem_.prior.decode_with_pull_back(z);
  const at::Tensor& x = decoded.x;  // [M, C, H', W']
  const at::Tensor noisy =
      options_.decoder_std > 0.0 ? x + options_.decoder_std * normals_like(x, address(Purpose::decoder)) : x;

  const at::Tensor seen = cut_to_image(noisy, problem_.image_shape);  // [M, C, H, W]
  const at::Tensor residual = problem_.forward.apply(seen) - y_;      // [M, ...]
  at::Tensor cotangent =
      put_on_canvas(problem_.forward.pull_back(seen, residual * (1.0 / observed_)), x);  // [M, C, H', W']

  if (options_.consistency > 0.0 && step % options_.consistency_every == 0) {
    const LatentDistribution code = problem_.prior.encode(noisy);
    const at::Tensor encoded = options_.encode == EncodeMode::sample
                                   ? code.mean + code.std * normals_like(code.mean, address(Purpose::encoder))
                                   : code.mean;  // [M, c, h, w]
    const double dim = static_cast<double>(x.numel() / x.size(0));
    cotangent = cotangent + (x - problem_.prior.decode(encoded)) * (options_.consistency / dim);
  }

  const at::Tensor misfit = residual.flatten(1).to(at::kDouble).square().sum(1) * (0.5 / observed_);  // [M]
  return {decoded.pull_back(cotangent), misfit};
}

}  // namespace dwgf
