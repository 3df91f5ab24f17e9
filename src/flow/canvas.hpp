/// Images in the top left corner of what the prior decodes (prior/geometry.hpp).
#pragma once

#include <ATen/core/Tensor.h>

#include <dwgf/operators/operator.hpp>

namespace dwgf {

/// The image's corner of canvases [M, C, H', W'] -> [M, C, H, W].
at::Tensor cut_to_image(const at::Tensor& canvas, const ImageShape& image);

/// Its adjoint: zero outside the image. `canvas` gives the shape.
at::Tensor put_on_canvas(const at::Tensor& image, const at::Tensor& canvas);

}  // namespace dwgf
