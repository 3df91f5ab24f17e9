/// Any linear map, as in compressed sensing: y = M vec(x), M [m, C H W] with the image row-major [C, H, W]; y
/// is [m]. Adjoint: M^T. Memory is that of M, in double and in the type that it is used in.
///
/// The trivial inverse is the least-squares solution of least norm, by conjugate gradients on the normal
/// equations in double (CGLS), from 0 to a relative residual |M^T (y - M x)| of 1e-8, 500 iterations at most.
#pragma once

#include "operators/operator_arguments.hpp"

namespace dwgf {

/// `matrix:FILE`: M from a .npy file (uint8 v reads v / 127.5 - 1, as pixels do), or `@`.
std::shared_ptr<const ForwardOperator> make_matrix_operator(const OperatorArguments& arguments,
                                                            const OperatorContext& context);

}  // namespace dwgf
