/// What input.data may be, and which pictures a folder may hold: a row a format.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <dwgf/data/picture.hpp>

#include "data/images.hpp"

namespace dwgf {

/// A format of picture files.
struct PictureFormat {
  std::string name;                                   ///< "PNG"
  std::vector<std::string> endings;                   ///< of its files' names, in lower case: ".png"
  PictureSize (*read_size)(const std::string& path);  ///< as read_picture_size
  /// as read_picture
  ImagePixels (*read)(const std::string& path, const PictureChoices& choices);
};

/// Formats may be added at the program's start, before any picture is read.
std::vector<PictureFormat>& picture_formats();

/// "PNG, JPEG, TIFF or WebP"; `word` stands before the last.
std::string picture_format_names(const std::string& word);

/// A kind of input.data.
struct InputFormat {
  std::string (*description)();  ///< "a .npy file"
  /// Whether `data` names one, by its name and by whether there is such a file or folder.
  bool (*recognises)(const std::string& data);
  /// As open_images. Collective over `ranks`.
  std::unique_ptr<ImageSource> (*open)(const std::string& data, Collective& ranks,
                                       const PictureChoices& choices);
};

/// The first row that recognises the data opens it. Rows may be added as above.
std::vector<InputFormat>& input_formats();

struct Hdf5Name {
  std::string file, dataset;
};

/// The parts of `FILE.h5:/dataset`; nothing where `data` is the name of a file or folder, or has no such
/// form.
std::optional<Hdf5Name> hdf5_name(const std::string& data);

}  // namespace dwgf
