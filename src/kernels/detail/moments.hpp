/// Sums of ensemble moments in fixed point, and what they come to (flow/fixed_point.hpp).
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/detail/number.hpp"

namespace dwgf::kernels {

inline constexpr double kFixedScale = 0x1p40;

/// One thread an element; how many values of a block are out of bounds goes to `bad` [blocks].
template <class T>
struct AddMoments {
  std::int64_t samples, elements;
  const T* values;
  double limit;
  std::int64_t *sums, *bad;

  template <class Block>
  DWGF_DEVICE void operator()(const Block& block) const {
    float* const counts = block.shared();  // [threads], whole numbers
    block.each_thread([&](int thread) {
      const std::int64_t element = block.index() * block.threads() + thread;
      counts[thread] = element < elements ? static_cast<float>(add(element)) : 0.0F;
    });
    block.each_thread([&](int thread) {
      if (thread != 0) return;
      std::int64_t all = 0;
      for (int k = 0; k < block.threads(); ++k) all += static_cast<std::int64_t>(counts[k]);
      bad[block.index()] = all;
    });
  }

 private:
  /// How many are out of bounds.
  DWGF_DEVICE int add(std::int64_t element) const {
    std::int64_t sum = 0, squares = 0;
    int out_of_bounds = 0;
    for (std::int64_t sample = 0; sample < samples; ++sample) {
      const double v = static_cast<double>(wide(values[sample * elements + element]));
      const double square = v * v;
      const bool good = fabs(v) < limit, good_square = square < limit;  // false for NaN
      if (good) sum += llrint(v * kFixedScale);
      if (good_square) squares += llrint(square * kFixedScale);
      if (!good || !good_square) ++out_of_bounds;
    }
    sums[element] += sum;
    sums[elements + element] += squares;
    return out_of_bounds;
  }
};

/// Adds the blocks' counts: one block.
struct AddBad {
  std::int64_t blocks;
  const std::int64_t* bad;
  std::int64_t* count;

  template <class Block>
  DWGF_DEVICE void operator()(const Block& block) const {
    block.each_thread([&](int thread) {
      if (thread != 0) return;
      std::int64_t all = 0;
      for (std::int64_t k = 0; k < blocks; ++k) all += bad[k];
      *count += all;
    });
  }
};

struct FixedResults {
  std::int64_t elements, particles;
  const std::int64_t* sums;
  double *mean, *variance;

  template <class Block>
  DWGF_DEVICE void operator()(const Block& block) const {
    block.each_thread([&](int thread) {
      const std::int64_t element = block.index() * block.threads() + thread;
      if (element >= elements) return;
      const double n = static_cast<double>(particles);
      const double poison = sums[2 * elements] > 0 ? NAN : 0.0;
      const double m = static_cast<double>(sums[element]) / (kFixedScale * n) + poison;
      const double second = static_cast<double>(sums[elements + element]) / kFixedScale;
      const double spread = (second - n * m * m) / (n - 1.0);
      if (mean) mean[element] = m;
      if (variance) variance[element] = particles == 1 ? 0.0 : spread < 0.0 ? 0.0 : spread;
    });
  }
};

}  // namespace dwgf::kernels
