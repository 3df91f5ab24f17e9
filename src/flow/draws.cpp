#include <ATen/ATen.h>

#include <dwgf/flow/draws.hpp>

namespace dwgf {

at::Tensor normals_like(const at::Tensor& like, const DrawAddress& address) {
  at::Tensor drawn = at::empty(like.sizes(), at::TensorOptions().dtype(at::kFloat));
  const std::int64_t samples = like.size(0);
  const std::int64_t count = samples == 0 ? 0 : like.numel() / samples;
  for (std::int64_t b = 0; b < samples; ++b) {
    DrawAddress sample = address;
    sample.particle += static_cast<std::uint32_t>(b);
    fill_normals(sample, {drawn.data_ptr<float>() + b * count, static_cast<std::size_t>(count)});
  }
  return drawn.to(like.options());
}

}  // namespace dwgf
