/// The number types that arrays are stored in (hdf5/number_type.hpp says how).
#pragma once

namespace dwgf {

enum class NumberType { none, uint8, float16, float32, float64 };

}  // namespace dwgf
