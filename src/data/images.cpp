#include "data/images.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <future>
#include <optional>

#include <dwgf/base/error.hpp>
#include <dwgf/base/random.hpp>
#include <dwgf/data/picture.hpp>

#include "comm/throw_on_all.hpp"
#include "data/detail/image_pixels.hpp"
#include "data/npy.hpp"
#include "hdf5/flat_dataset.hpp"
#include "hdf5/hdf5_open.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

void require_row(std::int64_t k, std::size_t rows, const std::string& name) {
  if (k >= 0 && k < static_cast<std::int64_t>(rows)) return;
  throw InternalError(concat("image ", k, " of ", name, ", which has ", rows));
}

/// What a folder holds, by relative path in bytewise order.
struct Listing {
  std::vector<std::string> names;
  std::int64_t ignored = 0;
};

Listing list_folder(const std::string& folder) {
  Listing listing;
  try {
    for (const auto& file : fs::recursive_directory_iterator(folder)) {
      if (file.is_directory()) continue;
      if (is_picture_name(file.path().string())) {
        listing.names.push_back(file.path().lexically_relative(folder).generic_string());
      } else {
        ++listing.ignored;
      }
    }
  } catch (const fs::filesystem_error& error) {
    throw IoError(concat("the folder ", folder, " cannot be listed: ", error.what()));
  }
  if (listing.names.empty()) {
    throw DataError(concat("the folder ", folder, " has no PNG, JPEG or TIFF file (", listing.ignored,
                           " files of other kinds were left out); convert the images to one of them"));
  }
  std::sort(listing.names.begin(), listing.names.end());
  return listing;
}

/// Names are listed by the first rank and sent to all; every rank looks into its share of the headers.
class FolderImages final : public ImageSource {
 public:
  FolderImages(const std::string& folder, Collective& ranks) : folder_(folder) {
    Listing listing;
    run_on_root(ranks, [&] { listing = list_folder(folder); });
    share(listing, ranks);
    ignored_ = listing.ignored;
    const std::vector<PictureSize> sizes = sizes_of(listing.names, ranks);
    entries_.reserve(listing.names.size());
    for (std::size_t k = 0; k < listing.names.size(); ++k) {
      entries_.push_back({fnv1a(listing.names[k]), std::move(listing.names[k]),
                          static_cast<std::uint32_t>(sizes[k].height),
                          static_cast<std::uint32_t>(sizes[k].width)});
    }
  }

  const std::vector<ImageEntry>& entries() const override { return entries_; }
  std::int64_t ignored() const override { return ignored_; }
  bool reads_anywhere() const override { return true; }

  ImagePixels read(std::int64_t k, std::int64_t channels) const override {
    require_row(k, entries_.size(), folder_);
    return with_channels(read_picture(path_of(entries_[static_cast<std::size_t>(k)].name)), channels);
  }

 private:
  std::string path_of(const std::string& name) const { return (fs::path(folder_) / name).string(); }

  static void share(Listing& listing, Collective& ranks) {
    if (ranks.size() == 1) return;
    std::string text;  // a name may hold anything but a zero byte
    for (const std::string& name : listing.names) text += name + '\0';
    text = ranks.broadcast_text(std::move(text), 0);
    ranks.broadcast(std::as_writable_bytes(std::span(&listing.ignored, 1)), 0);
    listing.names.clear();
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = text.find('\0', begin);
      listing.names.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
  }

  std::vector<PictureSize> sizes_of(const std::vector<std::string>& names, Collective& ranks) const {
    const std::size_t share =
        (names.size() + static_cast<std::size_t>(ranks.size()) - 1) / static_cast<std::size_t>(ranks.size());
    const std::size_t first = share * static_cast<std::size_t>(ranks.rank());
    std::vector<PictureSize> own(share), all(share * static_cast<std::size_t>(ranks.size()));
    for (std::size_t k = 0; k < share && first + k < names.size(); ++k) {
      // One damaged file is one failed image, not the end of the job; read() says what is wrong with it.
      try {
        own[k] = read_picture_size(path_of(names[first + k]));
      } catch (const Error&) {
      }
    }
    ranks.all_gather(std::as_bytes(std::span(own)), std::as_writable_bytes(std::span(all)));
    all.resize(names.size());
    return all;
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
  bool reads_anywhere() const override { return true; }

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

/// Reads the image that is probably asked for next, as far on as this one was from the last, on a thread of
/// its own while this one is worked on. A wrong guess costs one reading.
class ReadAhead final : public ImageSource {
 public:
  explicit ReadAhead(std::unique_ptr<ImageSource> source) : source_(std::move(source)) {}

  const std::vector<ImageEntry>& entries() const override { return source_->entries(); }
  std::int64_t ignored() const override { return source_->ignored(); }
  bool reads_anywhere() const override { return true; }

  ImagePixels read(std::int64_t k, std::int64_t channels) const override {
    std::future<ImagePixels> pending;
    if (ahead_.valid()) {
      const bool wanted = k == ahead_row_ && channels == ahead_channels_;
      if (wanted) pending = std::move(ahead_);
      if (!wanted) ahead_.wait();
    }
    if (!pending.valid()) {
      ImagePixels pixels = source_->read(k, channels);
      begin_next(k, channels);
      return pixels;
    }
    pending.wait();
    begin_next(k, channels);
    return pending.get();
  }

 private:
  void begin_next(std::int64_t k, std::int64_t channels) const {
    const std::int64_t next = last_ && k > *last_ ? k + (k - *last_) : k + 1;
    last_ = k;
    ahead_ = {};
    if (next >= static_cast<std::int64_t>(source_->entries().size())) return;
    ahead_row_ = next;
    ahead_channels_ = channels;
    ahead_ = std::async(std::launch::async, [this, next, channels] { return source_->read(next, channels); });
  }

  std::unique_ptr<ImageSource> source_;
  mutable std::optional<std::int64_t> last_;
  mutable std::int64_t ahead_row_ = -1, ahead_channels_ = 0;
  mutable std::future<ImagePixels> ahead_;  // after `source_`: it ends before that does
};

std::unique_ptr<ImageSource> with_read_ahead(std::unique_ptr<ImageSource> source) {
  if (!source->reads_anywhere()) return source;
  return std::make_unique<ReadAhead>(std::move(source));
}

}  // namespace

std::unique_ptr<ImageSource> open_images(const std::string& data) {
  SelfCollective self;
  return open_images(data, self);
}

std::unique_ptr<ImageSource> open_images(const std::string& data, Collective& ranks) {
  std::error_code ignored;
  if (fs::is_directory(data, ignored)) return with_read_ahead(std::make_unique<FolderImages>(data, ranks));
  if (const auto colon = data.rfind(":/");
      colon != std::string::npos && colon > 0 && !fs::exists(data, ignored)) {
    return std::make_unique<Hdf5Images>(data.substr(0, colon), data.substr(colon + 1));
  }
  if (fs::status(data, ignored).type() == fs::file_type::not_found) {
    throw NotFoundError(concat("input.data = ", data,
                               " does not exist; it is a folder of PNG, JPEG or TIFF files, a .npy file, "
                               "FILE.h5:/dataset, or a file of measurements"));
  }
  if (lower(fs::path(data).extension().string()) == ".npy")
    return with_read_ahead(std::make_unique<NpyImages>(data));
  throw DataError(concat("input.data = ", data,
                         " is neither a folder nor a .npy file, nor does it hold measurements (attribute "
                         "dwgf_measurements); of another HDF5 file, the dataset is named too: ",
                         data, ":/dataset"));
}

}  // namespace dwgf
