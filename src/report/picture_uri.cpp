#include "report/picture_uri.hpp"

#include <algorithm>

#include <ATen/ATen.h>

#include "data/png.hpp"

namespace dwgf {

std::string base64(std::span<const std::byte> bytes) {
  constexpr const char* kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t k = 0; k < bytes.size(); k += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - k);
    unsigned group = 0;
    for (std::size_t i = 0; i < 3; ++i)
      group = group << 8 | (i < count ? static_cast<unsigned>(bytes[k + i]) : 0u);
    for (std::size_t i = 0; i < 4; ++i) text += i <= count ? kDigits[group >> (18 - 6 * i) & 63u] : '=';
  }
  return text;
}

std::string picture_uri(const at::Tensor& pixels, std::int64_t most) {
  at::Tensor shown = pixels.to(at::kDouble).unsqueeze(0);  // [1, C, H, W]
  const std::int64_t side = std::max(pixels.size(1), pixels.size(2));
  if (const std::int64_t factor = (side + most - 1) / most; factor > 1)
    shown = at::avg_pool2d(shown, {std::min(factor, pixels.size(1)), std::min(factor, pixels.size(2))});
  const at::Tensor v =
      (shown.squeeze(0).nan_to_num(0.0).clamp(0.0, 1.0) * 255.0).round().permute({1, 2, 0}).contiguous();
  PngImage image{v.size(0), v.size(1), static_cast<int>(v.size(2)), 8, {}};
  const double* value = v.data_ptr<double>();
  image.samples.assign(value, value + v.numel());
  return "data:image/png;base64," + base64(encode_png(image));
}

}  // namespace dwgf
