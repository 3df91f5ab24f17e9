#include "data/png.hpp"

#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include <spng.h>
#include <zlib.h>

#include <dwgf/base/error.hpp>

#include "base/posix_file.hpp"
#include "base/replace_file.hpp"
#include "data/detail/colour.hpp"
#include "data/detail/image_pixels.hpp"
#include "data/detail/orientation.hpp"

namespace dwgf {
namespace {

constexpr std::int64_t kLongestSide = 1 << 16;
constexpr std::int64_t kMostSamples = std::int64_t{1} << 28;
constexpr std::size_t kSignatureBytes = 8;
constexpr std::size_t kHeaderBytes = 33;  // signature and the chunk IHDR

std::uint32_t big_endian(const unsigned char* bytes) {
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 |
         bytes[3];
}

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw DataError("{} is not a PNG file that can be read ({}); save it again as PNG", path, why);
}

using Context = std::unique_ptr<spng_ctx, void (*)(spng_ctx*)>;

Context context(int flags) {
  Context png(spng_ctx_new(flags), spng_ctx_free);
  if (!png) throw IoError("libspng does not start (out of memory)");
  return png;
}

PictureSize size_from_header(const std::array<unsigned char, kHeaderBytes>& head, const std::string& path) {
  if (std::memcmp(head.data(), "\x89PNG\r\n\x1A\n", kSignatureBytes) != 0)
    refuse(path, "it does not begin with PNG's signature");
  const unsigned char* chunk = head.data() + kSignatureBytes;
  if (big_endian(chunk) != 13 || std::memcmp(chunk + 4, "IHDR", 4) != 0 ||
      crc32(0, chunk + 4, 17) != big_endian(chunk + 21)) {
    refuse(path, "its header is damaged");
  }
  const PictureSize size{big_endian(chunk + 12), big_endian(chunk + 8)};
  if (size.height < 1 || size.width < 1 || size.height > kLongestSide || size.width > kLongestSide ||
      size.height * size.width > kMostSamples) {
    refuse(path,
           formatted("its size of {} x {} is 0 or more than this program takes", size.height, size.width));
  }
  return size;
}

/// What chunks that libspng keeps to itself, or finds only in a whole file, say.
struct Marks {
  int orientation = 1;
  bool animated = false;
};

/// Looks at the chunks' heads. What is damaged ends it: whoever reads the pixels says what is wrong.
Marks marks_of(const PosixFile& file) {
  constexpr std::uint64_t most_exif = 1 << 20;
  Marks marks;
  std::uint64_t at = kSignatureBytes;
  std::array<unsigned char, 8> head{};
  while (at + head.size() <= file.size()) {
    file.read(at, std::as_writable_bytes(std::span(head)));
    const std::uint64_t length = big_endian(head.data());
    const std::string_view name(reinterpret_cast<const char*>(head.data()) + 4, 4);
    if (name == "acTL") marks.animated = true;
    if (name == "eXIf" && length <= most_exif && at + 8 + length <= file.size()) {
      std::vector<std::byte> block(length);
      file.read(at + head.size(), block);
      marks.orientation = exif_orientation(block);
    }
    if (name == "IEND") break;
    at += length + 12;
  }
  return marks;
}

PngColours colours_of(spng_ctx* png) {
  PngColours colours;
  std::uint8_t intent = 0;
  colours.srgb = spng_get_srgb(png, &intent) == 0;
  spng_iccp profile{};
  if (spng_get_iccp(png, &profile) == 0) {
    const auto* first = reinterpret_cast<const std::byte*>(profile.profile);
    colours.profile.assign(first, first + profile.profile_len);
  }
  double exponent = 0;
  if (spng_get_gama(png, &exponent) == 0 && exponent > 0) colours.exponent = 1 / exponent;
  spng_chrm c{};
  if (spng_get_chrm(png, &c) == 0) {
    colours.chromaticities = {c.white_point_x, c.white_point_y, c.red_x,  c.red_y,
                              c.green_x,       c.green_y,       c.blue_x, c.blue_y};
  }
  return colours;
}

/// How libspng is asked for samples as PngImage has them.
struct Layout {
  int channels = 0, bits = 8;
  int format = SPNG_FMT_PNG;
  int flags = 0;
};

/// Few bits and palettes are expanded to 8 bit, a transparent colour to an alpha channel.
Layout layout_of(const spng_ihdr& header, bool transparent) {
  const int bits = header.bit_depth == 16 ? 16 : 8, flags = transparent ? SPNG_DECODE_TRNS : 0;
  switch (header.color_type) {
    case SPNG_COLOR_TYPE_GRAYSCALE:
      if (transparent) return {2, bits, bits == 16 ? SPNG_FMT_GA16 : SPNG_FMT_GA8, flags};
      return {1, bits, bits == 16 ? SPNG_FMT_PNG : SPNG_FMT_G8, 0};
    case SPNG_COLOR_TYPE_TRUECOLOR:
      if (transparent) return {4, bits, bits == 16 ? SPNG_FMT_RGBA16 : SPNG_FMT_RGBA8, flags};
      return {3, bits, SPNG_FMT_PNG, 0};
    case SPNG_COLOR_TYPE_INDEXED:
      return {transparent ? 4 : 3, 8, transparent ? SPNG_FMT_RGBA8 : SPNG_FMT_RGB8, flags};
    case SPNG_COLOR_TYPE_GRAYSCALE_ALPHA:
      return {2, bits, SPNG_FMT_PNG, 0};
    default:
      return {4, bits, SPNG_FMT_PNG, 0};
  }
}

PictureSize read_size(const std::string& path, bool oriented) {
  const auto file = PosixFile::open_for_reading(path);
  if (file.size() < kHeaderBytes) refuse(path, formatted("it has {} bytes", file.size()));
  std::array<unsigned char, kHeaderBytes> head{};
  file.read(0, std::as_writable_bytes(std::span(head)));
  const PictureSize size = size_from_header(head, path);
  return oriented ? upright(size, marks_of(file).orientation) : size;
}

}  // namespace

PictureSize read_png_size(const std::string& path) {
  return read_size(path, /*oriented=*/true);
}

PngImage read_png(const std::string& path) {
  const PictureSize size = read_size(path, /*oriented=*/false);
  const auto file = PosixFile::open_for_reading(path);
  // Deflate makes at most 1 byte of 1032, and a sample takes at least 1 bit.
  if (static_cast<std::uint64_t>(size.height * size.width) / 8 > file.size() * 1100) {
    refuse(path, formatted("{} x {} pixels cannot be in {} bytes; it is truncated", size.height, size.width,
                           file.size()));
  }
  std::vector<std::byte> whole(file.size());
  file.read(0, whole);

  const Context png = context(0);
  const auto check = [&](int error) {
    if (error) refuse(path, spng_strerror(error));
  };
  check(spng_set_image_limits(png.get(), kLongestSide, kLongestSide));
  check(spng_set_chunk_limits(png.get(), 8 << 20, 64 << 20));
  check(spng_set_png_buffer(png.get(), whole.data(), whole.size()));
  spng_ihdr header{};
  check(spng_get_ihdr(png.get(), &header));
  spng_trns colour{};
  const int no_colour = spng_get_trns(png.get(), &colour);
  if (no_colour != SPNG_ECHUNKAVAIL) check(no_colour);
  const Layout layout = layout_of(header, !no_colour);
  PngImage image{size.height, size.width, layout.channels, layout.bits, {}};
  const std::int64_t samples = image.height * image.width * image.channels;
  if (samples > kMostSamples) refuse(path, formatted("{} samples are more than this program takes", samples));
  std::size_t bytes = 0;
  check(spng_decoded_image_size(png.get(), layout.format, &bytes));
  if (bytes != static_cast<std::size_t>(samples * layout.bits / 8))
    refuse(path, "its rows have an unexpected length");

  image.samples.resize(static_cast<std::size_t>(samples));
  if (layout.bits == 16) {
    check(spng_decode_image(png.get(), image.samples.data(), bytes, layout.format, layout.flags));
  } else {
    std::vector<unsigned char> levels(bytes);
    check(spng_decode_image(png.get(), levels.data(), bytes, layout.format, layout.flags));
    std::copy(levels.begin(), levels.end(), image.samples.begin());
  }
  check(spng_decode_chunks(png.get()));  // to the file's end
  image.colours = colours_of(png.get());
  return image;
}

ImagePixels read_png_pixels(const std::string& path, const PictureChoices& choices) {
  const PngImage image = read_png(path);
  const bool alpha = image.channels % 2 == 0;
  const std::int64_t colours = image.channels - alpha, plane = image.height * image.width;
  const SampleScale scale(image.bits, choices.range);
  ImagePixels pixels{colours, image.height, image.width, {}};
  std::vector<float> opacity(static_cast<std::size_t>(alpha ? plane : 0));
  pixels.values.resize(static_cast<std::size_t>(colours * plane));
  for (std::int64_t k = 0; k < plane; ++k) {
    const std::uint16_t* sample = image.samples.data() + k * image.channels;
    for (std::int64_t c = 0; c < colours; ++c)
      pixels.values[static_cast<std::size_t>(c * plane + k)] = scale(sample[c]);
    if (alpha) opacity[static_cast<std::size_t>(k)] = static_cast<float>(sample[colours]) / scale.largest();
  }
  if (image.bits == 16 && !choices.range) note_few_bits(pixels, path);
  check_pixels(pixels, 0, path);
  const PngColours& said = image.colours;
  if (!said.profile.empty()) {
    pixels = profile_to_srgb(std::move(pixels), said.profile, path);
  } else if (!said.srgb && said.exponent > 0) {
    pixels = gamma_to_srgb(std::move(pixels), said.exponent, said.chromaticities.value_or(kSrgbColours));
  }
  if (alpha) pixels = laid_on(std::move(pixels), opacity, choices.background, path);
  const Marks marks = marks_of(PosixFile::open_for_reading(path));
  if (marks.animated) pixels.notes.push_back(formatted("{} is animated; its first picture is read", path));
  return upright(std::move(pixels), marks.orientation);
}

std::vector<std::byte> encode_png(const PngImage& image) {
  static constexpr std::uint8_t colours[] = {SPNG_COLOR_TYPE_GRAYSCALE, SPNG_COLOR_TYPE_GRAYSCALE_ALPHA,
                                             SPNG_COLOR_TYPE_TRUECOLOR, SPNG_COLOR_TYPE_TRUECOLOR_ALPHA};
  const std::int64_t samples = image.height * image.width * image.channels;
  if (image.height < 1 || image.width < 1 || image.channels < 1 || image.channels > 4 ||
      (image.bits != 8 && image.bits != 16) || samples != static_cast<std::int64_t>(image.samples.size())) {
    throw InternalError("a PNG of {} x {} x {} samples of {} bits from {} samples", image.height, image.width,
                        image.channels, image.bits, image.samples.size());
  }
  std::vector<unsigned char> levels;
  for (const std::uint16_t sample : image.samples) {
    if (image.bits == 16) break;
    if (sample > 255) throw InternalError("sample {} in a PNG of 8 bits", sample);
    levels.push_back(static_cast<unsigned char>(sample));
  }
  const void* begin = image.bits == 16 ? static_cast<const void*>(image.samples.data()) : levels.data();
  const Context png = context(SPNG_CTX_ENCODER);
  spng_ihdr header{static_cast<std::uint32_t>(image.width),
                   static_cast<std::uint32_t>(image.height),
                   static_cast<std::uint8_t>(image.bits),
                   colours[image.channels - 1],
                   0,
                   0,
                   SPNG_INTERLACE_NONE};
  int error = spng_set_option(png.get(), SPNG_ENCODE_TO_BUFFER, 1);
  if (!error) error = spng_set_ihdr(png.get(), &header);
  constexpr std::uint8_t relative_colorimetric = 1;
  if (!error && image.colours.srgb) error = spng_set_srgb(png.get(), relative_colorimetric);
  if (!error)
    error = spng_encode_image(png.get(), begin, static_cast<std::size_t>(samples * image.bits / 8),
                              SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
  std::size_t length = 0;
  const std::unique_ptr<void, void (*)(void*)> out(
      error ? nullptr : spng_get_png_buffer(png.get(), &length, &error), std::free);
  if (error) throw IoError("a PNG cannot be made: libspng says {}", spng_strerror(error));
  const auto* first = static_cast<const std::byte*>(out.get());
  return {first, first + length};
}

void write_png(const std::string& path, const PngImage& image) {
  replace_file(path, {encode_png(image)});
}

}  // namespace dwgf
