#include <filesystem>

#include <ATen/ATen.h>

#include <dwgf/base/error.hpp>
#include <dwgf/prior/blocks.hpp>
#include <dwgf/prior/differentiate.hpp>
#include <dwgf/prior/model_config.hpp>
#include <dwgf/prior/pixel_diffusion.hpp>
#include <dwgf/prior/unet.hpp>
#include <dwgf/prior/weights.hpp>

#include "loading.hpp"

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
  PixelDiffusion(const fs::path& directory, const at::TensorOptions& options)
      : options_(options),
        schedule_(
            read_schedule_config(folder_with("scheduler_config.json", {directory / "scheduler", directory}) /
                                 "scheduler_config.json")) {
    const UNetConfig config = read_unconditional_unet_config(unet_folder(directory) / "config.json");
    geometry_ = {
        .image_channels = config.latent_channels, .latent_channels = config.latent_channels, .factor = 1};
    const Weights weights(unet_folder(directory), "diffusion_pytorch_model");
    unet_ = load_model<UNet>(config, weights, current_attention_name, options_);
    sha256_ = dwgf::sha256({&weights});
  }

  const PriorGeometry& geometry() const override { return geometry_; }
  const NoiseSchedule& schedule() const override { return schedule_; }
  const std::string& sha256() const override { return sha256_; }
  at::TensorOptions options() const override { return options_; }

  at::Tensor predict_noise(const at::Tensor& z_t, std::int64_t time) const override {
    const at::NoGradGuard no_grad;
    return noise_from_prediction(z_t, time);
  }

  PredictedNoise predict_noise_with_pull_back(const at::Tensor& z_t, std::int64_t time) const override {
    auto [noise, pull_back] =
        differentiate([&](const at::Tensor& z) { return noise_from_prediction(z, time); }, z_t);
    return {noise, pull_back};
  }

  at::Tensor decode(const at::Tensor& z) const override { return z; }
  DecodedImage decode_with_pull_back(const at::Tensor& z) const override {
    return {z.detach(), [](const at::Tensor& cotangent) { return cotangent; }};
  }
  LatentDistribution encode(const at::Tensor& x) const override { return {x, at::zeros_like(x)}; }

 private:
  at::Tensor noise_from_prediction(const at::Tensor& z_t, std::int64_t time) const {
    const double a = schedule_.signal(time), s = schedule_.noise(time);  // refuse a time outside the schedule
    const at::Tensor prediction = unet_->forward(z_t, time);             // [B, C, H, W]
    if (schedule_.prediction() == PredictionType::epsilon) return prediction;
    return prediction.mul(a).add(z_t, s);  // arXiv 2202.00512, appendix D
  }

  at::TensorOptions options_;
  NoiseSchedule schedule_;
  PriorGeometry geometry_;
  std::string sha256_;
  std::shared_ptr<UNet> unet_;
};

}  // namespace

bool is_pixel_diffusion(const std::string& directory) {
  return config_class(unet_folder(directory) / "config.json") == "UNet2DModel";
}

std::unique_ptr<Prior> load_pixel_diffusion(const std::string& directory, const at::TensorOptions& options) {
  return guarded_load(directory, [&] { return std::make_unique<PixelDiffusion>(directory, options); });
}

}  // namespace dwgf
