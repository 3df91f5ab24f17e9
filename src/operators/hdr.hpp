/// High dynamic range: y = clamp(2 x, -1, 1), pixel by pixel. Nonlinear: A'(x)^T r = 2 r where |2 x| <= 1,
/// and 0 elsewhere. The trivial inverse is y / 2, exact where nothing was clipped.
#pragma once

#include "operators/operator_arguments.hpp"

namespace dwgf {

/// `hdr`
std::shared_ptr<const ForwardOperator> make_hdr(const OperatorArguments& arguments,
                                                const OperatorContext& context);

}  // namespace dwgf
