/// A diffusion model of pixels as a prior (DDPM, arXiv 2006.11239), from a diffusers directory: a
/// `UNet2DModel` in unet/ or in the directory itself, and a scheduler in scheduler/ or beside it. Latents are
/// the images themselves, D and E the identity, and the whole cost of an autoencoder falls away.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <ATen/core/Tensor.h>

#include <dwgf/prior/prior.hpp>

namespace dwgf {

/// Whether the directory holds such a model. False where there is no directory; throws DataError for a
/// config.json that is no JSON.
bool is_pixel_diffusion(const std::string& directory);

/// Images have as many channels as the U-Net, and any size: where a level's size is odd, the U-Net goes up
/// again to the size of its skip connection. Throws as load_stable_diffusion does.
///
/// `options`: type (float or double) and device of the tensors taken and returned; `unet_type`: in which the
/// U-Net computes, with what is not finite redone in float32 where it is of half precision; `tf32`: whether GPUs may multiply float32 as TF32.
std::unique_ptr<Prior> load_pixel_diffusion(const std::string& directory, const at::TensorOptions& options,
                                            std::optional<at::ScalarType> unet_type = {}, bool tf32 = false);

}  // namespace dwgf
