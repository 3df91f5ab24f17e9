#include <algorithm>
#include <cctype>
#include <filesystem>

#include <dwgf/base/error.hpp>
#include <dwgf/store/images.hpp>
#include <dwgf/store/npy.hpp>
#include <dwgf/store/png.hpp>

#include "flat_dataset.hpp"
#include "hdf5_open.hpp"
#include "image_pixels.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

std::uint64_t fnv1a(const std::string& text) {
  std::uint64_t hash = 0xCBF29CE484222325ull;
  for (const unsigned char byte : text) hash = (hash ^ byte) * 0x100000001B3ull;
  return hash;
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

void require_row(std::int64_t k, std::size_t rows, const std::string& name) {
  if (k >= 0 && k < static_cast<std::int64_t>(rows)) return;
  throw InternalError(concat("image ", k, " of ", name, ", which has ", rows));
}

class FolderImages final : public ImageSource {
 public:
  explicit FolderImages(const std::string& folder) : folder_(folder) {
    std::vector<std::string> names;
    try {
      for (const auto& file : fs::recursive_directory_iterator(folder)) {
        if (file.is_directory()) continue;
        if (lower(file.path().extension().string()) == ".png") {
          names.push_back(file.path().lexically_relative(folder).generic_string());
        } else {
          ++ignored_;
        }
      }
    } catch (const fs::filesystem_error& error) {
      throw IoError(concat("the folder ", folder, " cannot be listed: ", error.what()));
    }
    if (names.empty()) {
      throw DataError(concat("the folder ", folder, " has no .png file (", ignored_,
                             " files of other kinds were left out); convert the images to PNG"));
    }
    std::sort(names.begin(), names.end());
    for (const auto& name : names) entries_.push_back(entry_of(name));
  }

  const std::vector<ImageEntry>& entries() const override { return entries_; }
  std::int64_t ignored() const override { return ignored_; }

  ImagePixels read(std::int64_t k, std::int64_t channels) const override {
    require_row(k, entries_.size(), folder_);
    const std::string path = path_of(entries_[static_cast<std::size_t>(k)].name);
    return with_channels(pixels_of_png(read_png(path), path), channels);
  }

 private:
  std::string path_of(const std::string& name) const { return (fs::path(folder_) / name).string(); }

  // One damaged file is one failed image, not the end of the job; read() says what is wrong with it.
  ImageEntry entry_of(const std::string& name) const {
    ImageEntry entry{fnv1a(name), name, 0, 0};
    try {
      const PngSize size = read_png_size(path_of(name));
      entry.height = static_cast<std::uint32_t>(size.height);
      entry.width = static_cast<std::uint32_t>(size.width);
    } catch (const Error&) {
    }
    return entry;
  }

  std::string folder_;
  std::vector<ImageEntry> entries_;
  std::int64_t ignored_ = 0;
};

class NpyImages final : public ImageSource {
 public:
  explicit NpyImages(const std::string& path)
      : path_(path),
        file_(path),
        array_(image_array(file_.shape(), path)),
        entries_(array_entries(array_, fs::path(path).filename().string())) {}

  const std::vector<ImageEntry>& entries() const override { return entries_; }

  ImagePixels read(std::int64_t k, std::int64_t channels) const override {
    require_row(k, entries_.size(), path_);
    auto values = file_.read(k * array_.image_values(), array_.image_values());
    if (file_.type() == NumberType::uint8) scale_levels(values);
    check_pixels(values, array_, k, path_);
    return with_channels({array_.channels, array_.height, array_.width, std::move(values)}, channels);
  }

 private:
  std::string path_;
  NpyFile file_;
  ImageArray array_;
  std::vector<ImageEntry> entries_;
};

class Hdf5Images final : public ImageSource {
 public:
  Hdf5Images(const std::string& path, const std::string& dataset)
      : name_(path + ":" + dataset), file_(open_hdf5(path)), data_(file_.id(), dataset, path) {
    const H5T_class_t kind = H5Tget_class(data_.type());
    levels_ = kind == H5T_INTEGER && data_.value_bytes() == 1 && H5Tget_sign(data_.type()) == H5T_SGN_NONE;
    if (kind != H5T_FLOAT && !levels_) {
      throw DataError(
          concat(name_,
                 " has numbers of another type than floating point or uint8; convert it, for instance "
                 "with array.astype(numpy.float32)"));
    }
    array_ = image_array(std::vector<std::int64_t>(data_.shape().begin(), data_.shape().end()), name_);
    entries_ = array_entries(array_, fs::path(path).filename().string() + ":" + dataset);
  }

  const std::vector<ImageEntry>& entries() const override { return entries_; }

  ImagePixels read(std::int64_t k, std::int64_t channels) const override {
    require_row(k, entries_.size(), name_);
    const auto count = static_cast<hsize_t>(array_.image_values());
    auto values = data_.read_floats(static_cast<hsize_t>(k) * count, count);
    if (levels_) scale_levels(values);
    check_pixels(values, array_, k, name_);
    return with_channels({array_.channels, array_.height, array_.width, std::move(values)}, channels);
  }

 private:
  std::string name_;
  Hdf5Handle file_;
  FlatDataset data_;
  bool levels_ = false;
  ImageArray array_;
  std::vector<ImageEntry> entries_;
};

}  // namespace

std::unique_ptr<ImageSource> open_images(const std::string& data) {
  std::error_code ignored;
  if (fs::is_directory(data, ignored)) return std::make_unique<FolderImages>(data);
  if (const auto colon = data.rfind(":/");
      colon != std::string::npos && colon > 0 && !fs::exists(data, ignored)) {
    return std::make_unique<Hdf5Images>(data.substr(0, colon), data.substr(colon + 1));
  }
  if (fs::status(data, ignored).type() == fs::file_type::not_found) {
    throw NotFoundError(concat("input.data = ", data,
                               " does not exist; it is a folder of PNG files, a .npy file, or "
                               "FILE.h5:/dataset"));
  }
  if (lower(fs::path(data).extension().string()) == ".npy") return std::make_unique<NpyImages>(data);
  throw DataError(concat("input.data = ", data,
                         " is neither a folder nor a .npy file; of an HDF5 file, the dataset is "
                         "named too: ",
                         data, ":/dataset"));
}

}  // namespace dwgf
