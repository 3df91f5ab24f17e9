/// A tensor's memory, to be exchanged between ranks.
#pragma once

#include <cstddef>
#include <span>

#include <ATen/core/Tensor.h>

#include "base/precondition.hpp"

namespace dwgf {

/// @pre t is contiguous
inline std::span<std::byte> bytes_of(const at::Tensor& t) {
  precondition(t.is_contiguous(), "contiguous memory to exchange");
  return {static_cast<std::byte*>(t.data_ptr()), static_cast<std::size_t>(t.nbytes())};
}

}  // namespace dwgf
