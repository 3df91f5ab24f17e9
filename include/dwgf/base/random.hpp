/// Addressed random numbers: a draw is named by (seed, image, particle, step, purpose) and by nothing else,
/// so it does not depend on the rank, the batch, the order or the past, and no generator state is ever
/// stored.
///
///     key      = splitmix64(splitmix64(seed) + image)      64 bits; (low 32, high 32) are Philox's key words
///     counter  = (block, step, particle, purpose)          four 32-bit words, block = 0, 1, 2, ...
///     words    = Philox4x32-10(counter, key)
///         Salmon et al., SC 2011, doi:10.1145/2063384.2063405
///     normals  = Box-Muller on (w0, w1) and on (w2, w3), in double, u = (w + 0.5) 2^-32, rounded to float:
///                sqrt(-2 ln u0) cos(2 pi u1), sqrt(-2 ln u0) sin(2 pi u1)
///
/// Element e of a row-major tensor is value e % 4 of block e / 4. Uniforms are word e % 4 of block e / 4
/// times 2^-32.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace dwgf {

/// What a draw is for. Later purposes are appended; the numbers never change.
enum class Purpose : std::uint32_t {
  init = 0,
  noising = 1,
  decoder = 2,
  measurement = 3,
  encoder = 4,
  mask = 5,
  conditional = 6,
  perturbation = 7,
  resampling = 8,
  windows = 9
};

struct DrawAddress {
  std::uint64_t seed = 0;
  std::uint64_t image = 0;  ///< row in an array data set; `fnv1a` of the relative path in a folder
  std::uint32_t particle = 0;
  std::uint32_t step = 0;
  Purpose purpose = Purpose::init;
};

std::uint64_t splitmix64(std::uint64_t x);

/// FNV-1a, 64 bits, of the bytes of `text`.
std::uint64_t fnv1a(std::string_view text);

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key);

/// Philox's key words of a draw, low word first.
std::array<std::uint32_t, 2> stream_key(const DrawAddress& address);

/// Standard normals of one particle's row-major tensor.
void fill_normals(const DrawAddress& address, std::span<float> out);

/// Uniforms in [0, 1) of one particle's row-major tensor.
void fill_uniforms(const DrawAddress& address, std::span<double> out);

}  // namespace dwgf
