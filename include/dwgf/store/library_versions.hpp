/// The versions of the libraries that files are read and written with.
#pragma once

#include <vector>

#include <dwgf/base/versions.hpp>

namespace dwgf {

std::vector<LibraryVersions> file_libraries();

}  // namespace dwgf
