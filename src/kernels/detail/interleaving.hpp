/// Four results of each coarse position to their places on the fine grid, and back (device_kernels.hpp).
#pragma once

#include <cstdint>

#include "kernels/detail/number.hpp"

namespace dwgf::kernels {

/// One thread a pack of channels of the result.
template <class T, int vector>
struct Interleave {
  std::int64_t samples, height, width, channels;
  const T* coarse;
  T* fine;

  std::int64_t packs() const { return samples * 4 * height * width * (channels / vector); }

  template <class Block>
  DWGF_DEVICE void operator()(const Block& block) const {
    block.each_thread([&](int thread) {
      const std::int64_t of_position = channels / vector;
      const std::int64_t index = block.index() * block.threads() + thread;
      if (index >= samples * 4 * height * width * of_position) return;
      const std::int64_t x = index / of_position % (2 * width);
      const std::int64_t row = index / of_position / (2 * width);  // of all samples
      const std::int64_t sample = row / (2 * height), y = row % (2 * height);
      const std::int64_t a = y % 2, b = x % 2;
      const std::int64_t place = (sample * (height + 1) + y / 2 + a) * (width + 1) + x / 2 + b;
      const std::int64_t from = (place * 4 + 2 * a + b) * channels + index % of_position * vector;
      store(load<T, vector>(coarse + from), fine + index * vector);
    });
  }
};

template <class T, int vector>
struct InterleaveAdjoint {
  std::int64_t samples, height, width, channels;
  const T* fine;
  T* coarse;

  std::int64_t packs() const { return samples * (height + 1) * (width + 1) * 4 * (channels / vector); }

  template <class Block>
  DWGF_DEVICE void operator()(const Block& block) const {
    block.each_thread([&](int thread) {
      const std::int64_t of_phase = channels / vector;
      const std::int64_t index = block.index() * block.threads() + thread;
      if (index >= samples * (height + 1) * (width + 1) * 4 * of_phase) return;
      const std::int64_t phase = index / of_phase % 4, place = index / of_phase / 4;
      const std::int64_t a = phase / 2, b = phase % 2;
      const std::int64_t j = place % (width + 1) - b, row = place / (width + 1);
      const std::int64_t sample = row / (height + 1), i = row % (height + 1) - a;
      Pack<T, vector> values{};
      if (i >= 0 && i < height && j >= 0 && j < width) {
        const std::int64_t position = (sample * 2 * height + 2 * i + a) * 2 * width + 2 * j + b;
        values = load<T, vector>(fine + position * channels + index % of_phase * vector);
      }
      store(values, coarse + index * vector);
    });
  }
};

}  // namespace dwgf::kernels
