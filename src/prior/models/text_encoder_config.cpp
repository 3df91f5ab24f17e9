#include "prior/models/text_encoder_config.hpp"

#include <algorithm>

#include "prior/files/config_file.hpp"
#include "prior/files/json_file.hpp"

namespace dwgf {
namespace {

// Far beyond any published model; they keep nonsense from being multiplied.
constexpr std::int64_t kMostChannels = 16384;
constexpr std::int64_t kMostLayers = 128;
constexpr std::int64_t kMostTokens = std::int64_t{1} << 24;
constexpr std::int64_t kMostPositions = 65536;

/// What transformers loads such a file as; a CLIPTextModel's has a projection_dim too.
bool has_projection(const std::filesystem::path& config) {
  const nlohmann::json content = read_json_object(config);
  const auto classes = content.find("architectures");
  return classes != content.end() && classes->is_array() &&
         std::ranges::find(*classes, "CLIPTextModelWithProjection") != classes->end();
}

}  // namespace

TextEncoderConfig read_text_encoder_config(const std::filesystem::path& path) {
  const ConfigFile file(path, {"CLIPTextModel"});
  file.text("model_type", "clip_text_model", {"clip_text_model"});
  file.require("layer_norm_eps", 1e-5);

  TextEncoderConfig config;  // transformers' defaults
  config.vocabulary = file.integer("vocab_size", config.vocabulary, 2, kMostTokens);
  config.channels = file.integer("hidden_size", config.channels, 1, kMostChannels);
  config.feed_forward_channels =
      file.integer("intermediate_size", config.feed_forward_channels, 1, 8 * kMostChannels);
  config.layers = file.integer("num_hidden_layers", config.layers, 1, kMostLayers);
  config.heads = file.integer("num_attention_heads", config.heads, 1, kMostChannels);
  config.positions = file.integer("max_position_embeddings", config.positions, 2, kMostPositions);
  config.quick_gelu = file.text("hidden_act", "quick_gelu", {"quick_gelu", "gelu"}) == "quick_gelu";
  file.check_divides("num_attention_heads", config.heads, config.channels);
  if (has_projection(path)) {
    config.projection = file.integer("projection_dim", 512, 1, kMostChannels);
    config.end = file.integer("eos_token_id", config.end, 0, kMostTokens);
  }
  return config;
}

}  // namespace dwgf
