#include "posterior/across_particles.hpp"

#include <algorithm>

#include <ATen/ATen.h>

#include "flow/tensor_bytes.hpp"

namespace dwgf {

at::Tensor reduce_across_particles(const at::Tensor& own, const ParticleShare& share, Collective& group,
                                   std::int64_t quantities, const PixelReduction& reduction,
                                   std::int64_t values_at_once) {
  const std::int64_t ranks = group.size(), slots = own.size(0), pixels = own.size(1);
  // Pixels of one rank and exchange.
  const std::int64_t fit =
      std::max<std::int64_t>(1, values_at_once / std::max<std::int64_t>(1, ranks * ranks * slots));
  const std::int64_t width = std::min(fit, (pixels + ranks - 1) / ranks);
  at::Tensor result = at::zeros({quantities, pixels}, at::kDouble);
  for (std::int64_t first = 0; first < pixels; first += ranks * width) {
    const std::int64_t end = std::min(pixels, first + ranks * width);
    const at::Tensor piece =
        at::constant_pad_nd(own.slice(1, first, end), {0, first + ranks * width - end}).contiguous();
    const at::Tensor sent =
        piece.view({slots, ranks, width}).transpose(0, 1).contiguous();  // [ranks, slots, width]
    const at::Tensor received = at::empty_like(sent);
    group.all_to_all(bytes_of(sent), bytes_of(received));

    // Ranks hold their particles in order: the first N of all slots.
    const at::Tensor values =
        received.view({ranks * slots, width}).slice(0, 0, share.particles).t().contiguous();  // [width, N]
    const at::Tensor reduced = at::zeros({width, quantities}, at::kDouble);
    const std::int64_t mine = first + group.rank() * width;
    for (std::int64_t k = 0; k < width && mine + k < end; ++k) {
      reduction({values.data_ptr<float>() + k * share.particles, static_cast<std::size_t>(share.particles)},
                mine + k,
                {reduced.data_ptr<double>() + k * quantities, static_cast<std::size_t>(quantities)});
    }
    const at::Tensor gathered = at::empty({ranks * width, quantities}, at::kDouble);
    group.all_gather(bytes_of(reduced), bytes_of(gathered));
    result.slice(1, first, end).copy_(gathered.slice(0, 0, end - first).t());
  }
  return result;
}

}  // namespace dwgf
