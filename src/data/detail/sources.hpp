/// The sources of images behind the rows of formats.cpp.
#pragma once

#include <memory>
#include <string>

#include "data/formats.hpp"
#include "data/images.hpp"

namespace dwgf {

/// Collective over `ranks`, which share the listing. Throws DataError (no picture in it), IoError.
std::unique_ptr<ImageSource> open_folder(const std::string& folder, Collective& ranks);

/// Throw NotFoundError, DataError.
std::unique_ptr<ImageSource> open_npy(const std::string& path);
std::unique_ptr<ImageSource> open_hdf5_array(const Hdf5Name& data);

}  // namespace dwgf
