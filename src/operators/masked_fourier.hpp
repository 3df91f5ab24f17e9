/// Masked 2-D Fourier samples, as in magnetic resonance imaging: y = M F x, F the orthonormal 2-D transform
/// of each channel, M a mask over the frequencies. y is [2, C, H, W], real parts then imaginary parts;
/// frequencies that are not sampled read 0, carry no noise and do not count in m. Adjoint: Re F^-1 M. The
/// mask is in the order of numpy.fft.fft2, frequency 0 at [0, 0]: one with its centre in the middle goes
/// through numpy.fft.ifftshift first. The trivial inverse is the zero-filled one, Re F^-1 y.
#pragma once

#include "operators/operator_arguments.hpp"

namespace dwgf {

/// `fourier:FILE`: a mask [H, W] (.npy or PNG, 0 is not sampled), or `@`.
std::shared_ptr<const ForwardOperator> make_masked_fourier(const OperatorArguments& arguments,
                                                           const OperatorContext& context);

}  // namespace dwgf
