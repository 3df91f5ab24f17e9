/// Parallel-beam tomography: line integrals of each channel, along the rays
///
///     x cos t + y sin t = s,   t = 0, 180 / views, ... degrees,   s = -(D - 1) / 2 ... (D - 1) / 2,
///
/// with (x, y) the position of a pixel from the image's centre, x to the right and y down, in pixels, and D =
/// ceil(sqrt(H^2 + W^2)) + 1 detectors one pixel apart, which see all of the image. Joseph's method (1982,
/// doi:10.1109/TMI.1982.4307572): with c the larger of |cos t|, |sin t|, pixel (x, y) adds to the ray s
///
///     w = max(0, 1 - |s - x cos t - y sin t| / c) / c,
///
/// linear interpolation between the two pixels that the ray passes in every row (column). y [C, views, D] is
/// divided by max(H, W): it is near the scale of the image. Outside of the image is 0. Both directions gather
/// by the same w, so the adjoint is exact. Time is views H W; nothing is stored.
///
/// The trivial inverse is the filtered back-projection with the ramp filter of Ram and Lak, band-limited in
/// space (Kak and Slaney, Principles of computerized tomographic imaging, 1988, eq. 61).
///
/// scikit-image's `radon` turns the image by bilinear interpolation instead, does not divide, has a column
/// for a view, and means -t by the angle t: see tools/make_operator_golden.py.
#pragma once

#include "operators/operator_arguments.hpp"

namespace dwgf {

/// `radon:views`, 1 to 65,535
std::shared_ptr<const ForwardOperator> make_radon(const OperatorArguments& arguments,
                                                  const OperatorContext& context);

}  // namespace dwgf
