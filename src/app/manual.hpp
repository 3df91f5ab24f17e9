/// The manual page, dwgf(1), made of what --help prints.
#pragma once

#include <string>

namespace dwgf {

/// In roff, for man(1).
std::string manual_page();

}  // namespace dwgf
