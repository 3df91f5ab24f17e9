/// Quantisation to L levels on [-1, 1]: y = 2 round((L - 1) (clamp(x, -1, 1) + 1) / 2) / (L - 1) - 1, ties to
/// even.
///
/// The derivative is 0 almost everywhere and says nothing, so A'(x)^T r is that of the straight-through
/// estimator: r, as if A were the identity (Bengio et al., arXiv 1308.3432). The trivial inverse is y itself.
#pragma once

#include "operators/operator_arguments.hpp"

namespace dwgf {

/// `quantise:levels`, 2 to 65,536
std::shared_ptr<const ForwardOperator> make_quantise(const OperatorArguments& arguments,
                                                     const OperatorContext& context);

}  // namespace dwgf
