/// Phase retrieval: y = |F(pad((x + 1) / 2))|, with F the orthonormal 2-D Fourier transform of each channel
/// and zero padding of p = floor(oversample W / 8) pixels on each of the four sides: [C, H + 2p, W + 2p].
///
/// Nonlinear: with f = F(pad((x + 1) / 2)), A'(x)^T r = (1 / 2) crop(Re F^-1(r f / |f|)), with 0 for
/// f / |f| where f = 0. Half precisions are transformed in float32. Trivial inverse: hybrid input-output.
#pragma once

#include "operators/operator_arguments.hpp"

namespace dwgf {

/// `phase[:oversample]`, 0 <= oversample <= 32 (2 by default)
std::shared_ptr<const ForwardOperator> make_phase_retrieval(const OperatorArguments& arguments,
                                                            const OperatorContext& context);

}  // namespace dwgf
