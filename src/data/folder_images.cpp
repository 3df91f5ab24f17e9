// A folder of pictures, each a file of its own.
#include <algorithm>
#include <filesystem>

#include <dwgf/base/error.hpp>
#include <dwgf/base/random.hpp>
#include <dwgf/data/picture.hpp>

#include "comm/throw_on_all.hpp"
#include "data/detail/image_pixels.hpp"
#include "data/detail/sources.hpp"
#include "data/formats.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

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
    throw IoError("the folder {} cannot be listed: {}", folder, error.what());
  }
  if (listing.names.empty()) {
    throw DataError(
        "the folder {} has no {} file ({} files of other kinds were left out); convert the images to one of "
        "them",
        folder, picture_format_names("or"), listing.ignored);
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

}  // namespace

std::unique_ptr<ImageSource> open_folder(const std::string& folder, Collective& ranks) {
  return std::make_unique<FolderImages>(folder, ranks);
}

}  // namespace dwgf
