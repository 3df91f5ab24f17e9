/// The prompt that an image has of its own.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <dwgf/data/image.hpp>

namespace dwgf {

/// Throws DataError naming `data` for a prompt that is longer than kLongestPrompt.
void require_prompt_fits(const ImageEntry& image, const std::string& data);

/// What NAME.txt beside a picture NAME.png says, without the white space around it; empty where there is
/// none. Throws IoError where it cannot be read.
std::string prompt_beside(const std::filesystem::path& picture);

/// The images of `data` with the prompts that `dataset` of its HDF5 file has, one an image; as they are where
/// it is no `FILE.h5:/dataset`, or that is not there. Throws DataError.
std::vector<ImageEntry> with_prompts_of(const std::string& data, std::vector<ImageEntry> images,
                                        const std::string& dataset);

}  // namespace dwgf
