#include "prior/families/other_models.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <dwgf/base/error.hpp>

#include "prior/files/config_file.hpp"

namespace dwgf {
namespace {

constexpr const char* kSupported = "SD3Transformer2DModel";
constexpr std::pair<const char*, const char*> kModels[] = {
    {"FluxTransformer2DModel", "FLUX.1"},
    {"Flux2Transformer2DModel", "FLUX.2"},
    {"PixArtTransformer2DModel", "PixArt"},
    {"Transformer2DModel", "PixArt"},
    {"DiTTransformer2DModel", "DiT"},
    {"SanaTransformer2DModel", "Sana"},
    {"ZImageTransformer2DModel", "Z-Image"},
    {"QwenImageTransformer2DModel", "Qwen-Image"},
    {"AuraFlowTransformer2DModel", "AuraFlow"},
    {"ChromaTransformer2DModel", "Chroma"},
    {"HunyuanDiT2DModel", "Hunyuan-DiT"},
    {"LuminaNextDiT2DModel", "Lumina"},
    {"Lumina2Transformer2DModel", "Lumina 2"},
    {"CogView3PlusTransformer2DModel", "CogView 3"},
    {"CogView4Transformer2DModel", "CogView 4"},
    {"HiDreamImageTransformer2DModel", "HiDream"},
    {"CosmosTransformer3DModel", "Cosmos"},
    {"WanTransformer3DModel", "Wan"},
};

}  // namespace

void refuse_other_models(const std::string& path) {
  const std::filesystem::path config = std::filesystem::path(path) / "transformer" / "config.json";
  const std::string found = config_class(config);
  if (found.empty() || found == kSupported) return;
  const auto* const model =
      std::ranges::find_if(kModels, [&](const auto& row) { return row.first == found; });
  throw DataError(
      "prior: {} is a directory of {} ({} says {}), which is not supported; directories of Stable Diffusion "
      "1.x, 2.x, XL, 3 and 3.5 are, and those of their fine-tuned and few-step forms",
      path, model == std::end(kModels) ? "another model" : model->second, config.string(), found);
}

}  // namespace dwgf
