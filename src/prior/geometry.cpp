#include <dwgf/base/error.hpp>
#include <dwgf/prior/geometry.hpp>

namespace dwgf {

Canvas PriorGeometry::canvas(std::int64_t image_height, std::int64_t image_width) const {
  if (image_height < 1 || image_width < 1) {
    throw DataError(
        concat("an image of ", image_height, " x ", image_width, " pixels has nothing to restore"));
  }
  if (only) {
    if (image_height == only->height && image_width == only->width) return *only;
    throw DataError(concat("an image of ", image_height, " x ", image_width,
                           " pixels, but this prior is defined for ", only->height, " x ", only->width,
                           " alone; crop or resample it"));
  }
  const std::int64_t h = (image_height + factor - 1) / factor;
  const std::int64_t w = (image_width + factor - 1) / factor;
  return {h * factor, w * factor, h, w};
}

}  // namespace dwgf
