/// The largest sizes that a model's configuration may ask for: far beyond any published model, they keep
/// nonsense from being multiplied.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dwgf {

inline constexpr std::int64_t kMostChannels = 16384;
inline constexpr std::int64_t kMostLayers = 64;
inline constexpr std::size_t kMostLevels = 8;
inline constexpr std::int64_t kMostLatentChannels = 256;

}  // namespace dwgf
