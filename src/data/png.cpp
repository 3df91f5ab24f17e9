// libpng reports errors by longjmp. Each function that calls setjmp here has only plain variables of its own,
// and between it and the jump there are only libpng's frames, so no destructor is ever jumped over.
#include <array>
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <png.h>
#include <zlib.h>

#include <dwgf/base/error.hpp>
#include <dwgf/data/png.hpp>

#include "base/posix_file.hpp"
#include "base/replace_file.hpp"

namespace dwgf {
namespace {

constexpr std::int64_t longest_side = 1 << 16;
constexpr std::int64_t most_samples = std::int64_t{1} << 28;
constexpr std::size_t signature_bytes = 8;
constexpr std::size_t header_bytes = 33;  // signature and the chunk IHDR

struct Message {
  char text[160] = "";
};

void on_error(png_structp png, png_const_charp text) {
  auto* message = static_cast<Message*>(png_get_error_ptr(png));
  std::snprintf(message->text, sizeof message->text, "%s", text ? text : "unknown error");
  png_longjmp(png, 1);
}
void on_warning(png_structp, png_const_charp) {}

std::uint32_t big_endian(const unsigned char* bytes) {
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 |
         bytes[3];
}

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw DataError(concat(path, " is not a PNG file that can be read (", why, "); save it again as PNG"));
}

// Reading: libpng draws from memory.
struct Input {
  const unsigned char* at = nullptr;
  std::size_t left = 0;
};
void draw(png_structp png, png_bytep out, std::size_t count) {
  auto* input = static_cast<Input*>(png_get_io_ptr(png));
  if (count > input->left) png_error(png, "the file is truncated");
  std::memcpy(out, input->at, count);
  input->at += count;
  input->left -= count;
}

struct Decoder {
  Message message;
  png_structp png = nullptr;
  png_infop info = nullptr;
  Decoder() : png(png_create_read_struct(PNG_LIBPNG_VER_STRING, &message, on_error, on_warning)) {
    if (png) info = png_create_info_struct(png);
    if (!info)
      throw IoError(
          "libpng does not start (out of memory, or another version than this program was built with)");
  }
  ~Decoder() { png_destroy_read_struct(&png, &info, nullptr); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
};

bool decode_header(png_structp png, png_infop info, Input* input) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_user_limits(png, longest_side, longest_side);
  png_set_chunk_malloc_max(png, 8 << 20);
  png_set_chunk_cache_max(png, 256);
  png_set_read_fn(png, input, draw);
  png_read_info(png, info);
  png_set_expand(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  return true;
}

bool decode_rows(png_structp png, png_bytepp rows) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_read_image(png, rows);
  png_read_end(png, nullptr);
  return true;
}

PngSize size_from_header(const std::array<unsigned char, header_bytes>& head, const std::string& path) {
  if (png_sig_cmp(head.data(), 0, signature_bytes) != 0)
    refuse(path, "it does not begin with PNG's signature");
  const unsigned char* chunk = head.data() + signature_bytes;
  if (big_endian(chunk) != 13 || std::memcmp(chunk + 4, "IHDR", 4) != 0 ||
      crc32(0, chunk + 4, 17) != big_endian(chunk + 21)) {
    refuse(path, "its header is damaged");
  }
  const PngSize size{big_endian(chunk + 12), big_endian(chunk + 8)};
  if (size.height < 1 || size.width < 1 || size.height > longest_side || size.width > longest_side ||
      size.height * size.width > most_samples) {
    refuse(path,
           concat("its size of ", size.height, " x ", size.width, " is 0 or more than this program takes"));
  }
  return size;
}

// Writing: libpng appends to memory, which may fail to grow; that becomes libpng's own error.
void append(png_structp png, png_bytep bytes, std::size_t count) {
  bool grown = true;
  try {
    const auto* begin = reinterpret_cast<const std::byte*>(bytes);
    auto* out = static_cast<std::vector<std::byte>*>(png_get_io_ptr(png));
    out->insert(out->end(), begin, begin + count);
  } catch (...) {
    grown = false;
  }
  if (!grown) png_error(png, "out of memory");
}
void flush(png_structp) {}

struct Encoder {
  Message message;
  png_structp png = nullptr;
  png_infop info = nullptr;
  Encoder() : png(png_create_write_struct(PNG_LIBPNG_VER_STRING, &message, on_error, on_warning)) {
    if (png) info = png_create_info_struct(png);
    if (!info)
      throw IoError(
          "libpng does not start (out of memory, or another version than this program was built with)");
  }
  ~Encoder() { png_destroy_write_struct(&png, &info); }
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
};

bool encode(png_structp png, png_infop info, const PngImage* image, png_bytepp rows,
            std::vector<std::byte>* out) {
  static constexpr int colours[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                                    PNG_COLOR_TYPE_RGB_ALPHA};
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_write_fn(png, out, append, flush);
  png_set_IHDR(png, info, static_cast<png_uint_32>(image->width), static_cast<png_uint_32>(image->height),
               image->bits, colours[image->channels - 1], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  png_write_image(png, rows);
  png_write_end(png, nullptr);
  return true;
}

std::vector<png_bytep> row_pointers(std::vector<unsigned char>& bytes, std::int64_t height) {
  const std::size_t row_bytes = bytes.size() / static_cast<std::size_t>(height);
  std::vector<png_bytep> rows;
  for (std::int64_t y = 0; y < height; ++y)
    rows.push_back(bytes.data() + static_cast<std::size_t>(y) * row_bytes);
  return rows;
}

}  // namespace

PngSize read_png_size(const std::string& path) {
  const auto file = PosixFile::open_for_reading(path);
  if (file.size() < header_bytes) refuse(path, concat("it has ", file.size(), " bytes"));
  std::array<unsigned char, header_bytes> head{};
  file.read(0, std::as_writable_bytes(std::span(head)));
  return size_from_header(head, path);
}

PngImage read_png(const std::string& path) {
  const PngSize size = read_png_size(path);
  const auto file = PosixFile::open_for_reading(path);
  // Deflate makes at most 1 byte of 1032, and a sample takes at least 1 bit.
  if (static_cast<std::uint64_t>(size.height * size.width) / 8 > file.size() * 1100) {
    refuse(path, concat(size.height, " x ", size.width, " pixels cannot be in ", file.size(),
                        " bytes; it is truncated"));
  }
  std::vector<unsigned char> whole(file.size());
  file.read(0, std::as_writable_bytes(std::span(whole)));
  Input input{whole.data(), whole.size()};

  Decoder decoder;
  if (!decode_header(decoder.png, decoder.info, &input)) refuse(path, decoder.message.text);
  PngImage image;
  image.height = png_get_image_height(decoder.png, decoder.info);
  image.width = png_get_image_width(decoder.png, decoder.info);
  image.channels = png_get_channels(decoder.png, decoder.info);
  image.bits = png_get_bit_depth(decoder.png, decoder.info);
  const std::int64_t samples = image.height * image.width * image.channels;
  if (samples > most_samples || (image.bits != 8 && image.bits != 16)) {
    refuse(path, concat(samples, " samples of ", image.bits, " bits are more than this program takes"));
  }
  const auto sample_bytes = static_cast<std::size_t>(image.bits / 8);
  const auto row_bytes = static_cast<std::size_t>(image.width * image.channels) * sample_bytes;
  if (png_get_rowbytes(decoder.png, decoder.info) != row_bytes)
    refuse(path, "its rows have an unexpected length");
  std::vector<unsigned char> bytes(row_bytes * static_cast<std::size_t>(image.height));
  auto rows = row_pointers(bytes, image.height);
  if (!decode_rows(decoder.png, rows.data())) refuse(path, decoder.message.text);

  image.samples.resize(static_cast<std::size_t>(samples));
  for (std::size_t k = 0; k < image.samples.size(); ++k) {
    image.samples[k] =
        sample_bytes == 1 ? bytes[k] : static_cast<std::uint16_t>(bytes[2 * k] << 8 | bytes[2 * k + 1]);
  }
  return image;
}

std::vector<std::byte> encode_png(const PngImage& image) {
  const std::int64_t samples = image.height * image.width * image.channels;
  if (image.height < 1 || image.width < 1 || image.channels < 1 || image.channels > 4 ||
      (image.bits != 8 && image.bits != 16) || samples != static_cast<std::int64_t>(image.samples.size())) {
    throw InternalError(concat("a PNG of ", image.height, " x ", image.width, " x ", image.channels,
                               " samples of ", image.bits, " bits from ", image.samples.size(), " samples"));
  }
  std::vector<unsigned char> bytes;
  bytes.reserve(image.samples.size() * static_cast<std::size_t>(image.bits / 8));
  for (const std::uint16_t sample : image.samples) {
    if (image.bits == 8 && sample > 255)
      throw InternalError(concat("sample ", sample, " in a PNG of 8 bits"));
    if (image.bits == 16) bytes.push_back(static_cast<unsigned char>(sample >> 8));
    bytes.push_back(static_cast<unsigned char>(sample));
  }
  auto rows = row_pointers(bytes, image.height);
  std::vector<std::byte> out;
  Encoder encoder;
  if (!encode(encoder.png, encoder.info, &image, rows.data(), &out)) {
    throw IoError(concat("a PNG cannot be made: libpng says ", encoder.message.text));
  }
  return out;
}

void write_png(const std::string& path, const PngImage& image) {
  replace_file(path, {encode_png(image)});
}

}  // namespace dwgf
