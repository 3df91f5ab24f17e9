/// A dataset of texts, one a row, of a fixed or a variable length.
#pragma once

#include <string>
#include <vector>

#include "hdf5/hdf5_handle.hpp"

namespace dwgf {

/// Its texts; none where there is no such dataset. Throws DataError where it is not one text for each of so
/// many rows, IoError where reading fails. `file_name` is for messages.
std::vector<std::string> read_text_column(hid_t file, const std::string& path, hsize_t rows,
                                          const std::string& file_name);

}  // namespace dwgf
