#include "data/formats.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include <dwgf/base/error.hpp>

#include "data/detail/jpeg.hpp"
#include "data/detail/sources.hpp"
#include "data/detail/tiff.hpp"
#include "data/detail/webp.hpp"
#include "data/png.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

std::string ending_of(const std::string& path) {
  std::string ending = fs::path(path).extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return ending;
}

const PictureFormat* find_format(const std::string& path) {
  const std::string ending = ending_of(path);
  for (const PictureFormat& format : picture_formats()) {
    if (std::find(format.endings.begin(), format.endings.end(), ending) != format.endings.end())
      return &format;
  }
  return nullptr;
}

const PictureFormat& format_of(const std::string& path) {
  if (const PictureFormat* format = find_format(path)) return *format;
  throw DataError("{} does not end as a picture's name does; {} are read", path, picture_format_names("and"));
}

}  // namespace

std::vector<PictureFormat>& picture_formats() {
  static std::vector<PictureFormat> formats = {
      {"PNG", {".png"}, read_png_size, read_png_pixels},
      {"JPEG", {".jpg", ".jpeg", ".jpe", ".jfif"}, read_jpeg_size, read_jpeg},
      {"TIFF", {".tif", ".tiff"}, read_tiff_size, read_tiff},
      {"WebP", {".webp"}, read_webp_size, read_webp},
  };
  return formats;
}

std::string picture_format_names(const std::string& word) {
  std::string names;
  const std::vector<PictureFormat>& formats = picture_formats();
  for (std::size_t k = 0; k < formats.size(); ++k) {
    if (k > 0) names += k + 1 < formats.size() ? ", " : " " + word + " ";
    names += formats[k].name;
  }
  return names;
}

std::vector<InputFormat>& input_formats() {
  static std::vector<InputFormat> formats = {
      {[] { return formatted("a folder of {} files", picture_format_names("or")); },
       [](const std::string& data) {
         std::error_code ignored;
         return fs::is_directory(data, ignored);
       },
       open_folder},
      {[] { return std::string("a picture"); },
       [](const std::string& data) {
         std::error_code ignored;
         return is_picture_name(data) && fs::exists(data, ignored);
       },
       open_one_picture},
      {[] { return std::string("a pattern of names ('photos/*.png')"); },
       [](const std::string& data) {
         std::error_code ignored;
         return data.find_first_of("*?[") != std::string::npos && !fs::exists(data, ignored) &&
                !hdf5_name(data);
       },
       open_pattern},
      {[] { return std::string("a .npy file"); },
       [](const std::string& data) {
         std::error_code ignored;
         return ending_of(data) == ".npy" && fs::exists(data, ignored);
       },
       [](const std::string& data, Collective&, const PictureChoices& choices) {
         return open_npy(data, choices.range);
       }},
      {[] { return std::string("FILE.h5:/dataset"); },
       [](const std::string& data) { return hdf5_name(data).has_value(); },
       [](const std::string& data, Collective&, const PictureChoices& choices) {
         return open_hdf5_array(*hdf5_name(data), choices.range);
       }},
  };
  return formats;
}

std::optional<Hdf5Name> hdf5_name(const std::string& data) {
  std::error_code ignored;
  const std::size_t colon = data.rfind(":/");
  if (colon == std::string::npos || colon == 0 || fs::exists(data, ignored)) return std::nullopt;
  return Hdf5Name{data.substr(0, colon), data.substr(colon + 1)};
}

bool is_picture_name(const std::string& path) {
  return find_format(path) != nullptr;
}

PictureSize read_picture_size(const std::string& path) {
  return format_of(path).read_size(path);
}

ImagePixels read_picture(const std::string& path, const PictureChoices& choices) {
  return format_of(path).read(path, choices);
}

}  // namespace dwgf
