#include "kernels/device_kernels.hpp"

#include <algorithm>

#include "kernels/detail/kernel_calls.hpp"

namespace dwgf {

bool norm_is_served(const NormShape& shape) {
  return shape.samples > 0 && shape.positions > 0 && shape.channels > 0 && shape.channels <= 4096 &&
         shape.groups > 0 && shape.groups <= 512 && shape.channels % shape.groups == 0;
}

std::size_t norm_scratch(const NormShape& shape) {
  // The parts of a sample depend on how many channels a thread takes; the larger of both ways.
  const auto floats = [&](int vector) {
    return 2 * shape.samples * kernels::plan_norm(shape, vector).parts * shape.groups;
  };
  std::int64_t most = floats(1);
  for (const int vector : {4, 8})
    if (shape.channels % vector == 0) most = std::max(most, floats(vector));
  return static_cast<std::size_t>(most);
}

std::size_t moment_scratch(std::int64_t elements) {
  return static_cast<std::size_t>(kernels::blocks_for(elements, kernels::kElementThreads));
}

}  // namespace dwgf
