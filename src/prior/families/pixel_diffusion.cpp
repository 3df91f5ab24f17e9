#include <filesystem>
#include <utility>

#include <ATen/ATen.h>

#include <dwgf/prior/ddpm_schedule.hpp>
#include <dwgf/prior/families/pixel_diffusion.hpp>

#include "prior/families/diffusion_path.hpp"
#include "prior/files/config_file.hpp"
#include "prior/files/loading.hpp"
#include "prior/files/weights.hpp"
#include "prior/models/unet_denoiser.hpp"
#include "prior/nn/blocks.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

/// The first of the folders that has the file; the first of all where none has it, for the message.
fs::path folder_with(const std::string& file, std::initializer_list<fs::path> folders) {
  std::error_code ignored;
  for (const fs::path& folder : folders) {
    if (fs::exists(folder / file, ignored)) return folder;
  }
  return *folders.begin();
}

fs::path unet_folder(const fs::path& directory) {
  return folder_with("config.json", {directory / "unet", directory});
}

std::unique_ptr<Prior> load(const fs::path& directory, const PriorOptions& options) {
  const fs::path scheduler = folder_with("scheduler_config.json", {directory / "scheduler", directory});
  const DiffusionPath path = read_diffusion_path(scheduler / "scheduler_config.json", options);
  const UNetConfig config = read_unconditional_unet_config(unet_folder(directory) / "config.json");
  const Weights weights(unet_folder(directory), kWeightsStem);
  const auto tensors = at::TensorOptions(options.dtype).device(options.device);
  FileHashes hashes;

  auto prior = std::make_unique<Prior>();
  prior->path = path.path;
  prior->few_steps = path.few_steps;
  prior->denoiser = load_half<Denoiser>(
      weights, {options.unet_type.value_or(options.dtype), options.unet_tf32}, options.dtype, hashes,
      prior->retries,
      [config, prediction = path.schedule.config().prediction, tensors](
          const Weights& stored, NetworkPrecision precision, FileHashes& seen) {
        auto unet =
            load_model<UNet>(config, stored, current_attention_name, tensors.dtype(precision.type), seen);
        return std::make_shared<UNetDenoiser>(std::move(unet), config, prediction, tensors, precision);
      });
  prior->codec = std::make_shared<IdentityCodec>();
  prior->geometry = {.image_channels = config.latent_channels,
                     .latent_channels = config.latent_channels,
                     .factor = 1,
                     .trained = config.sample_size};
  prior->options = tensors;
  prior->sha256 = sha256({&weights}, hashes);
  return prior;
}

}  // namespace

bool is_pixel_diffusion(const std::string& directory) {
  return config_class(unet_folder(directory) / "config.json") == "UNet2DModel";
}

std::unique_ptr<Prior> load_pixel_diffusion(const std::string& directory, const PriorOptions& options) {
  return guarded_load(directory, [&] { return load(directory, options); });
}

}  // namespace dwgf
