/// Gaussian blur: y_p = sum_d k_d x_(p + d), the correlation with a size x size kernel,
///
///     k_d = exp(-|d|^2 / (2 std^2)) / sum_d exp(...),   |d_row|, |d_column| <= (size - 1) / 2.
///
/// Border: `reflect` (the default; the edge pixel is not repeated), `zero` (the edges darken) or `circular`.
/// k is a product of 1-D kernels, and so is the border rule: the operator is separable and its adjoint exact.
/// The trivial inverse is the Wiener filter (fourier_filter.hpp).
#pragma once

#include "operators/operator_arguments.hpp"

namespace dwgf {

/// `blur:size,std[,border]`, size odd, std in pixels > 0. Throws UsageError, also where the border would need
/// pixels beyond the image: (size - 1) / 2 is below height and width for reflect, at most these for circular;
/// zero takes any size up to 65,535.
std::shared_ptr<const ForwardOperator> make_gaussian_blur(const OperatorArguments& arguments,
                                                          const OperatorContext& context);

}  // namespace dwgf
