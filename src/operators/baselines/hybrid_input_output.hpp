/// Phase retrieval by hybrid input-output (Fienup, Applied Optics 21, 2758 (1982), doi:10.1364/AO.21.002758):
/// the trivial inverse of `phase`. With u the padded image on [0, 1], F the orthonormal Fourier transform and
/// beta = 0.9, one iteration is
///
///     p = Re F^-1(max(y, 0) F(u) / |F(u)|)
///         the measured magnitudes, the present phases
///     u <- p where p may be (inside the image and 0 <= p <= 1), u - beta p elsewhere
///
/// and, in the last tenth, u <- p clipped to where it may be (error reduction). Four starts from addressed
/// uniform numbers, the same for every image; the one whose magnitudes are nearest to y in the end is taken.
/// Every channel by itself.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace dwgf {

/// y [B, C, H + 2 padding, W + 2 padding] -> [B, C, H, W] on [-1, 1], in y's dtype, on y's device. Computed
/// in double, on the host, image by image.
at::Tensor hybrid_input_output(const at::Tensor& y, std::int64_t padding, std::int64_t iterations = 200);

}  // namespace dwgf
