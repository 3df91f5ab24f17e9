/// Denoising: y = x.
#pragma once

#include "operators/operator_arguments.hpp"

namespace dwgf {

/// `identity`
std::shared_ptr<const ForwardOperator> make_identity(const OperatorArguments& arguments,
                                                     const OperatorContext& context);

}  // namespace dwgf
