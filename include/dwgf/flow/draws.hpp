/// Addressed normals (dwgf/base/random.hpp) as tensors.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include <dwgf/base/random.hpp>

namespace dwgf {

/// One addressed stream a sample: sample b of the result is the draw of particle address.particle + b. `like`
/// gives shape [B, ...], dtype and device; normals are rounded to float32 before they are cast.
at::Tensor normals_like(const at::Tensor& like, const DrawAddress& address);

}  // namespace dwgf
