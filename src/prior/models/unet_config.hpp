/// unet/config.json of a diffusers directory, of either kind of U-Net. Missing keys take diffusers' defaults;
/// what this program does not support is refused, by name. Reference: diffusers 0.42.1,
/// models/unets/unet_2d_condition.py and unet_2d.py.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace dwgf {

/// One resolution of the U-Net: the same channels on the way down and on the way up.
struct UNetLevel {
  std::int64_t channels = 0;
  std::int64_t layers = 2;              ///< residual blocks on the way down; one more on the way up
  std::int64_t heads = 8;               ///< of attention
  std::int64_t transformer_layers = 1;  ///< a transformer
  bool attention_down = false;          ///< CrossAttnDownBlock2D or AttnDownBlock2D, not DownBlock2D
  bool attention_up = false;            ///< CrossAttnUpBlock2D or AttnUpBlock2D, not UpBlock2D
};

/// Original height and width, the crop's top and left, target height and width (SDXL,
/// arXiv 2307.01952, section 2.2).
inline constexpr std::int64_t kSizes = 6;

struct UNetConfig {
  std::int64_t latent_channels = 4;  ///< in and out
  bool learned_variance =
      false;  ///< twice as many come out; the second half is a variance, which is not used
  std::vector<UNetLevel> levels;  ///< finest first
  std::int64_t context_channels =
      0;                           ///< cross_attention_dim; 0: no prompt, and attention among positions alone
  std::int64_t time_channels = 0;  ///< of the time embedding
  std::int64_t norm_groups = 32;
  double norm_eps = 1e-5;
  bool linear_projection = false;  ///< around a transformer: linear layers, not 1x1 convolutions
  bool cosine_first = true;        ///< flip_sin_to_cos
  std::int64_t frequency_shift = 0;
  /// time_cond_proj_dim: of the embedded guidance that a distilled network is told; 0: it is told none.
  std::int64_t guidance_channels = 0;
  /// P, of the prompt's embedding as a whole (addition_embed_type text_time); 0: the network is told neither
  /// that nor the image's sizes.
  std::int64_t pooled_channels = 0;
  std::int64_t size_channels = 0;  ///< of the embedding of each of kSizes numbers (addition_time_embed_dim)
  bool pad_below_right =
      false;  ///< where a level is left, zeros only below and to the right (downsample_padding 0)
  bool middle_attention = true;
  std::int64_t sample_size = 0;  ///< of the latents it was trained on; 0: not said. Any size is computed
};

/// Reads the conditional U-Net's (`UNet2DConditionModel`). Throws NotFoundError where there is no such file,
/// DataError naming file, key, what was found and what is allowed. Guaranteed of what comes back: positive
/// sizes within bounds, groups and heads that divide the channels.
UNetConfig read_unet_config(const std::filesystem::path& file);
/// Reads that of a `UNet2DModel`, the unconditional U-Net of pixel-space models, as read_unet_config does.
UNetConfig read_unconditional_unet_config(const std::filesystem::path& file);

}  // namespace dwgf
