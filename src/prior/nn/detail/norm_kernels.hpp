/// Loops of group normalisation with its activation, over arrays whose channels lie next to each other:
/// [positions, channels] of one sample or a part of one. Written once, compiled for AVX-512, AVX2 and any
/// processor; which one runs is the processor's choice. Private to the prior layer; no LibTorch.
#pragma once

#include <cstdint>

namespace dwgf {

/// The bits of a bfloat16.
enum class Brain : std::uint16_t {};

/// Positions whose sums are formed in float32; beyond it, in float64.
inline constexpr std::int64_t kNormBlock = 64;

template <class T>
void convert_to_float(const T* x, std::int64_t count, float* y);

/// Adds to sum[c] and square[c] those of x - origin[c] over `positions`.
template <class T>
void add_channel_sums(const T* x, std::int64_t positions, std::int64_t channels, const float* origin,
                      double* sum, double* square);

/// y = act(x scale[c] + shift[c]); act is silu(u) = u / (1 + exp(-u)) or nothing. y may be x.
template <class T>
void scale_and_activate(const T* x, std::int64_t positions, std::int64_t channels, const float* scale,
                        const float* shift, bool activate, T* y);

/// c := c silu'(x scale[c] + shift[c]); adds to sum[c] and moment[c] those of the new c and of c (x -
/// mean[c]).
template <class T>
void activation_vjp(const T* x, std::int64_t positions, std::int64_t channels, const float* scale,
                    const float* shift, const float* mean, T* c, double* sum, double* moment);

/// c := c scale[c] + x slope[c] + constant[c] + more, where `more` is an array or null.
template <class T>
void norm_vjp(const T* x, std::int64_t positions, std::int64_t channels, const float* scale,
              const float* slope, const float* constant, const T* more, T* c);

}  // namespace dwgf
