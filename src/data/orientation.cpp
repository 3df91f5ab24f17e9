#include "data/detail/orientation.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/precondition.hpp"

namespace dwgf {
namespace {

/// Numbers of a block of EXIF; nothing behind its end.
class ExifBlock {
 public:
  explicit ExifBlock(std::span<const std::byte> bytes) : bytes_(bytes) {
    const std::string_view mark(reinterpret_cast<const char*>(bytes.data()),
                                std::min<std::size_t>(bytes.size(), 2));
    known_ = mark == "II" || mark == "MM";
    little_ = mark == "II";
  }

  bool known() const { return known_; }
  std::optional<std::uint32_t> number(std::size_t at, std::size_t bytes) const {
    if (bytes_.size() < bytes || at > bytes_.size() - bytes) return std::nullopt;
    std::uint32_t value = 0;
    for (std::size_t k = 0; k < bytes; ++k)
      value = value << 8 | std::to_integer<std::uint32_t>(bytes_[little_ ? at + bytes - 1 - k : at + k]);
    return value;
  }

 private:
  std::span<const std::byte> bytes_;
  bool known_ = false, little_ = false;
};

}  // namespace

int exif_orientation(std::span<const std::byte> block) {
  constexpr std::uint32_t tag = 274, type_short = 3;
  constexpr std::size_t entry_bytes = 12;
  const ExifBlock exif(block);
  if (!exif.known() || exif.number(2, 2) != 42) return 1;
  const auto first = exif.number(4, 4);
  const auto entries = first ? exif.number(*first, 2) : std::nullopt;
  for (std::size_t k = 0; entries && k < *entries; ++k) {
    const std::size_t at = *first + 2 + k * entry_bytes;
    if (exif.number(at, 2) != tag) continue;
    const auto value = exif.number(at + 8, 2);
    return exif.number(at + 2, 2) == type_short && value && *value >= 1 && *value <= 8
               ? static_cast<int>(*value)
               : 1;
  }
  return 1;
}

PictureSize upright(const PictureSize& stored, int orientation) {
  return orientation >= 5 ? PictureSize{stored.width, stored.height} : stored;
}

ImagePixels upright(ImagePixels stored, int orientation) {
  precondition(orientation >= 1 && orientation <= 8, "an orientation from 1 to 8");
  if (orientation == 1) return stored;
  const bool transposed = orientation >= 5;
  const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
  const PictureSize size = upright(PictureSize{stored.height, stored.width}, orientation);
  std::vector<float> values(stored.values.size());
  std::size_t to = 0;
  for (std::int64_t c = 0; c < stored.channels; ++c) {
    for (std::int64_t y = 0; y < size.height; ++y) {
      for (std::int64_t x = 0; x < size.width; ++x) {
        const std::int64_t v = from_bottom ? size.height - 1 - y : y, h = from_right ? size.width - 1 - x : x;
        const std::int64_t row = transposed ? h : v, column = transposed ? v : h;
        values[to++] =
            stored.values[static_cast<std::size_t>((c * stored.height + row) * stored.width + column)];
      }
    }
  }
  stored.values = std::move(values);
  stored.height = size.height;
  stored.width = size.width;
  return stored;
}

}  // namespace dwgf
