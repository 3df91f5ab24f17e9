/// Pictures inside of a page.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include <ATen/core/Tensor.h>

namespace dwgf {

/// RFC 4648.
std::string base64(std::span<const std::byte> bytes);

/// Pixels for display, [C, H, W] on [0, 1] with C = 1 or 3, as the URI of a PNG of 8 bit. A picture that is
/// larger than `most` pixels on a side is made smaller by block means.
std::string picture_uri(const at::Tensor& pixels, std::int64_t most = 256);

}  // namespace dwgf
