/// The two passes of group normalisation and of its vector-Jacobian product (device_kernels.hpp).
///
/// The first pass divides a sample's positions into parts, one a block, and leaves two numbers of every group
/// of every part; the second combines those of its sample, in order, and goes over the positions again. In a
/// block, thread (row, column) sees every rows-th position of one pack of channels.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/detail/number.hpp"
#include "kernels/device_kernels.hpp"

namespace dwgf::kernels {

/// How a norm is divided: of the shape alone, so that sums have the same order everywhere.
struct NormPlan {
  std::int64_t positions, channels, groups, samples;
  int vector;                  ///< channels of a thread
  int columns, rows;           ///< threads across channels, and across positions
  std::int64_t part;           ///< positions of a block of the first pass
  std::int64_t parts;          ///< of a sample
  std::int64_t piece, pieces;  ///< and of the second pass

  int threads() const { return columns * rows; }
  std::int64_t shared_floats() const {
    return std::max<std::int64_t>(2 * rows * channels, 2 * parts * groups + 2 * groups);
  }
};

/// @pre norm_is_served(shape), `vector` divides the channels
inline NormPlan plan_norm(const NormShape& shape, int vector) {
  constexpr std::int64_t most_pairs = 4096;  // of parts and groups: 32 KiB of shared memory
  constexpr std::int64_t most_parts = 256, rows_each = 8;
  NormPlan plan{};
  plan.positions = shape.positions;
  plan.channels = shape.channels;
  plan.groups = shape.groups;
  plan.samples = shape.samples;
  plan.vector = vector;
  const std::int64_t packs = shape.channels / vector;
  plan.columns = static_cast<int>(std::min<std::int64_t>(packs, kMostThreads));
  const std::int64_t room =
      std::min(kMostThreads / plan.columns, static_cast<int>(most_pairs / shape.channels));
  plan.rows = static_cast<int>(std::clamp<std::int64_t>(room, 1, shape.positions));
  const std::int64_t most = std::clamp<std::int64_t>(most_pairs / shape.groups, 1, most_parts);
  const auto up = [](std::int64_t a, std::int64_t b) { return (a + b - 1) / b; };
  plan.part = std::max<std::int64_t>(rows_each * plan.rows, up(shape.positions, most));
  plan.parts = up(shape.positions, plan.part);
  plan.piece = std::max<std::int64_t>(rows_each * plan.rows, up(plan.part, 4));
  plan.pieces = up(shape.positions, plan.piece);
  return plan;
}

/// f(first channel, its pack's place) for the packs of a thread's column.
template <class F>
DWGF_DEVICE void each_pack(const NormPlan& plan, int thread, const F& f) {
  for (std::int64_t pack = thread % plan.columns; pack < plan.channels / plan.vector; pack += plan.columns)
    f(pack * plan.vector);
}

/// Of the positions of one row, how many lie in `length` of them.
DWGF_DEVICE std::int64_t in_row(std::int64_t length, int row, int rows) {
  return (length - row + rows - 1) / rows;
}

DWGF_DEVICE std::int64_t smaller(std::int64_t a, std::int64_t b) {
  return a < b ? a : b;
}

/// First pass: h, and mean and sum of squared differences from it of every group of a part: [samples, parts,
/// groups, 2].
template <class T, int vector>
struct NormSums {
  NormPlan plan;
  const T *x, *offset, *more;
  std::int64_t offset_stride;  ///< from a sample's to the next one's; 0: the same for all
  T* h;
  float* pairs;

  template <class Block>
  DWGF_DEVICE void operator()(const Block& block) const {
    const std::int64_t sample = block.index() / plan.parts, part = block.index() % plan.parts;
    const std::int64_t first = part * plan.part;
    const std::int64_t length = smaller(plan.part, plan.positions - first);
    float* const means = block.shared();                       // [rows, channels]
    float* const squares = means + plan.rows * plan.channels;  // [rows, channels]
    block.each_thread([&](int thread) {
      const int row = thread / plan.columns;
      if (row >= length) return;
      each_pack(plan, thread, [&](std::int64_t channel) {
        add_row(sample, first, length, row, channel, means + row * plan.channels + channel,
                squares + row * plan.channels + channel);
      });
    });
    block.each_thread([&](int thread) {
      for (std::int64_t c = thread; c < plan.channels; c += block.threads())
        combine_rows(length, means + c, squares + c);
    });
    block.each_thread([&](int thread) {
      const std::int64_t width = plan.channels / plan.groups;
      for (std::int64_t g = thread; g < plan.groups; g += block.threads())
        combine_channels(length, width, means + g * width, squares + g * width,
                         pairs + 2 * (block.index() * plan.groups + g));
    });
  }

 private:
  DWGF_DEVICE void add_row(std::int64_t sample, std::int64_t first, std::int64_t length, int row,
                           std::int64_t channel, float* mean, float* square) const {
    float added[vector], origin[vector], sum[vector], squared[vector];
    for (int k = 0; k < vector; ++k) added[k] = sum[k] = squared[k] = 0.0F;
    if (offset) {
      const auto pack = load<T, vector>(offset + sample * offset_stride + channel);
      for (int k = 0; k < vector; ++k) added[k] = wide(pack.values[k]);
    }
    bool begun = false;
    DWGF_UNROLL((vector > 1 ? 4 : 1))
    for (std::int64_t p = row; p < length; p += plan.rows) {
      const std::int64_t at = (sample * plan.positions + first + p) * plan.channels + channel;
      const auto values = value_at(at, added);
      if (!begun) {
        for (int k = 0; k < vector; ++k) origin[k] = wide(values.values[k]);
        begun = true;
      }
      for (int k = 0; k < vector; ++k) {
        const float apart = wide(values.values[k]) - origin[k];
        sum[k] += apart;
        squared[k] += apart * apart;
      }
    }
    const float count = static_cast<float>(in_row(length, row, plan.rows));
    for (int k = 0; k < vector; ++k) {
      const float apart = sum[k] / count;
      mean[k] = origin[k] + apart;
      square[k] = squared[k] - apart * sum[k];
    }
  }

  /// h at `at`, stored where there is something to add.
  DWGF_DEVICE Pack<T, vector> value_at(std::int64_t at, const float* added) const {
    auto values = load<T, vector>(x + at);
    if (!h) return values;
    if (more) {
      const auto others = load<T, vector>(more + at);
      for (int k = 0; k < vector; ++k)
        narrow(wide(values.values[k]) + added[k] + wide(others.values[k]), values.values[k]);
    } else {
      for (int k = 0; k < vector; ++k) narrow(wide(values.values[k]) + added[k], values.values[k]);
    }
    store(values, h + at);
    return values;
  }

  /// Of one channel, into the first row's.
  DWGF_DEVICE void combine_rows(std::int64_t length, float* mean, float* square) const {
    const int rows = static_cast<int>(smaller(plan.rows, length));
    float sum = 0.0F;
    for (int row = 0; row < rows; ++row)
      sum += static_cast<float>(in_row(length, row, plan.rows)) * mean[row * plan.channels];
    const float all = sum / static_cast<float>(length);
    float squares = 0.0F;
    for (int row = 0; row < rows; ++row) {
      const float apart = mean[row * plan.channels] - all;
      squares +=
          square[row * plan.channels] + static_cast<float>(in_row(length, row, plan.rows)) * apart * apart;
    }
    *mean = all;
    *square = squares;
  }

  DWGF_DEVICE static void combine_channels(std::int64_t length, std::int64_t width, const float* means,
                                           const float* squares, float* pair) {
    float sum = 0.0F;
    for (std::int64_t c = 0; c < width; ++c) sum += means[c];
    const float all = sum / static_cast<float>(width);
    float more = 0.0F;
    for (std::int64_t c = 0; c < width; ++c) {
      const float apart = means[c] - all;
      more += squares[c] + static_cast<float>(length) * apart * apart;
    }
    pair[0] = all;
    pair[1] = more;
  }
};

/// Brings the pairs of a sample's parts into the front of the block's shared memory, [parts, groups, 2].
template <class Block>
DWGF_DEVICE void fetch_pairs(const Block& block, const NormPlan& plan, std::int64_t sample,
                             const float* pairs) {
  const std::int64_t count = 2 * plan.parts * plan.groups;
  block.each_thread([&](int thread) {
    for (std::int64_t k = thread; k < count; k += block.threads())
      block.shared()[k] = pairs[sample * count + k];
  });
}

DWGF_DEVICE float silu(float u) {
  return u / (1.0F + expf(-u));
}
DWGF_DEVICE float silu_slope(float u) {
  const float sigmoid = 1.0F / (1.0F + expf(-u));
  return sigmoid * (1.0F + u * (1.0F - sigmoid));
}

/// What is the same for all positions of a thread's channels.
template <class T, int vector>
struct ChannelTerms {
  float mean[vector], rate[vector], weight[vector], bias[vector];

  DWGF_DEVICE ChannelTerms(const NormPlan& plan, std::int64_t channel, const float* means, const float* rates,
                           const T* weights, const T* biases) {
    const std::int64_t width = plan.channels / plan.groups;
    const auto scales = load<T, vector>(weights + channel), shifts = load<T, vector>(biases + channel);
    for (int k = 0; k < vector; ++k) {
      const std::int64_t group = (channel + k) / width;
      mean[k] = means[group];
      rate[k] = rates[group];
      weight[k] = wide(scales.values[k]);
      bias[k] = wide(shifts.values[k]);
    }
  }
};

/// Second pass: mean and rate of every group, and y.
template <class T, int vector>
struct NormApply {
  NormPlan plan;
  const T *h, *weight, *bias;
  const float* pairs;
  double eps;
  bool activate;
  T* y;
  float *mean, *rate;  // [samples, groups]

  template <class Block>
  DWGF_DEVICE void operator()(const Block& block) const {
    const std::int64_t sample = block.index() / plan.pieces, piece = block.index() % plan.pieces;
    float* const means = block.shared() + 2 * plan.parts * plan.groups;
    float* const rates = means + plan.groups;
    fetch_pairs(block, plan, sample, pairs);
    block.each_thread([&](int thread) {
      for (std::int64_t g = thread; g < plan.groups; g += block.threads()) {
        combine_parts(block.shared() + 2 * g, means[g], rates[g]);
        if (piece != 0) continue;
        mean[sample * plan.groups + g] = means[g];
        rate[sample * plan.groups + g] = rates[g];
      }
    });
    const std::int64_t first = piece * plan.piece;
    const std::int64_t end = smaller(first + plan.piece, plan.positions);
    block.each_thread([&](int thread) {
      each_pack(plan, thread, [&](std::int64_t channel) {
        const ChannelTerms<T, vector> terms(plan, channel, means, rates, weight, bias);
        DWGF_UNROLL((vector > 1 ? 4 : 1))
        for (std::int64_t p = first + thread / plan.columns; p < end; p += plan.rows) {
          const std::int64_t at = (sample * plan.positions + p) * plan.channels + channel;
          auto values = load<T, vector>(h + at);
          for (int k = 0; k < vector; ++k) {
            const float u =
                (wide(values.values[k]) - terms.mean[k]) * terms.rate[k] * terms.weight[k] + terms.bias[k];
            narrow(activate ? silu(u) : u, values.values[k]);
          }
          store(values, y + at);
        }
      });
    });
  }

 private:
  /// Of one group, from pairs that stand 2 groups apart.
  DWGF_DEVICE void combine_parts(const float* pair, float& all, float& one_over) const {
    const double width = static_cast<double>(plan.channels / plan.groups);
    const auto count = [&](std::int64_t part) {
      return width * static_cast<double>(smaller(plan.part, plan.positions - part * plan.part));
    };
    const double numbers = width * static_cast<double>(plan.positions);
    double sum = 0.0;
    for (std::int64_t part = 0; part < plan.parts; ++part)
      sum += count(part) * static_cast<double>(pair[2 * part * plan.groups]);
    const double centre = sum / numbers;
    double squares = 0.0;
    for (std::int64_t part = 0; part < plan.parts; ++part) {
      const double apart = static_cast<double>(pair[2 * part * plan.groups]) - centre;
      squares += static_cast<double>(pair[2 * part * plan.groups + 1]) + count(part) * apart * apart;
    }
    all = static_cast<float>(centre);
    one_over = static_cast<float>(1.0 / sqrt(squares / numbers + eps));
  }
};

/// Cotangent of the act's argument: c act'(v w + b).
DWGF_DEVICE float inner_cotangent(float c, float v, float weight, float bias, bool activate) {
  return activate ? c * silu_slope(v * weight + bias) : c;
}

/// First pass of the product: the sums of w d and of w d v over every group of a part, [samples, parts,
/// groups, 2].
template <class T, int vector>
struct NormVjpSums {
  NormPlan plan;
  const T *cotangent, *x, *weight, *bias;
  const float *mean, *rate;
  bool activate;
  float* pairs;

  template <class Block>
  DWGF_DEVICE void operator()(const Block& block) const {
    const std::int64_t sample = block.index() / plan.parts, part = block.index() % plan.parts;
    const std::int64_t first = part * plan.part;
    const std::int64_t length = smaller(plan.part, plan.positions - first);
    float* const sums = block.shared();                       // [rows, channels]
    float* const moments = sums + plan.rows * plan.channels;  // [rows, channels]
    block.each_thread([&](int thread) {
      const int row = thread / plan.columns;
      each_pack(plan, thread, [&](std::int64_t channel) {
        add_row(sample, first, length, row, channel, sums + row * plan.channels + channel,
                moments + row * plan.channels + channel);
      });
    });
    block.each_thread([&](int thread) {
      for (std::int64_t c = thread; c < plan.channels; c += block.threads()) {
        for (int row = 1; row < plan.rows; ++row) {
          sums[c] += sums[row * plan.channels + c];
          moments[c] += moments[row * plan.channels + c];
        }
      }
    });
    block.each_thread([&](int thread) {
      const std::int64_t width = plan.channels / plan.groups;
      for (std::int64_t g = thread; g < plan.groups; g += block.threads()) {
        float sum = 0.0F, moment = 0.0F;
        for (std::int64_t c = g * width; c < (g + 1) * width; ++c) {
          sum += sums[c];
          moment += moments[c];
        }
        pairs[2 * (block.index() * plan.groups + g)] = sum;
        pairs[2 * (block.index() * plan.groups + g) + 1] = moment;
      }
    });
  }

 private:
  DWGF_DEVICE void add_row(std::int64_t sample, std::int64_t first, std::int64_t length, int row,
                           std::int64_t channel, float* sum_out, float* moment_out) const {
    const ChannelTerms<T, vector> terms(plan, channel, mean + sample * plan.groups,
                                        rate + sample * plan.groups, weight, bias);
    float sum[vector], moment[vector];
    for (int k = 0; k < vector; ++k) sum[k] = moment[k] = 0.0F;
    DWGF_UNROLL((vector > 1 ? 4 : 1))
    for (std::int64_t p = row; p < length; p += plan.rows) {
      const std::int64_t at = (sample * plan.positions + first + p) * plan.channels + channel;
      const auto values = load<T, vector>(x + at), cotangents = load<T, vector>(cotangent + at);
      for (int k = 0; k < vector; ++k) {
        const float v = (wide(values.values[k]) - terms.mean[k]) * terms.rate[k];
        const float d = terms.weight[k] * inner_cotangent(wide(cotangents.values[k]), v, terms.weight[k],
                                                          terms.bias[k], activate);
        sum[k] += d;
        moment[k] += d * v;
      }
    }
    for (int k = 0; k < vector; ++k) {
      sum_out[k] = sum[k];
      moment_out[k] = moment[k];
    }
  }
};

/// Second pass of the product.
template <class T, int vector>
struct NormVjpApply {
  NormPlan plan;
  const T *cotangent, *x, *weight, *bias, *more;
  const float *mean, *rate, *pairs;
  bool activate;
  T* gradient;

  template <class Block>
  DWGF_DEVICE void operator()(const Block& block) const {
    const std::int64_t sample = block.index() / plan.pieces, piece = block.index() % plan.pieces;
    float* const firsts = block.shared() + 2 * plan.parts * plan.groups;  // means of w d, and of w d v
    float* const seconds = firsts + plan.groups;
    fetch_pairs(block, plan, sample, pairs);
    block.each_thread([&](int thread) {
      const double numbers = static_cast<double>(plan.channels / plan.groups * plan.positions);
      for (std::int64_t g = thread; g < plan.groups; g += block.threads()) {
        double sum = 0.0, moment = 0.0;
        for (std::int64_t part = 0; part < plan.parts; ++part) {
          const float* const pair = block.shared() + 2 * (part * plan.groups + g);
          sum += static_cast<double>(pair[0]);
          moment += static_cast<double>(pair[1]);
        }
        firsts[g] = static_cast<float>(sum / numbers);
        seconds[g] = static_cast<float>(moment / numbers);
      }
    });
    const std::int64_t first = piece * plan.piece;
    const std::int64_t end = smaller(first + plan.piece, plan.positions);
    block.each_thread([&](int thread) {
      each_pack(plan, thread, [&](std::int64_t channel) {
        go_over(sample, first + thread / plan.columns, end, channel, firsts, seconds);
      });
    });
  }

 private:
  DWGF_DEVICE void go_over(std::int64_t sample, std::int64_t first, std::int64_t end, std::int64_t channel,
                           const float* firsts, const float* seconds) const {
    const ChannelTerms<T, vector> terms(plan, channel, mean + sample * plan.groups,
                                        rate + sample * plan.groups, weight, bias);
    const std::int64_t width = plan.channels / plan.groups;
    float constant[vector], along[vector];
    for (int k = 0; k < vector; ++k) {
      constant[k] = firsts[(channel + k) / width];
      along[k] = seconds[(channel + k) / width];
    }
    DWGF_UNROLL((vector > 1 ? 2 : 1))
    for (std::int64_t p = first; p < end; p += plan.rows) {
      const std::int64_t at = (sample * plan.positions + p) * plan.channels + channel;
      const auto values = load<T, vector>(x + at);
      auto out = load<T, vector>(cotangent + at);
      Pack<T, vector> others{};
      if (more) others = load<T, vector>(more + at);
      for (int k = 0; k < vector; ++k) {
        const float v = (wide(values.values[k]) - terms.mean[k]) * terms.rate[k];
        const float d = terms.weight[k] *
                        inner_cotangent(wide(out.values[k]), v, terms.weight[k], terms.bias[k], activate);
        const float gradient_here = terms.rate[k] * (d - constant[k] - v * along[k]);
        narrow(more ? gradient_here + wide(others.values[k]) : gradient_here, out.values[k]);
      }
      store(out, gradient + at);
    }
  }
};

}  // namespace dwgf::kernels
