#include "operators/measured_pictures.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>

namespace dwgf {

std::int64_t picture_factor(const std::string& spec) {
  constexpr std::array<std::string_view, 4> no_pictures = {"phase", "fourier", "radon", "matrix"};
  constexpr std::int64_t largest = 1 << 16;
  std::int64_t factor = 1;
  for (const std::string& part : split(spec, '|')) {
    const std::string stage = trim(part);
    const std::size_t colon = stage.find(':');
    const std::string name = trim(stage.substr(0, colon));
    if (std::ranges::count(no_pictures, name) > 0) {
      throw UsageError(
          "input.kind = measured: what '{}' measures is no picture; write it with h5py as a file of "
          "measurements "
          "(src/store/README.md), and leave input.kind out",
          stage);
    }
    if (name != "mean" && name != "bicubic") continue;
    const auto own = parse_int64(colon == std::string::npos ? "" : trim(stage.substr(colon + 1)));
    if (!own || *own < 1 || *own > largest / factor)
      throw UsageError("problem.operator: '{}' has no factor of 1 or more, such as {}:4", stage, name);
    factor *= *own;
  }
  return factor;
}

}  // namespace dwgf
