#include "flow/canvas.hpp"

#include <ATen/ATen.h>

namespace dwgf {

at::Tensor cut_to_image(const at::Tensor& canvas, const ImageShape& image) {
  if (canvas.size(2) == image.height && canvas.size(3) == image.width) return canvas;
  return canvas.narrow(2, 0, image.height).narrow(3, 0, image.width).contiguous();
}

at::Tensor put_on_canvas(const at::Tensor& image, const at::Tensor& canvas) {
  if (image.sizes() == canvas.sizes()) return image;
  return at::constant_pad_nd(image, {0, canvas.size(3) - image.size(3), 0, canvas.size(2) - image.size(2)});
}

}  // namespace dwgf
