/// A diffusion model of pixels as a prior (DDPM, arXiv 2006.11239), from a diffusers directory: a
/// `UNet2DModel` in unet/ or in the directory itself, and a scheduler in scheduler/ or beside it. Latents are
/// the images themselves, D and E the identity, and the whole cost of an autoencoder falls away.
#pragma once

#include <memory>
#include <string>

#include <dwgf/prior/families/known_families.hpp>

namespace dwgf {

bool is_pixel_diffusion(const std::string& directory);

/// As PriorFamily has it. Images have as many channels as the U-Net, and any size: where a level's size is
/// odd, the U-Net goes up again to the size of its skip connection.
std::unique_ptr<Prior> load_pixel_diffusion(const std::string& directory, const PriorOptions& options);

}  // namespace dwgf
