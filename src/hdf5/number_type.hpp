/// The number types that arrays are stored in, and the conversion to their bytes. Checksums are over these
/// bytes, so they are made here and not inside HDF5.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/number_type.hpp"

namespace dwgf {

/// `none`, `uint8`, `float16`, `float32`, `float64`.
std::string name_of(NumberType type);
std::size_t size_of(NumberType type);

/// Little-endian bytes of the values. uint8: (x + 1) 127.5 to nearest, ties to even, clipped to 0 ... 255,
/// NaN 0, for pixels on [-1, 1]; float16: to nearest, ties to even, overflow to infinity. @pre type is not
/// none
std::vector<std::byte> to_bytes(std::span<const double> values, NumberType type);
std::vector<std::byte> to_bytes(std::span<const float> values, NumberType type);

/// The inverse; uint8 v reads v / 127.5 - 1. @pre a whole number of values
std::vector<float> from_bytes(std::span<const std::byte> bytes, NumberType type);

}  // namespace dwgf
