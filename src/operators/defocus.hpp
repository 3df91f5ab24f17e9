/// Blur of a lens out of focus: the convolution with a disc of `radius` pixels, its edge a pixel wide,
///
///     k_d = min(1, max(0, radius + 1/2 - |d|)) / sum.
///
/// Everything else as kernel_blur.hpp says.
///
/// `defocus:radius[,border]`, radius in pixels, above 0 and at most 2047. Throws UsageError, also where the
/// border would need pixels beyond the image.
#pragma once

#include "operators/operator_arguments.hpp"

namespace dwgf {

/// The disc's kernel above, [2 c - 1, 2 c - 1] with c = ceil(radius + 1/2), float64. @pre radius > 0
at::Tensor disc_kernel(double radius);

}  // namespace dwgf
