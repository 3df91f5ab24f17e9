/// What JPEG compression of a quality leaves of an image (ITU-T T.81, baseline, no chroma subsampling):
/// v = 127.5 (x + 1) - 128, to Y Cb Cr for 3 channels (JFIF), 8 x 8 blocks of each plane through the
/// orthonormal cosine transform, coefficients q round(c / q) with ties to even, and back, clamped to [-1, 1].
/// q are the tables of T.81's annex K (luma for the first plane, chroma for the others), scaled as the
/// Independent JPEG Group's library scales them by quality:
///
///     q = clamp(floor((table s + 50) / 100), 1, 255),   s = 5000 / quality below 50, else 200 - 2 quality.
///
/// Sides that 8 does not divide are continued by their last row and column. The decoder's rounding to 8 bit
/// is left out.
///
/// A'(x)^T r is that of the straight-through estimator, r: without the rounding, A is the identity on [-1,
/// 1]. The trivial inverse is y itself.
#pragma once

#include "operators/operator_arguments.hpp"

namespace dwgf {

/// `jpeg:quality`, 1 to 100
std::shared_ptr<const ForwardOperator> make_jpeg(const OperatorArguments& arguments,
                                                 const OperatorContext& context);

}  // namespace dwgf
