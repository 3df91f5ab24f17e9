/// Measurements of images whose values are on another scale.
#pragma once

#include <ATen/core/Tensor.h>

#include <dwgf/operators/operator.hpp>

namespace dwgf {

/// Whether what is measured of scale x + offset follows from what is measured of x: where A is linear, as
/// scale A(x) + offset A(1), or measures a picture on the image's own scale, as scale A(x) + offset.
bool follows_scale(const ForwardOperator& forward);

/// What is measured of scale x + offset where y [...] was measured of x, float32. @pre follows_scale(forward)
at::Tensor measured_on_scale(const at::Tensor& y, double scale, double offset, const ForwardOperator& forward,
                             const ImageShape& shape);

}  // namespace dwgf
