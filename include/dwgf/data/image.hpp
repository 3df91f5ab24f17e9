/// An image in memory, and what is known of one before it is read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace dwgf {

/// In bytes of UTF-8.
inline constexpr std::size_t kLongestPrompt = 1024;

struct ImageEntry {
  std::uint64_t id = 0;
  std::string name;  ///< stored in 256 bytes of UTF-8, the tail kept
  std::uint32_t height = 0;
  std::uint32_t width = 0;
  std::string prompt = {};  ///< of its own, of kLongestPrompt at most; empty: none
};

struct PictureSize {
  std::int64_t height = 0;
  std::int64_t width = 0;
};

struct ImagePixels {
  std::int64_t channels = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::vector<float> values;            ///< [C, H, W] on [-1, 1]
  std::vector<std::string> notes = {};  ///< what was read otherwise than one may think, a sentence each
  bool floating_point = false;          ///< the file has numbers whose range nothing tells
};

}  // namespace dwgf
