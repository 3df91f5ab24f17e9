/// Addressed normals, one thread a block of four (dwgf/base/random.hpp).
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/detail/number.hpp"

namespace dwgf::kernels {

/// Of the stream of a sample: four words at a counter.
struct Words {
  std::uint32_t values[4];
};

DWGF_DEVICE Words philox_words_at(Words counter, std::uint32_t key0, std::uint32_t key1) {
  DWGF_UNROLL(10)
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = static_cast<std::uint64_t>(counter.values[0]) * 0xD2511F53U;
    const std::uint64_t p1 = static_cast<std::uint64_t>(counter.values[2]) * 0xCD9E8D57U;
    counter = {
        {static_cast<std::uint32_t>(p1 >> 32) ^ counter.values[1] ^ key0, static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ counter.values[3] ^ key1, static_cast<std::uint32_t>(p0)}};
    key0 += 0x9E3779B9U;
    key1 += 0xBB67AE85U;
  }
  return counter;
}

template <class T>
struct Normals {
  std::int64_t samples, count, quads;  ///< blocks of four of a sample
  std::uint32_t key0, key1, particle, step, purpose;
  T* out;

  template <class Block>
  DWGF_DEVICE void operator()(const Block& block) const {
    block.each_thread([&](int thread) {
      const std::int64_t index = block.index() * block.threads() + thread;
      if (index >= samples * quads) return;
      draw(index / quads, index % quads);
    });
  }

 private:
  DWGF_DEVICE void draw(std::int64_t sample, std::int64_t quad) const {
    const Words words = philox_words_at(
        {{static_cast<std::uint32_t>(quad), step, particle + static_cast<std::uint32_t>(sample), purpose}},
        key0, key1);
    float values[4];
    for (int pair = 0; pair < 4; pair += 2) {
      const double radius = sqrt(-2.0 * log((words.values[pair] + 0.5) * 0x1p-32));
      const double angle = 2.0 * 3.141592653589793 * ((words.values[pair + 1] + 0.5) * 0x1p-32);
      values[pair] = static_cast<float>(radius * cos(angle));
      values[pair + 1] = static_cast<float>(radius * sin(angle));
    }
    for (int k = 0; k < 4 && 4 * quad + k < count; ++k) narrow(values[k], out[sample * count + 4 * quad + k]);
  }
};

}  // namespace dwgf::kernels
