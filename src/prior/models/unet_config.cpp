#include "prior/models/unet_config.hpp"

#include <string>

#include <dwgf/base/error.hpp>

#include "prior/files/config_file.hpp"
#include "prior/models/config_limits.hpp"

namespace dwgf {
namespace {

// Of each list, the first is the one with attention.
const std::vector<std::string> kDownBlocks = {"CrossAttnDownBlock2D", "DownBlock2D"};
const std::vector<std::string> kUpBlocks = {"CrossAttnUpBlock2D", "UpBlock2D"};
const std::vector<std::string> kPlainDownBlocks = {"AttnDownBlock2D", "DownBlock2D"};
const std::vector<std::string> kPlainUpBlocks = {"AttnUpBlock2D", "UpBlock2D"};

/// Features of UNet2DConditionModel that Stable Diffusion does not use: only the default is
/// accepted.
void refuse_other_unets(const ConfigFile& file) {
  file.text("act_fn", "silu", {"silu", "swish"});
  file.text("mid_block_type", "UNetMidBlock2DCrossAttn", {"UNetMidBlock2DCrossAttn"});
  file.text("time_embedding_type", "positional", {"positional"});
  file.text("resnet_time_scale_shift", "default", {"default"});
  file.text("attention_type", "default", {"default"});
  for (const char* key :
       {"center_input_sample", "only_cross_attention", "dual_cross_attention", "resnet_skip_time_act",
        "class_embeddings_concat", "mid_block_only_cross_attention"}) {
    file.require(key, false);
  }
  for (const char* key : {"downsample_padding", "mid_block_scale_factor", "resnet_out_scale_factor"})
    file.require(key, 1);
  for (const char* key : {"conv_in_kernel", "conv_out_kernel"}) file.require(key, 3);
  for (const char* key : {"encoder_hid_dim", "encoder_hid_dim_type", "class_embed_type", "num_class_embeds",
                          "time_embedding_act_fn", "timestep_post_act", "cross_attention_norm",
                          "reverse_transformer_layers_per_block"}) {
    file.require(key, nullptr);
  }
}

/// Features of UNet2DModel that the published DDPM models do not use.
void refuse_other_unconditional_unets(const ConfigFile& file) {
  file.text("act_fn", "silu", {"silu", "swish"});
  file.text("mid_block_type", "UNetMidBlock2D", {"UNetMidBlock2D"});
  file.text("time_embedding_type", "positional", {"positional"});
  file.text("resnet_time_scale_shift", "default", {"default"});
  for (const char* key : {"downsample_type", "upsample_type"}) file.text(key, "conv", {"conv"});
  file.require("center_input_sample", false);
  file.require("mid_block_scale_factor", 1);
  for (const char* key : {"class_embed_type", "num_class_embeds", "attn_norm_num_groups"})
    file.require(key, nullptr);
}

/// What both kinds of U-Net say of their time embedding, once `config` has its levels.
void read_time_embedding(const ConfigFile& file, UNetConfig& config) {
  const std::int64_t first = config.levels.front().channels;
  if (first % 2 != 0)
    file.fail("block_out_channels", formatted("odd at the first level: {}", first), "even numbers");
  config.cosine_first = file.boolean("flip_sin_to_cos", true);
  config.frequency_shift = file.integer("freq_shift", 0, 0, first / 2 - 1);
  config.time_channels = file.integer("time_embedding_dim", 4 * first, 1, 8 * kMostChannels);
}

/// The prompt as a whole and the sizes, of a network that is told them.
void read_added_embedding(const ConfigFile& file, UNetConfig& config) {
  if (file.text("addition_embed_type", "none", {"text_time"}) == "none") return;
  config.size_channels = file.integer("addition_time_embed_dim", 0, 2, kMostChannels);
  if (config.size_channels % 2 != 0 || config.size_channels / 2 <= config.frequency_shift) {
    file.fail("addition_time_embed_dim", formatted("{}", config.size_channels),
              formatted("even numbers above {}, where addition_embed_type is text_time",
                        2 * config.frequency_shift));
  }
  const char* const key = "projection_class_embeddings_input_dim";
  const std::int64_t all = file.integer(key, 0, 0, 8 * kMostChannels);
  config.pooled_channels = all - kSizes * config.size_channels;
  if (config.pooled_channels < 1) {
    file.fail(key, formatted("{}", all),
              formatted("more than {} times addition_time_embed_dim, {}: the prompt's embedding comes beside "
                        "{} sizes",
                        kSizes, config.size_channels, kSizes));
  }
}

/// All equal, or refused.
std::int64_t single(const ConfigFile& file, const char* key, const std::vector<std::int64_t>& values) {
  for (const auto value : values) {
    if (value != values.front()) file.fail(key, "different from level to level", "one value");
  }
  return values.front();
}

}  // namespace

UNetConfig read_unet_config(const std::filesystem::path& path) {
  const ConfigFile file(path, {"UNet2DConditionModel"});
  refuse_other_unets(file);

  UNetConfig config;
  config.latent_channels = file.integer("in_channels", 4, 1, kMostLatentChannels);
  if (const auto out = file.integer("out_channels", 4, 1, kMostLatentChannels);
      out != config.latent_channels) {
    file.fail("in_channels", formatted("{} where out_channels is {}", config.latent_channels, out),
              "equal ones (inpainting and depth models take further inputs)");
  }
  config.guidance_channels = file.integer("time_cond_proj_dim", 0, 4, kMostChannels);
  if (config.guidance_channels % 2 != 0)
    file.fail("time_cond_proj_dim", formatted("odd: {}", config.guidance_channels), "even numbers");
  config.sample_size = file.integers("sample_size", 0, 2, 0, kMostChannels).front();
  config.linear_projection = file.boolean("use_linear_projection", false);
  file.boolean("upcast_attention", false);  // nothing to do: see Attention
  config.norm_groups = file.integer("norm_num_groups", 32, 1, kMostChannels);
  config.norm_eps = file.real("norm_eps", 1e-5, 1e-12, 1.0);

  const auto channels =
      file.list("block_out_channels", {320, 640, 1280, 1280}, kMostLevels, 2, kMostChannels);
  const std::size_t levels = channels.size();
  const auto layers = file.integers("layers_per_block", 2, levels, 1, kMostLayers);
  const auto transformer_layers = file.integers("transformer_layers_per_block", 1, levels, 1, kMostLayers);
  // diffusers: what is called attention_head_dim has always been the number of heads (its issue 2011).
  const char* const heads_key =
      file.has("num_attention_heads") ? "num_attention_heads" : "attention_head_dim";
  const auto heads = file.integers(heads_key, 8, levels, 1, kMostChannels);
  config.context_channels = single(file, "cross_attention_dim",
                                   file.integers("cross_attention_dim", 1280, levels, 1, kMostChannels));
  const auto down =
      file.texts("down_block_types",
                 {"CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"},
                 levels, kDownBlocks);
  const auto up = file.texts("up_block_types",
                             {"UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"},
                             levels, kUpBlocks);
  for (std::size_t i = 0; i < levels; ++i) {
    UNetLevel level{.channels = channels[i],
                    .layers = layers[i],
                    .heads = heads[i],
                    .transformer_layers = transformer_layers[i],
                    .attention_down = down[i] == kDownBlocks[0],
                    .attention_up = up[levels - 1 - i] == kUpBlocks[0]};
    file.check_divides("norm_num_groups", config.norm_groups, level.channels);
    const bool attends = level.attention_down || level.attention_up || i + 1 == levels;
    if (attends) file.check_divides(heads_key, level.heads, level.channels);
    config.levels.push_back(level);
  }
  read_time_embedding(file, config);
  read_added_embedding(file, config);
  return config;
}

UNetConfig read_unconditional_unet_config(const std::filesystem::path& path) {
  const ConfigFile file(path, {"UNet2DModel"});
  refuse_other_unconditional_unets(file);

  UNetConfig config;
  config.latent_channels = file.integer("in_channels", 3, 1, kMostLatentChannels);
  const auto out = file.integer("out_channels", 3, 1, 2 * kMostLatentChannels);
  if (out != config.latent_channels && out != 2 * config.latent_channels) {
    file.fail("out_channels", formatted("{} where in_channels is {}", out, config.latent_channels),
              "as many, or twice as many (a learned variance)");
  }
  config.learned_variance = out != config.latent_channels;
  config.norm_groups = file.integer("norm_num_groups", 32, 1, kMostChannels);
  config.norm_eps = file.real("norm_eps", 1e-5, 1e-12, 1.0);
  config.pad_below_right = file.integer("downsample_padding", 1, 0, 1) == 0;
  config.middle_attention = file.boolean("add_attention", true);

  const auto channels = file.list("block_out_channels", {224, 448, 672, 896}, kMostLevels, 2, kMostChannels);
  const std::size_t levels = channels.size();
  const auto layers = file.integer("layers_per_block", 2, 1, kMostLayers);
  // Null asks for one head, which then is as wide as the level.
  const bool one_head = file.is_null("attention_head_dim");
  const auto head_channels = file.integer("attention_head_dim", 8, 1, kMostChannels);
  const auto down =
      file.texts("down_block_types", {"DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"},
                 levels, kPlainDownBlocks);
  const auto up =
      file.texts("up_block_types", {"AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"}, levels,
                 kPlainUpBlocks);
  for (std::size_t i = 0; i < levels; ++i) {
    UNetLevel level{.channels = channels[i],
                    .layers = layers,
                    .heads = 1,
                    .attention_down = down[i] == kPlainDownBlocks[0],
                    .attention_up = up[levels - 1 - i] == kPlainUpBlocks[0]};
    file.check_divides("norm_num_groups", config.norm_groups, level.channels);
    const bool attends =
        level.attention_down || level.attention_up || (config.middle_attention && i + 1 == levels);
    if (attends && !one_head) {
      file.check_divides("attention_head_dim", head_channels, level.channels);
      level.heads = level.channels / head_channels;
    }
    config.levels.push_back(level);
  }
  read_time_embedding(file, config);
  return config;
}

}  // namespace dwgf
