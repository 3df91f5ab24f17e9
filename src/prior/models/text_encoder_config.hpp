/// config.json of a text encoder, transformers' CLIPTextModel or CLIPTextModelWithProjection (5.23.0,
/// models/clip). Missing keys take transformers' defaults; what this program does not support is refused, by
/// name.
#pragma once

#include <cstdint>
#include <filesystem>

namespace dwgf {

struct TextEncoderConfig {
  std::int64_t vocabulary = 49408;
  std::int64_t channels = 512;  ///< C
  std::int64_t feed_forward_channels = 2048;
  std::int64_t layers = 12;
  std::int64_t heads = 8;
  std::int64_t positions = 77;  ///< the most tokens
  bool quick_gelu = true;       ///< x sigmoid(1.702 x), not x Phi(x)
  std::int64_t projection = 0;  ///< P; 0: a CLIPTextModel, which has no projection
  std::int64_t end = 49407;     ///< the token that is projected; 2: the prompt's largest
};

/// config.json of text_encoder/ or text_encoder_2/. Throws NotFoundError where there is no such file,
/// DataError naming file, key, what was found and what is allowed. Guaranteed of what comes back: positive
/// sizes within bounds, heads that divide the channels.
TextEncoderConfig read_text_encoder_config(const std::filesystem::path& file);

}  // namespace dwgf
