#include "data/tiff_writer.hpp"

#include <bit>
#include <cstring>
#include <vector>

#include "base/precondition.hpp"
#include "base/replace_file.hpp"

namespace dwgf {
namespace {

/// Bytes of a TIFF in this machine's order.
class Bytes {
 public:
  template <class Number>
  void put(Number number) {
    const std::size_t at = bytes_.size();
    bytes_.resize(at + sizeof number);
    std::memcpy(bytes_.data() + at, &number, sizeof number);
  }
  /// A tag with one value, or, of two bytes each, with several of the same where `at` is their place.
  void tag(std::uint16_t number, std::uint32_t value, std::uint32_t count = 1, std::uint32_t at = 0) {
    constexpr std::uint16_t type_short = 3, type_long = 4;
    const bool is_short = value <= 0xFFFF;
    put(number);
    put(is_short ? type_short : type_long);
    put(count);
    if (count > 1) {
      put(at);
    } else if (is_short) {
      put(static_cast<std::uint16_t>(value));
      put(std::uint16_t{0});
    } else {
      put(value);
    }
  }
  std::span<const std::byte> all() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

/// The tags of a picture of float32 whose values follow at `kHeaderBytes`.
constexpr std::uint32_t kHeaderBytes = 8 + 2 + 11 * 12 + 4 + 2 * 3 * 2;

Bytes header_of(std::uint32_t channels, std::uint32_t height, std::uint32_t width) {
  constexpr std::uint16_t tags = 11;
  constexpr std::uint32_t bits = 32, floating_point = 3;
  constexpr std::uint32_t lists = 8 + 2 + tags * 12 + 4;  // of bits and kinds, one a channel
  Bytes bytes;
  bytes.put(std::endian::native == std::endian::little ? std::uint16_t{0x4949} : std::uint16_t{0x4D4D});
  bytes.put(std::uint16_t{42});
  bytes.put(std::uint32_t{8});
  bytes.put(tags);
  bytes.tag(256, width);
  bytes.tag(257, height);
  bytes.tag(258, bits, channels, lists);
  bytes.tag(259, 1);                      // no compression
  bytes.tag(262, channels == 1 ? 1 : 2);  // 0 is black; RGB
  bytes.tag(273, kHeaderBytes);
  bytes.tag(277, channels);
  bytes.tag(278, height);  // one strip
  bytes.tag(279, channels * height * width * 4);
  bytes.tag(284, 1);  // R, G and B of a pixel together
  bytes.tag(339, floating_point, channels, lists + 6);
  bytes.put(std::uint32_t{0});  // no other picture
  for (const std::uint32_t value : {bits, floating_point})
    for (int c = 0; c < 3; ++c) bytes.put(static_cast<std::uint16_t>(value));
  return bytes;
}

}  // namespace

void write_tiff(const std::string& path, std::int64_t channels, std::int64_t height, std::int64_t width,
                std::span<const float> values) {
  constexpr std::size_t most = std::size_t{1} << 29;
  precondition((channels == 1 || channels == 3) && height > 0 && width > 0 && values.size() <= most &&
                   static_cast<std::int64_t>(values.size()) == channels * height * width,
               "a TIFF of 1 or 3 channels and as many values as it has pixels");
  const Bytes header = header_of(static_cast<std::uint32_t>(channels), static_cast<std::uint32_t>(height),
                                 static_cast<std::uint32_t>(width));
  const auto plane = static_cast<std::size_t>(height * width), together = static_cast<std::size_t>(channels);
  std::vector<float> pixels(values.size());
  for (std::size_t k = 0; k < plane; ++k)
    for (std::size_t c = 0; c < together; ++c) pixels[k * together + c] = values[c * plane + k];
  replace_file(path, {header.all(), std::as_bytes(std::span(pixels))});
}

}  // namespace dwgf
