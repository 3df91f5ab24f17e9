#include <filesystem>
#include <utility>

#include <ATen/ATen.h>

#include <dwgf/prior/ddpm_schedule.hpp>
#include <dwgf/prior/families/photographs.hpp>

#include "prior/families/diffusion_path.hpp"
#include "prior/files/config_file.hpp"
#include "prior/files/loading.hpp"
#include "prior/files/weights.hpp"
#include "prior/models/memory.hpp"
#include "prior/models/photo_denoiser.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<Prior> load(const fs::path& directory, const PriorOptions& options) {
  const DiffusionPath path = read_diffusion_path(directory / "scheduler" / "scheduler_config.json", options);
  const PhotoUNetConfig config = read_photo_unet_config(directory / "unet" / "config.json");
  const Weights weights(directory / "unet", kWeightsStem);
  const auto tensors = at::TensorOptions(options.dtype).device(options.device);
  const NetworkPrecision precision{options.unet_type.value_or(options.dtype), options.unet_tf32};
  FileHashes hashes;

  auto prior = std::make_unique<Prior>();
  prior->path = path.path;
  prior->few_steps = path.few_steps;
  prior->denoiser = load_half<Denoiser>(
      weights, precision, options.dtype, hashes, prior->retries,
      [config, tensors](const Weights& stored, NetworkPrecision chosen, FileHashes& seen) {
        auto unet = load_model<PhotoUNet>(config, stored, same_name, tensors.dtype(chosen.type), seen);
        return std::make_shared<PhotoDenoiser>(std::move(unet), config, tensors, chosen);
      });
  prior->codec = std::make_shared<IdentityCodec>();
  prior->geometry = {.image_channels = config.image_channels,
                     .latent_channels = config.image_channels,
                     .factor = 1,
                     .patch = config.multiple(),
                     .trained = config.sample_size};
  prior->options = tensors;
  prior->sha256 = sha256({&weights}, hashes);
  prior->step_bytes = [config, element = c10::elementSize(precision.type)](
                          std::int64_t batch, std::int64_t height, std::int64_t width) {
    return photo_unet_bytes(config, {batch, height, width, element});
  };
  return prior;
}

}  // namespace

bool is_photographs(const std::string& directory) {
  return config_class(fs::path(directory) / "unet" / "config.json") == "PhotoUNet";
}

std::unique_ptr<Prior> load_photographs(const std::string& directory, const PriorOptions& options) {
  return guarded_load(directory, [&] { return load(directory, options); });
}

}  // namespace dwgf
