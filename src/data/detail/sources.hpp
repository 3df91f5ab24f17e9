/// The sources of images behind the rows of formats.cpp.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "data/formats.hpp"
#include "data/images.hpp"

namespace dwgf {

/// Collective over `ranks`, which share the listing. Throws DataError (no picture in it), IoError.
std::unique_ptr<ImageSource> open_folder(const std::string& folder, Collective& ranks,
                                         const PictureChoices& choices);
/// The folder of a picture as if that were alone in it.
std::unique_ptr<ImageSource> open_one_picture(const std::string& path, Collective& ranks,
                                              const PictureChoices& choices);
/// The folder before the first wild card as if only what fits the rest were in it.
std::unique_ptr<ImageSource> open_pattern(const std::string& pattern, Collective& ranks,
                                          const PictureChoices& choices);

/// Throw NotFoundError, DataError.
std::unique_ptr<ImageSource> open_npy(const std::string& path, const std::optional<ValueRange>& range);
std::unique_ptr<ImageSource> open_hdf5_array(const Hdf5Name& data, const std::optional<ValueRange>& range);

}  // namespace dwgf
