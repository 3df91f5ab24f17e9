/// The prior of photographs that comes with the program, `builtin:photo`, from a directory: a `PhotoUNet` in
/// unet/ and a scheduler in scheduler/. Latents are the images themselves, D and E the identity.
#pragma once

#include <memory>
#include <string>

#include <dwgf/prior/families/known_families.hpp>

namespace dwgf {

bool is_photographs(const std::string& directory);

/// As PriorFamily has it. Images have as many channels as the U-Net; their canvas is a multiple of what its
/// levels halve.
std::unique_ptr<Prior> load_photographs(const std::string& directory, const PriorOptions& options);

}  // namespace dwgf
