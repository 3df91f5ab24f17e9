/// Super-resolution by bicubic downsampling: y = P x Q^T, with P for the height and Q for the width the
/// matrix
///
///     R_ij = k((j + 1/2 - c_i) / s) / sum_j k(...),   c_i = (i + 1/2) n / m,   s = max(n / m, 1),
///
/// from n samples to m = floor(n / r), k being Keys' cubic kernel with a = -1/2 (Keys, 1981,
/// doi:10.1109/TASSP.1981.1163711), stretched by s (antialiased). Border: weights outside the image are left
/// out. Normalisation: each row sums to 1. As Pillow's BICUBIC and torch interpolate(mode="bicubic",
/// antialias=True, align_corners=False).
///
/// The trivial inverse is the same resampling upwards, to the image's size.
///
/// `bicubic:r`, r at most the smaller side. Throws UsageError.
#pragma once

#include "operators/operator_arguments.hpp"

namespace dwgf {

/// The matrix above from `from` samples to `to`: [to, from], float64.
at::Tensor bicubic_matrix(std::int64_t from, std::int64_t to);

/// y [B, C, h, w] -> [B, C, height, width]
at::Tensor bicubic_resize(const at::Tensor& y, std::int64_t height, std::int64_t width);

}  // namespace dwgf
