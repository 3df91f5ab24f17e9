/// Texts inside of HTML that is also well-formed XML.
#pragma once

#include <string>
#include <string_view>

namespace dwgf {

/// Escapes `text` for contents and attribute values. What is no UTF-8, and control characters, become U+FFFD.
std::string escaped(std::string_view text);

}  // namespace dwgf
