/// The numbers that kernels read and write, on a GPU and on the host, and packs of them of 16 bytes, which a
/// GPU loads by one instruction.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/detail/block.hpp"

#ifdef __CUDACC__
#include <cuda_fp16.h>
#endif

namespace dwgf::kernels {

/// The bits of a float16 and of a bfloat16.
struct Half {
  std::uint16_t bits;
};
struct Brain {
  std::uint16_t bits;
};

DWGF_DEVICE std::uint32_t bits_of(float value) {
#ifdef __CUDACC__
  return __float_as_uint(value);
#else
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
#endif
}
DWGF_DEVICE float from_bits(std::uint32_t bits) {
#ifdef __CUDACC__
  return __uint_as_float(bits);
#else
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
#endif
}

DWGF_DEVICE float wide(float value) {
  return value;
}
DWGF_DEVICE float wide(Brain value) {
  return from_bits(static_cast<std::uint32_t>(value.bits) << 16);
}
DWGF_DEVICE float wide(Half value) {
#ifdef __CUDACC__
  return __half2float(__ushort_as_half(value.bits));
#else
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x8000U) << 16;
  const std::uint32_t rest = value.bits & 0x7FFFU;
  if (rest >= 0x7C00U) return from_bits(sign | 0x7F800000U | (rest & 0x3FFU) << 13);  // infinite, or NaN
  if (rest >= 0x400U) return from_bits(sign | ((rest << 13) + (112U << 23)));
  const float small = static_cast<float>(rest) * 0x1p-24F;  // exact
  return from_bits(sign | bits_of(small));
#endif
}

/// Rounds to nearest, ties to even; a NaN stays one.
DWGF_DEVICE void narrow(float value, float& out) {
  out = value;
}
DWGF_DEVICE void narrow(float value, Brain& out) {
  const std::uint32_t bits = bits_of(value);
  const std::uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
  out.bits = static_cast<std::uint16_t>(value == value ? rounded : 0x7FC0U);
}
DWGF_DEVICE void narrow(float value, Half& out) {
#ifdef __CUDACC__
  out.bits = __half_as_ushort(__float2half_rn(value));
#else
  const std::uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000U, size = bits & 0x7FFFFFFFU;
  std::uint32_t rounded;
  if (size > 0x7F800000U) {
    rounded = 0x7E00U;
  } else if (size >= 0x477FF000U) {  // 65520 and above
    rounded = 0x7C00U;
  } else if (size >= 0x38800000U) {  // 2^-14: normal
    rounded = (size - (112U << 23) + 0xFFFU + (size >> 13 & 1U)) >> 13;
  } else {
    // The addition rounds to multiples of 2^-24, as float32 does at this size.
    rounded = bits_of(from_bits(size) + 0.5F) - bits_of(0.5F);
  }
  out.bits = static_cast<std::uint16_t>(sign | rounded);
#endif
}

/// `count` numbers next to each other.
template <class T, int count>
struct alignas(count * sizeof(T)) Pack {
  T values[count];
};

template <class T>
inline constexpr int kVector = static_cast<int>(16 / sizeof(T));

template <class T, int count>
DWGF_DEVICE Pack<T, count> load(const T* from) {
  return *reinterpret_cast<const Pack<T, count>*>(from);
}
template <class T, int count>
DWGF_DEVICE void store(const Pack<T, count>& pack, T* to) {
  *reinterpret_cast<Pack<T, count>*>(to) = pack;
}

}  // namespace dwgf::kernels
