#include "posterior/resampling.hpp"

#include <ATen/ATen.h>

#include <dwgf/base/random.hpp>

namespace dwgf {

at::Tensor resampling_signs(std::int64_t count, std::int64_t resamples, std::uint64_t image) {
  at::Tensor uniform = at::empty({count, resamples}, at::kDouble);
  double* values = uniform.data_ptr<double>();
  for (std::int64_t i = 0; i < count; ++i) {
    const DrawAddress address{0, image, static_cast<std::uint32_t>(i), 0, Purpose::resampling};
    fill_uniforms(address, {values + i * resamples, static_cast<std::size_t>(resamples)});
  }
  return 2.0 * (uniform < 0.5).to(at::kDouble) - 1.0;
}

}  // namespace dwgf
