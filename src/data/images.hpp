/// Images in: a folder of pictures, one picture or a pattern of names, a .npy array, or one dataset of an
/// HDF5 file (formats.hpp). Listing reads names and headers only; an image is read by the rank that needs it.
/// Pixels come out as float32 on [-1, 1], row-major [C, H, W].
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <dwgf/comm/collective.hpp>
#include <dwgf/data/picture.hpp>

namespace dwgf {

class ImageSource {
 public:
  virtual ~ImageSource() = default;

  /// Every image's identity, name and size, in the order of the source (folders: by relative path, bytewise).
  /// An image whose size cannot be read is listed with height = width = 0; `read` says what is wrong with it.
  virtual const std::vector<ImageEntry>& entries() const = 0;
  /// Files that the listing left out; 0 for sources that are one file.
  virtual std::int64_t ignored() const { return 0; }
  /// What it left out and why, with counts and what to do, a sentence each.
  virtual std::vector<std::string> notes() const { return {}; }
  /// The values that become -1 and 1 in all images alike; nothing where that depends on the file, or nobody
  /// knows.
  virtual std::optional<ValueRange> range() const { return std::nullopt; }
  /// Whether `read` may run on another thread beside the rest of the program, one call at a time (HDF5 may
  /// not).
  virtual bool reads_anywhere() const { return false; }

  /// Image k of `entries()` with `channels` channels: grey is repeated into 3, colour becomes grey by Rec.
  /// 601 luma (0.299 R + 0.587 G + 0.114 B). Throws DataError (truncated, another format, not finite, outside
  /// [-1, 1] by more than 1e-3; always the file and the row).
  virtual ImagePixels read(std::int64_t k, std::int64_t channels) const = 0;
  /// The same with the channels that it has.
  virtual ImagePixels read_as_is(std::int64_t k) const = 0;
};

/// Opens `data`: a folder (files ending as picture.hpp says, nested folders included but not links to
/// folders, hidden files or __MACOSX; identity = FNV-1a of the path relative to the folder), a picture, or a
/// pattern (`photos/*.png`, as a shell's: *, ?, [...]), both as the folder would be with them alone; a
/// `.npy` of [n, C, H, W] or [C, H, W], float32 on [-1, 1] or uint8 (v / 127.5 - 1), or `FILE.h5:/dataset` of
/// the same; identity = row. While one image is worked on, the next is read ahead. Throws NotFoundError,
/// DataError.
std::unique_ptr<ImageSource> open_images(const std::string& data, const PictureChoices& choices = {});

/// The same, collective over `ranks`, which share the listing of a folder: names once, headers each its part.
std::unique_ptr<ImageSource> open_images(const std::string& data, Collective& ranks,
                                         const PictureChoices& choices = {});

}  // namespace dwgf
