#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>

#include <dwgf/base/error.hpp>
#include <dwgf/data/picture.hpp>
#include <dwgf/data/png.hpp>

#include "data/detail/image_pixels.hpp"
#include "data/detail/jpeg.hpp"
#include "data/detail/tiff.hpp"

namespace dwgf {
namespace {

enum class Format { png, jpeg, tiff, none };

Format format_of(const std::string& path) {
  std::string ending = std::filesystem::path(path).extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (ending == ".png") return Format::png;
  if (ending == ".jpg" || ending == ".jpeg") return Format::jpeg;
  if (ending == ".tif" || ending == ".tiff") return Format::tiff;
  return Format::none;
}

[[noreturn]] void refuse_name(const std::string& path) {
  throw DataError(concat(path, " does not end as a picture's name does; PNG, JPEG and TIFF are read"));
}

}  // namespace

bool is_picture_name(const std::string& path) {
  return format_of(path) != Format::none;
}

PictureSize read_picture_size(const std::string& path) {
  switch (format_of(path)) {
    case Format::png: {
      const PngSize size = read_png_size(path);
      return {size.height, size.width};
    }
    case Format::jpeg:
      return read_jpeg_size(path);
    case Format::tiff:
      return read_tiff_size(path);
    case Format::none:
      break;
  }
  refuse_name(path);
}

ImagePixels read_picture(const std::string& path) {
  switch (format_of(path)) {
    case Format::png:
      return pixels_of_png(read_png(path), path);
    case Format::jpeg:
      return read_jpeg(path);
    case Format::tiff:
      return read_tiff(path);
    case Format::none:
      break;
  }
  refuse_name(path);
}

}  // namespace dwgf
