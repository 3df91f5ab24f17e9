#include "prior/nn/detail/norm_kernels.hpp"

#include <algorithm>
#include <bit>
#include <vector>

namespace dwgf {
namespace {

#define DWGF_INLINE inline __attribute__((always_inline))

DWGF_INLINE float load(const float* x) {
  return *x;
}
DWGF_INLINE float load(const Brain* x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(*x) << 16);
}

DWGF_INLINE void store(float value, float* y) {
  *y = value;
}
/// Rounds to nearest, ties to even; a NaN stays one.
DWGF_INLINE void store(float value, Brain* y) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
  *y = static_cast<Brain>(value == value ? rounded : 0x7FC0U);
}

/// exp(u) to 2 units in the last place, u cut to [-87, 87]. Cephes' expf: https://www.netlib.org/cephes/
/// (single/expf.c).
DWGF_INLINE float exponential(float u) {
  u = u < -87.0F ? -87.0F : u;
  u = u > 87.0F ? 87.0F : u;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: what is added to it is rounded to a whole number
  const float shifted = u * 1.44269504F + kRound;
  const float n = shifted - kRound;
  const float r = (u - n * 0.693359375F) + n * 2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  const auto power = (std::bit_cast<std::int32_t>(shifted) - std::bit_cast<std::int32_t>(kRound) + 127) << 23;
  return p * std::bit_cast<float>(power);
}

template <class T>
DWGF_INLINE void sums_here_body(const T* x, std::int64_t positions, std::int64_t channels,
                                const float* origin, float* s, float* q) {
  for (std::int64_t p = 0; p < positions; ++p, x += channels) {
    for (std::int64_t c = 0; c < channels; ++c) {
      const float d = load(x + c) - origin[c];
      s[c] += d;
      q[c] += d * d;
    }
  }
}

template <class T>
DWGF_INLINE void activate_here_body(const T* x, std::int64_t positions, std::int64_t channels,
                                    const float* scale, const float* shift, bool activate, T* y) {
  for (std::int64_t p = 0; p < positions; ++p, x += channels, y += channels) {
    if (activate) {
#pragma GCC ivdep
      for (std::int64_t c = 0; c < channels; ++c) {
        const float u = load(x + c) * scale[c] + shift[c];
        store(u / (1.0F + exponential(-u)), y + c);
      }
    } else {
#pragma GCC ivdep
      for (std::int64_t c = 0; c < channels; ++c) store(load(x + c) * scale[c] + shift[c], y + c);
    }
  }
}

template <class T>
DWGF_INLINE void activation_vjp_here_body(const T* x, std::int64_t positions, std::int64_t channels,
                                          const float* scale, const float* shift, const float* mean,
                                          T* cotangent, float* s, float* m) {
  for (std::int64_t p = 0; p < positions; ++p, x += channels, cotangent += channels) {
#pragma GCC ivdep
    for (std::int64_t c = 0; c < channels; ++c) {
      const float value = load(x + c);
      const float u = value * scale[c] + shift[c];
      const float sigmoid = 1.0F / (1.0F + exponential(-u));
      const float d = load(cotangent + c) * (sigmoid * (1.0F + u * (1.0F - sigmoid)));
      store(d, cotangent + c);
      s[c] += d;
      m[c] += d * (value - mean[c]);
    }
  }
}

template <class T>
DWGF_INLINE void norm_vjp_here_body(const T* x, std::int64_t positions, std::int64_t channels,
                                    const float* scale, const float* slope, const float* constant,
                                    const T* more, T* cotangent) {
  for (std::int64_t p = 0; p < positions; ++p) {
    if (more != nullptr) {
#pragma GCC ivdep
      for (std::int64_t c = 0; c < channels; ++c) {
        store(load(cotangent + c) * scale[c] + (load(x + c) * slope[c] + constant[c]) + load(more + c),
              cotangent + c);
      }
      more += channels;
    } else {
#pragma GCC ivdep
      for (std::int64_t c = 0; c < channels; ++c) {
        store(load(cotangent + c) * scale[c] + (load(x + c) * slope[c] + constant[c]), cotangent + c);
      }
    }
    x += channels;
    cotangent += channels;
  }
}

// A template per kind of processor: GCC takes the attribute of the function that the bodies are inlined into.
#if defined(__x86_64__) && defined(__GNUC__)
enum class Processor { any, avx2, avx512 };
Processor processor() {
  static const Processor found = [] {
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
      return Processor::avx512;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? Processor::avx2 : Processor::any;
  }();
  return found;
}
#define DWGF_AVX2 __attribute__((target("avx2,fma")))
#define DWGF_AVX512 \
  __attribute__((target("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,prefer-vector-width=512")))
#define DWGF_FOR_EACH_PROCESSOR(name, parameters, arguments) \
  template <class T>                                         \
  DWGF_AVX512 void name##_avx512 parameters {                \
    name##_body arguments;                                   \
  }                                                          \
  template <class T>                                         \
  DWGF_AVX2 void name##_avx2 parameters {                    \
    name##_body arguments;                                   \
  }                                                          \
  template <class T>                                         \
  void name parameters {                                     \
    switch (processor()) {                                   \
      case Processor::avx512:                                \
        return name##_avx512<T> arguments;                   \
      case Processor::avx2:                                  \
        return name##_avx2<T> arguments;                     \
      case Processor::any:                                   \
        return name##_body arguments;                        \
    }                                                        \
  }
#else
#define DWGF_FOR_EACH_PROCESSOR(name, parameters, arguments) \
  template <class T>                                         \
  void name parameters {                                     \
    name##_body arguments;                                   \
  }
#endif

DWGF_FOR_EACH_PROCESSOR(sums_here,
                        (const T* x, std::int64_t positions, std::int64_t channels, const float* origin,
                         float* s, float* q),
                        (x, positions, channels, origin, s, q))
DWGF_FOR_EACH_PROCESSOR(activate_here,
                        (const T* x, std::int64_t positions, std::int64_t channels, const float* scale,
                         const float* shift, bool active, T* y),
                        (x, positions, channels, scale, shift, active, y))
DWGF_FOR_EACH_PROCESSOR(activation_vjp_here,
                        (const T* x, std::int64_t positions, std::int64_t channels, const float* scale,
                         const float* shift, const float* mean, T* cotangent, float* s, float* m),
                        (x, positions, channels, scale, shift, mean, cotangent, s, m))
DWGF_FOR_EACH_PROCESSOR(norm_vjp_here,
                        (const T* x, std::int64_t positions, std::int64_t channels, const float* scale,
                         const float* slope, const float* constant, const T* more, T* cotangent),
                        (x, positions, channels, scale, slope, constant, more, cotangent))

/// Runs `block(first position, positions, sums, moments)` over blocks and adds what each leaves in its
/// float32 sums.
template <class Block>
void in_blocks(std::int64_t positions, std::int64_t channels, double* sum, double* moment, Block block) {
  std::vector<float> partial(2 * static_cast<std::size_t>(channels));
  for (std::int64_t first = 0; first < positions; first += kNormBlock) {
    std::fill(partial.begin(), partial.end(), 0.0F);
    block(first, std::min(kNormBlock, positions - first), partial.data(), partial.data() + channels);
    for (std::int64_t c = 0; c < channels; ++c) {
      sum[c] += partial[static_cast<std::size_t>(c)];
      moment[c] += partial[static_cast<std::size_t>(channels + c)];
    }
  }
}

}  // namespace

template <class T>
void convert_to_float(const T* x, std::int64_t count, float* y) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = load(x + i);
}

template <class T>
void add_channel_sums(const T* x, std::int64_t positions, std::int64_t channels, const float* origin,
                      double* sum, double* square) {
  in_blocks(positions, channels, sum, square,
            [&](std::int64_t first, std::int64_t count, float* s, float* q) {
              sums_here<T>(x + first * channels, count, channels, origin, s, q);
            });
}

template <class T>
void scale_and_activate(const T* x, std::int64_t positions, std::int64_t channels, const float* scale,
                        const float* shift, bool active, T* y) {
  activate_here<T>(x, positions, channels, scale, shift, active, y);
}

template <class T>
void activation_vjp(const T* x, std::int64_t positions, std::int64_t channels, const float* scale,
                    const float* shift, const float* mean, T* c, double* sum, double* moment) {
  in_blocks(positions, channels, sum, moment,
            [&](std::int64_t first, std::int64_t count, float* s, float* m) {
              activation_vjp_here<T>(x + first * channels, count, channels, scale, shift, mean,
                                     c + first * channels, s, m);
            });
}

template <class T>
void norm_vjp(const T* x, std::int64_t positions, std::int64_t channels, const float* scale,
              const float* slope, const float* constant, const T* more, T* c) {
  norm_vjp_here<T>(x, positions, channels, scale, slope, constant, more, c);
}

#define DWGF_INSTANTIATE(T)                                                                                \
  template void convert_to_float(const T*, std::int64_t, float*);                                          \
                                                                                                           \
  template void add_channel_sums(const T*, std::int64_t, std::int64_t, const float*, double*, double*);    \
  template void scale_and_activate(const T*, std::int64_t, std::int64_t, const float*, const float*, bool, \
                                   T*);                                                                    \
  template void activation_vjp(const T*, std::int64_t, std::int64_t, const float*, const float*,           \
                               const float*, T*, double*, double*);                                        \
  template void norm_vjp(const T*, std::int64_t, std::int64_t, const float*, const float*, const float*,   \
                         const T*, T*);
DWGF_INSTANTIATE(float)
DWGF_INSTANTIATE(Brain)

}  // namespace dwgf
