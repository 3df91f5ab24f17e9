#include "operators/baselines/hybrid_input_output.hpp"

#include <vector>

#include <ATen/ATen.h>

#include <dwgf/base/random.hpp>

#include "operators/batch_shape.hpp"

namespace dwgf {
namespace {

constexpr double kFeedback = 0.9;
constexpr std::uint32_t kStarts = 4;

/// [S, C, H + 2p, W + 2p]
at::Tensor starts(const at::Tensor& like) {
  std::vector<at::Tensor> drawn;
  for (std::uint32_t start = 0; start < kStarts; ++start) {
    at::Tensor numbers = at::empty_like(like, at::MemoryFormat::Contiguous);
    fill_uniforms({.particle = start, .purpose = Purpose::mask},
                  {numbers.mutable_data_ptr<double>(), static_cast<std::size_t>(numbers.numel())});
    drawn.push_back(numbers);
  }
  return at::stack(drawn);
}

at::Tensor spectrum(const at::Tensor& u) {
  return at::fft_fft2(u, {}, {-2, -1}, "ortho");
}

/// One image [C, H + 2p, W + 2p] -> the padded image on [0, 1]. All starts at once; every channel takes the
/// best of its own.
at::Tensor retrieve(const at::Tensor& y, const at::Tensor& inside, std::int64_t iterations) {
  const at::Tensor magnitude = y.clamp_min(0), allowed = inside.to(at::kBool);
  at::Tensor u = starts(y) * inside;  // [S, C, H + 2p, W + 2p]
  for (std::int64_t iteration = 0; iteration < iterations; ++iteration) {
    const at::Tensor p = at::real(at::fft_ifft2(spectrum(u).sgn_().mul_(magnitude), {}, {-2, -1}, "ortho"));
    const bool reduce_error = iteration >= iterations - iterations / 10;
    u = reduce_error ? p.clamp(0, 1) * inside
                     : at::where(allowed.logical_and(p.ge(0)).logical_and_(p.le(1)), p, u - kFeedback * p);
  }
  u = u.clamp(0, 1) * inside;
  const at::Tensor misfit = (spectrum(u).abs() - y).square().sum({2, 3}, /*keepdim=*/true);  // [S, C, 1, 1]
  const at::Tensor best = misfit.argmin(0, /*keepdim=*/true).expand({1, u.size(1), u.size(2), u.size(3)});
  return u.gather(0, best).squeeze(0);
}

}  // namespace

at::Tensor hybrid_input_output(const at::Tensor& y, std::int64_t padding, std::int64_t iterations) {
  const at::Tensor on_host = y.to(at::kCPU, at::kDouble);
  const std::int64_t height = y.size(2) - 2 * padding, width = y.size(3) - 2 * padding;
  const at::Tensor inside = at::constant_pad_nd(at::ones({y.size(1), height, width}, on_host.options()),
                                                {padding, padding, padding, padding});
  return image_by_image(y.size(0),
                        [&](std::int64_t b) {
                          return retrieve(on_host.select(0, b), inside, iterations)
                              .narrow(1, padding, height)
                              .narrow(2, padding, width)
                              .mul(2)
                              .sub(1);  // [C, H, W]
                        })
      .to(y.options());
}

}  // namespace dwgf
