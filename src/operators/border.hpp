/// What an image continues as beyond its edge, for operators that read there.
#pragma once

#include <cstddef>

#include "operators/operator_arguments.hpp"

namespace dwgf {

/// reflect: mirrored at the edge pixel, which is not repeated (c b | a b c); zero: 0; circular: the other
/// side.
enum class Border { reflect, zero, circular };

/// Argument `index` as a border, `reflect` where it is left out. Throws UsageError.
Border parse_border(const OperatorArguments& arguments, std::size_t index);

/// Throws UsageError unless a kernel of `height` x `width` (odd) finds the pixels beyond the edge that it
/// needs: (size - 1) / 2 is below the image's side for reflect, at most this side for circular; zero takes
/// any up to 65,535.
void require_kernel_fits(const OperatorArguments& arguments, Border border, std::int64_t height,
                         std::int64_t width, const ImageShape& image);

}  // namespace dwgf
