/// Denoising: y = x.
#pragma once

#include <dwgf/operators/operator_arguments.hpp>

namespace dwgf {

/// `identity`
std::shared_ptr<const ForwardOperator> make_identity(const OperatorArguments& arguments,
                                                     const OperatorContext& context);

}  // namespace dwgf
