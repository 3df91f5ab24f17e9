/// Files that are complete or not there.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace dwgf {

/// Of the name under which a file is written before it is complete.
inline constexpr std::string_view kPartSuffix = ".part";

/// Writes the parts, one after the other, to PATH.part and renames that to PATH, which it may replace. Throws
/// IoError.
void replace_file(const std::string& path, std::initializer_list<std::span<const std::byte>> parts);

/// The directory that a path lies in; "." for a bare name.
std::string directory_of(const std::string& path);

/// Throws IoError if there is anything at PATH, a dangling link included.
void require_absent(const std::string& path);

/// Gives the finished file `aside` its name and waits until that is on the disk, without a moment at which
/// another file could be overwritten. Throws IoError (PATH exists).
void publish_file(const std::string& aside, const std::string& path);

}  // namespace dwgf
