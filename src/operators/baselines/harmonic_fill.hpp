/// Harmonic (membrane) inpainting: the missing pixels u solve Laplace's equation with the observed ones as
/// boundary values,
///
///     sum over the 2 to 4 neighbours q of p inside the image of (u_p - u_q) = 0,
///
/// which is the five-point Laplacian with zero normal derivative at the image's border. Every channel by
/// itself.
#pragma once

#include <ATen/core/Tensor.h>

namespace dwgf {

/// y [B, C, H, W], observed [C, H, W] of 0 and 1 -> [B, C, H, W] in y's dtype, on y's device. Solved by
/// conjugate gradients in double, on the host, to a relative residual of 1e-10. A channel without any
/// observed pixel is filled with 0.
at::Tensor harmonic_fill(const at::Tensor& y, const at::Tensor& observed);

}  // namespace dwgf
