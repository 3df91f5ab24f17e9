/// Text of unknown origin (names in files, words of a damaged file) on a terminal or a page.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace dwgf {

/// The number of bytes of the UTF-8 character at the beginning of `text`; 0 where there is none (cut, longer
/// than need be, half of a pair), or where it is a control character other than tab and newline, or none that
/// XML may hold.
/// @pre `text` is not empty
std::size_t character_length(std::string_view text);

/// `text` with a backslash, x and two hexadecimal digits in place of every byte that is no part of such a
/// character, so that it neither steers a terminal nor breaks a log.
std::string printable(std::string_view text);

}  // namespace dwgf
