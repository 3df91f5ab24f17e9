/// Files that are complete or not there. Private to `store`.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>

namespace dwgf {

/// Writes the parts, one after the other, to PATH.part and renames that to PATH, which it may replace. Throws
/// IoError.
void replace_file(const std::string& path, std::initializer_list<std::span<const std::byte>> parts);

}  // namespace dwgf
