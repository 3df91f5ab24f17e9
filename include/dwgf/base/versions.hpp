/// A library's version when this program was compiled, and the one that was loaded.
#pragma once

#include <string>

namespace dwgf {

struct LibraryVersions {
  std::string name;
  std::string compiled;
  std::string loaded;
};

}  // namespace dwgf
