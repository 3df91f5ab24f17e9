/// Addressed normals (dwgf/base/random.hpp) as tensors.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include <dwgf/base/random.hpp>

namespace dwgf {

/// One addressed stream a sample: sample b of the result is the draw of particle address.particle + b. `like`
/// gives shape [B, ...], dtype and device; normals are rounded to float32 before they are cast.
at::Tensor normals_like(const at::Tensor& like, const DrawAddress& address);

/// The same draws made by tensor operations on the device of `like`, without the host: what normals_like does
/// where that is no CPU. The random integers are the same bits; the normals differ by at most the last place
/// of a float32 where the device's logarithm, sine or cosine differs from the host's.
at::Tensor normals_on_device(const at::Tensor& like, const DrawAddress& address);

/// Philox4x32-10 (random.hpp) of block 0 ... blocks - 1 of the streams of `samples` particles from
/// address.particle on: int64 [samples, blocks, 4] of values below 2^32.
at::Tensor philox_words(std::int64_t samples, std::int64_t blocks, const DrawAddress& address,
                        const at::Device& device);

}  // namespace dwgf
