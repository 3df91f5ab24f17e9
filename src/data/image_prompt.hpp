/// The prompt that an image has of its own.
#pragma once

#include <filesystem>
#include <string>

#include <dwgf/data/image.hpp>

namespace dwgf {

/// Throws DataError naming `data` for a prompt that is longer than kLongestPrompt.
void require_prompt_fits(const ImageEntry& image, const std::string& data);

/// What NAME.txt beside a picture NAME.png says, without the white space around it; empty where there is
/// none. Throws IoError where it cannot be read.
std::string prompt_beside(const std::filesystem::path& picture);

}  // namespace dwgf
