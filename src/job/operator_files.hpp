/// The arrays that an operator spec names, from their files.
#pragma once

#include <string>

#include <ATen/core/Tensor.h>

namespace dwgf {

/// The file of an operator's array: a .npy, or for a mask a grey PNG. uint8 is taken as it is, but by a
/// matrix as v / 127.5 - 1. Throws NotFoundError, DataError.
at::Tensor load_operator_file(const std::string& kind, const std::string& path);

}  // namespace dwgf
