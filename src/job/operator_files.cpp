#include "job/operator_files.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <limits>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "data/npy.hpp"
#include "data/png.hpp"

namespace dwgf {
namespace {

at::Tensor mask_of_png(const std::string& path) {
  const PngImage image = read_png(path);
  if (image.channels != 1)
    throw DataError(
        concat(path, " has ", image.channels, " channels; save the mask as a grey image without alpha"));
  std::vector<float> values(image.samples.begin(), image.samples.end());
  return at::tensor(at::ArrayRef<float>(values)).view({image.height, image.width});
}

std::string extension_of(const std::string& path) {
  std::string extension = std::filesystem::path(path).extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension;
}

}  // namespace

at::Tensor load_operator_file(const std::string& kind, const std::string& path) {
  const std::string where = concat("problem.operator: the ", kind, " ");
  try {
    if (kind == "mask" && extension_of(path) == ".png") return mask_of_png(path);
    const NpyFile file(path);
    const std::vector<float> values = file.read(0, file.size());
    const at::Tensor array = at::tensor(at::ArrayRef<float>(values)).reshape(file.shape());
    return kind == "matrix" && file.type() == NumberType::uint8 ? array / 127.5 - 1 : array;
  } catch (const NotFoundError& error) {
    throw NotFoundError(where + error.what());
  } catch (const DataError& error) {
    throw DataError(where + error.what());
  }
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

}  // namespace dwgf
