#include <algorithm>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/geometry.hpp>

namespace dwgf {

Canvas PriorGeometry::canvas(std::int64_t image_height, std::int64_t image_width) const {
  if (image_height < 1 || image_width < 1) {
    throw DataError("an image of {} x {} pixels has nothing to restore", image_height, image_width);
  }
  if (only) {
    if (image_height == only->height && image_width == only->width) return *only;
    throw DataError(
        "an image of {} x {} pixels, but this prior is defined for {} x {} alone; crop or resample it",
        image_height, image_width, only->height, only->width);
  }
  const auto latent = [&](std::int64_t pixels) {
    const std::int64_t step = factor * patch;
    return (pixels + step - 1) / step * patch;
  };
  const std::int64_t h = latent(image_height), w = latent(image_width);
  if (largest > 0 && std::max(h, w) > largest) {
    throw DataError(
        "an image of {} x {} pixels, but this prior has positions for {} x {} at most; cover it by windows "
        "(prior.window = auto), crop it or resample it",
        image_height, image_width, largest * factor, largest * factor);
  }
  return {h * factor, w * factor, h, w};
}

}  // namespace dwgf
