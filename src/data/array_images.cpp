// Images that are rows of one array, [n, C, H, W] or [C, H, W]: of a .npy file, or of a dataset of an HDF5
// file.
#include <filesystem>
#include <functional>

#include <dwgf/base/error.hpp>

#include "data/detail/image_pixels.hpp"
#include "data/detail/sources.hpp"
#include "data/formats.hpp"
#include "data/npy.hpp"
#include "hdf5/flat_dataset.hpp"
#include "hdf5/hdf5_open.hpp"

namespace dwgf {
namespace {

constexpr std::int64_t kLongestSide = 1 << 16;
constexpr std::int64_t kMostValues = std::int64_t{1} << 28;  // of one image
constexpr std::int64_t kMostImages = std::int64_t{1} << 24;

/// The shape of an array of images.
struct ImageArray {
  std::int64_t images = 0, channels = 0, height = 0, width = 0;
  std::int64_t image_values() const { return channels * height * width; }
};

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t extent : shape) text += formatted("{}{}", text.empty() ? "[" : ", ", extent);
  return text.empty() ? "[]" : text + "]";
}

/// Throws DataError unless it has 1 or 3 channels and sizes that images may have.
ImageArray image_array(const std::vector<std::int64_t>& shape, const std::string& name) {
  if (shape.size() != 3 && shape.size() != 4) {
    throw DataError("{} has the shape {}; images are [n, C, H, W] or [C, H, W]: reshape it", name,
                    shape_text(shape));
  }
  const std::size_t d = shape.size() - 3;
  const ImageArray array{d == 1 ? shape[0] : 1, shape[d], shape[d + 1], shape[d + 2]};
  if (array.channels != 1 && array.channels != 3) {
    throw DataError(
        "{} has the shape {} with {} channels; images are [n, C, H, W] or [C, H, W] with C = 1 or 3: move "
        "the channels to the front (numpy.moveaxis(array, -1, -3)) if they are last",
        name, shape_text(shape), array.channels);
  }
  if (array.images < 1 || array.height < 1 || array.width < 1) {
    throw DataError("{} has the shape {}, which holds no image", name, shape_text(shape));
  }
  if (array.images > kMostImages || array.height > kLongestSide || array.width > kLongestSide ||
      array.image_values() > kMostValues) {
    throw DataError("{} has the shape {}; at most {} images of {} values and sides of {} are taken: split it",
                    name, shape_text(shape), kMostImages, kMostValues, kLongestSide);
  }
  return array;
}

class ArrayImages final : public ImageSource {
 public:
  using Read = std::function<std::vector<float>(std::int64_t first, std::int64_t count)>;

  /// @param name    in messages; `entry`: in the images' names, "ENTRY[row]". The row is the identity.
  /// @param levels  whether the values are 0 ... 255
  /// @param range   of the values; nothing: as their type says
  ArrayImages(std::string name, const std::string& entry, const std::vector<std::int64_t>& shape, bool levels,
              const std::optional<ValueRange>& range, bool anywhere, Read read)
      : name_(std::move(name)),
        array_(image_array(shape, name_)),
        levels_(levels),
        range_(range),
        anywhere_(anywhere),
        read_(std::move(read)) {
    entries_.reserve(static_cast<std::size_t>(array_.images));
    for (std::int64_t row = 0; row < array_.images; ++row)
      entries_.push_back({static_cast<std::uint64_t>(row), formatted("{}[{}]", entry, row),
                          static_cast<std::uint32_t>(array_.height),
                          static_cast<std::uint32_t>(array_.width)});
  }

  const std::vector<ImageEntry>& entries() const override { return entries_; }
  bool reads_anywhere() const override { return anywhere_; }
  std::optional<ValueRange> range() const override {
    constexpr ValueRange of_levels{0, 255};
    return range_ ? range_ : levels_ ? std::optional(of_levels) : std::nullopt;
  }

  ImagePixels read(std::int64_t k, std::int64_t channels) const override {
    return with_channels(read_as_is(k), channels);
  }

  ImagePixels read_as_is(std::int64_t k) const override {
    require_row(k, entries_.size(), name_);
    const std::int64_t count = array_.image_values();
    ImagePixels pixels{array_.channels, array_.height, array_.width, read_(k * count, count)};
    for (float& value : pixels.values) {
      if (range_) value = on_range(value, range_);
      if (!range_ && levels_) value = static_cast<float>(value / 127.5 - 1.0);
    }
    pixels.floating_point = !levels_;
    check_pixels(pixels, k, name_);
    return pixels;
  }

 private:
  std::string name_;
  ImageArray array_;
  bool levels_;
  std::optional<ValueRange> range_;
  bool anywhere_;
  Read read_;
  std::vector<ImageEntry> entries_;
};

}  // namespace

std::unique_ptr<ImageSource> open_npy(const std::string& path, const std::optional<ValueRange>& range) {
  const auto file = std::make_shared<NpyFile>(path);
  return std::make_unique<ArrayImages>(
      path, std::filesystem::path(path).filename().string(), file->shape(), file->type() == NumberType::uint8,
      range, /*anywhere=*/true,
      [file](std::int64_t first, std::int64_t count) { return file->read(first, count); });
}

std::unique_ptr<ImageSource> open_hdf5_array(const Hdf5Name& data, const std::optional<ValueRange>& range) {
  struct Array {
    Hdf5Handle file;
    FlatDataset values;  // closed before the file
  };
  Hdf5Handle file = open_hdf5(data.file);
  FlatDataset values(file.id(), data.dataset, data.file);
  const auto array = std::make_shared<Array>(std::move(file), std::move(values));
  const std::string name = data.file + ":" + data.dataset;
  const hid_t type = array->values.type();
  const H5T_class_t kind = H5Tget_class(type);
  const bool levels =
      kind == H5T_INTEGER && array->values.value_bytes() == 1 && H5Tget_sign(type) == H5T_SGN_NONE;
  if (kind != H5T_FLOAT && !levels) {
    throw DataError(
        "{} has numbers of another type than floating point or uint8; convert it, for instance with "
        "array.astype(numpy.float32)",
        name);
  }
  const std::vector<hsize_t>& shape = array->values.shape();
  return std::make_unique<ArrayImages>(
      name, std::filesystem::path(data.file).filename().string() + ":" + data.dataset,
      std::vector<std::int64_t>(shape.begin(), shape.end()), levels, range,
      /*anywhere=*/false, [array](std::int64_t first, std::int64_t count) {
        return array->values.read_floats(static_cast<hsize_t>(first), static_cast<hsize_t>(count));
      });
}

}  // namespace dwgf
