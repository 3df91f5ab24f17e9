#include "job/tensors.hpp"

#include <algorithm>
#include <limits>
#include <set>

#include <ATen/ATen.h>

namespace dwgf {

at::Tensor as_tensor(const ImagePixels& pixels) {
  return at::tensor(at::ArrayRef<float>(pixels.values))
      .reshape({pixels.channels, pixels.height, pixels.width});
}

at::Tensor as_tensor(const FloatArray& array) {
  at::Tensor values = at::tensor(at::ArrayRef<float>(array.values)).reshape(array.shape);
  for (std::int64_t dim = 0; dim < values.dim(); ++dim) {
    std::int64_t size = values.size(dim);
    while (size > 1 && at::isnan(values.select(dim, size - 1)).all().item<bool>()) --size;
    values = values.narrow(dim, 0, size);
  }
  return values.contiguous();
}

at::Tensor embedded(const at::Tensor& values, const std::vector<std::int64_t>& shape) {
  const at::Tensor v = values.cpu();
  if (v.sizes() == at::IntArrayRef(shape)) return v.contiguous();
  at::Tensor out = at::full(shape, std::numeric_limits<double>::quiet_NaN(), v.options());
  at::Tensor corner = out;
  for (std::int64_t dim = 0; dim < v.dim(); ++dim) corner = corner.narrow(dim, 0, v.size(dim));
  corner.copy_(v);
  return out;
}

at::Tensor cut(const at::Tensor& array, at::IntArrayRef shape) {
  at::Tensor view = array;
  const std::int64_t skipped = array.dim() - static_cast<std::int64_t>(shape.size());
  for (std::size_t dim = 0; dim < shape.size(); ++dim) {
    view = view.narrow(skipped + static_cast<std::int64_t>(dim), 0, shape[dim]);
  }
  return view.contiguous();
}

void grow(std::vector<std::int64_t>& shape, at::IntArrayRef other) {
  shape.resize(std::max(shape.size(), other.size()), 1);
  for (std::size_t d = 0; d < other.size(); ++d) shape[d] = std::max(shape[d], other[d]);
}

std::optional<Error> visit_sizes(const std::vector<ImageEntry>& images, bool others_may_do,
                                 const std::function<void(std::int64_t row)>& visit) {
  std::set<std::pair<std::uint32_t, std::uint32_t>> seen;
  std::optional<Error> first_error;
  for (std::size_t row = 0; row < images.size(); ++row) {
    const std::pair size{images[row].height, images[row].width};
    if (!seen.insert(size).second) continue;
    try {
      visit(static_cast<std::int64_t>(row));
    } catch (const Error& error) {
      if (!first_error) first_error = error;
      if (others_may_do) seen.erase(size);
    }
  }
  return first_error;
}

}  // namespace dwgf
