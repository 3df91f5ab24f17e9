/// Colour to grey: y = 0.299 red + 0.587 green + 0.114 blue (luma of ITU-R BT.601), [3, H, W] -> [1, H, W].
/// The weights sum to 1, so grey pixels keep their value. Adjoint: the weight of each channel times r. The
/// trivial inverse is y in every channel.
#pragma once

#include "operators/operator_arguments.hpp"

namespace dwgf {

/// `grey`; throws UsageError unless the image has 3 channels.
std::shared_ptr<const ForwardOperator> make_grey(const OperatorArguments& arguments,
                                                 const OperatorContext& context);

}  // namespace dwgf
