#include <filesystem>
#include <utility>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/families/pixel_diffusion.hpp>

#include "prior/differentiate.hpp"
#include "prior/files/loading.hpp"
#include "prior/files/weights.hpp"
#include "prior/models/model_config.hpp"
#include "prior/models/unet.hpp"
#include "prior/nn/blocks.hpp"
#include "prior/nn/half_precision.hpp"
#include "prior/nn/tf32.hpp"
#include "prior/redo_in_float.hpp"

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

class PixelDiffusion final : public Prior {
 public:
  PixelDiffusion(const fs::path& directory, const at::TensorOptions& options, at::ScalarType unet_type,
                 bool tf32)
      : options_(options),
        unet_type_(unet_type),
        tf32_(tf32),
        schedule_(
            read_schedule_config(folder_with("scheduler_config.json", {directory / "scheduler", directory}) /
                                 "scheduler_config.json")) {
    const UNetConfig config = read_unconditional_unet_config(unet_folder(directory) / "config.json");
    geometry_ = {
        .image_channels = config.latent_channels, .latent_channels = config.latent_channels, .factor = 1};
    const Weights weights(unet_folder(directory), "diffusion_pytorch_model");
    FileHashes hashes;
    unet_ = load_model<UNet>(config, weights, current_attention_name, options_.dtype(unet_type), hashes);
    sha256_ = dwgf::sha256({&weights}, hashes);
  }

  const PriorGeometry& geometry() const override { return geometry_; }
  const NoiseSchedule& schedule() const override { return schedule_; }
  const std::string& sha256() const override { return sha256_; }
  at::TensorOptions options() const override { return options_; }

  at::Tensor predict_noise(const at::Tensor& z_t, std::int64_t time) const override {
    const at::NoGradGuard no_grad;
    const ScopedTf32 multiplication(tf32_, options_.device());
    return noise_from_prediction(z_t, time);
  }

  PredictedNoise predict_noise_with_pull_back(const at::Tensor& z_t, std::int64_t time) const override {
    const ScopedTf32 multiplication(tf32_, options_.device());
    auto [noise, pull_back] =
        differentiate([&](const at::Tensor& z) { return noise_from_prediction(z, time); }, z_t);
    return {noise, in_tf32(within_range(std::move(pull_back), unet_type_), tf32_, options_.device())};
  }

  at::Tensor decode(const at::Tensor& z) const override { return z; }
  DecodedImage decode_with_pull_back(const at::Tensor& z) const override {
    return {z.detach(), [](const at::Tensor& cotangent) { return cotangent; }};
  }
  LatentDistribution encode(const at::Tensor& x) const override { return {x, at::zeros_like(x)}; }
  EncodedImage encode_with_pull_back(const at::Tensor& x) const override {
    return {x.detach(), [](const at::Tensor& cotangent) { return cotangent; }};
  }

 private:
  at::Tensor noise_from_prediction(const at::Tensor& z_t, std::int64_t time) const {
    const double a = schedule_.signal(time), s = schedule_.noise(time);  // refuse a time outside the schedule
    const at::Tensor prediction =
        unet_->forward(z_t.to(unet_type_), time).to(z_t.scalar_type());  // [B, C, H, W]
    if (schedule_.prediction() == PredictionType::epsilon) return prediction;
    return prediction.mul(a).add(z_t, s);  // arXiv 2202.00512, appendix D
  }

  at::TensorOptions options_;
  at::ScalarType unet_type_;
  bool tf32_;
  NoiseSchedule schedule_;
  PriorGeometry geometry_;
  std::string sha256_;
  std::shared_ptr<UNet> unet_;
};

}  // namespace

bool is_pixel_diffusion(const std::string& directory) {
  return config_class(unet_folder(directory) / "config.json") == "UNet2DModel";
}

std::unique_ptr<Prior> load_pixel_diffusion(const std::string& directory, const at::TensorOptions& options,
                                            std::optional<at::ScalarType> unet_type, bool tf32) {
  return guarded_load(directory, [&]() -> std::unique_ptr<Prior> {
    const at::ScalarType type = unet_type.value_or(options.dtype().toScalarType());
    auto prior = std::make_unique<PixelDiffusion>(directory, options, type, tf32);
    if (!is_half(type)) return prior;
    const auto in_float = [directory, options, sha256 = prior->sha256()] {
      return require_same_weights(load_pixel_diffusion(directory, options), sha256, directory);
    };
    return redo_in_float(std::move(prior), {.denoiser = in_float, .codec = {}});
  });
}

}  // namespace dwgf
