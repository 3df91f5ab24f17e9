#include "job/operator_files.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>

#include "data/npy.hpp"
#include "data/png.hpp"

namespace dwgf {
namespace {

at::Tensor mask_of_png(const std::string& path) {
  const PngImage image = read_png(path);
  if (image.channels != 1)
    throw DataError("{} has {} channels; save the mask as a grey image without alpha", path, image.channels);
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
  const std::string where = formatted("problem.operator: the {} ", kind);
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

}  // namespace dwgf
