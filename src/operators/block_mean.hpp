/// Super-resolution by block means: y_ij = (1 / r^2) sum of x over the r x r block (i, j). No border: r
/// divides height and width. Adjoint: every block filled with r_ij / r^2. The trivial inverse is bicubic
/// interpolation (see bicubic.hpp).
#pragma once

#include "operators/operator_arguments.hpp"

namespace dwgf {

/// `mean:r`; throws UsageError unless r divides height and width.
std::shared_ptr<const ForwardOperator> make_block_mean(const OperatorArguments& arguments,
                                                       const OperatorContext& context);

}  // namespace dwgf
