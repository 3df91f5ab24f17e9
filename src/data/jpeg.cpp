// libjpeg reports errors by a function that must not return: longjmp. As in png.cpp, each function that calls
// setjmp has only plain variables of its own, and no destructor is ever jumped over.
#include "data/detail/jpeg.hpp"

#include <csetjmp>
#include <cstdio>

#include <jpeglib.h>

#include <dwgf/base/error.hpp>

#include "base/posix_file.hpp"

namespace dwgf {
namespace {

constexpr std::int64_t most_samples = std::int64_t{1} << 28;

struct Failure {
  jpeg_error_mgr manager{};  // the first member: libjpeg gives a pointer to it
  std::jmp_buf jump{};
  char text[JMSG_LENGTH_MAX] = "";
};

void on_error(j_common_ptr decoder) {
  auto* failure = reinterpret_cast<Failure*>(decoder->err);
  decoder->err->format_message(decoder, failure->text);
  std::longjmp(failure->jump, 1);
}
// Level -1 is a warning that the data is corrupt; the others are remarks.
void on_message(j_common_ptr decoder, int level) {
  if (level < 0) on_error(decoder);
}

struct Decoder {
  Failure failure;
  jpeg_decompress_struct jpeg{};
  Decoder() {
    jpeg.err = jpeg_std_error(&failure.manager);
    failure.manager.error_exit = on_error;
    failure.manager.emit_message = on_message;
  }
  ~Decoder() { jpeg_destroy_decompress(&jpeg); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
};

bool decode_header(Decoder* decoder, const unsigned char* bytes, unsigned long count) {
  if (setjmp(decoder->failure.jump)) return false;
  jpeg_create_decompress(&decoder->jpeg);
  decoder->jpeg.mem->max_memory_to_use = 1L << 31;
  jpeg_mem_src(&decoder->jpeg, bytes, count);
  jpeg_read_header(&decoder->jpeg, TRUE);
  return true;
}

bool start(Decoder* decoder, J_COLOR_SPACE colours) {
  if (setjmp(decoder->failure.jump)) return false;
  decoder->jpeg.out_color_space = colours;
  decoder->jpeg.dct_method = JDCT_ISLOW;
  jpeg_start_decompress(&decoder->jpeg);
  return true;
}

bool decode_rows(Decoder* decoder, unsigned char* out, std::size_t row_bytes) {
  if (setjmp(decoder->failure.jump)) return false;
  while (decoder->jpeg.output_scanline < decoder->jpeg.output_height) {
    JSAMPROW row = out + decoder->jpeg.output_scanline * row_bytes;
    jpeg_read_scanlines(&decoder->jpeg, &row, 1);
  }
  jpeg_finish_decompress(&decoder->jpeg);
  return true;
}

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw DataError(
      concat(path, " is not a JPEG file that can be read (", why, "); save it again, as PNG or JPEG"));
}

std::vector<unsigned char> first_bytes(const PosixFile& file, std::uint64_t most) {
  std::vector<unsigned char> bytes(std::min<std::uint64_t>(file.size(), most));
  file.read(0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

PictureSize checked_size(const Decoder& decoder, const std::string& path) {
  const PictureSize size{decoder.jpeg.image_height, decoder.jpeg.image_width};
  if (size.height < 1 || size.width < 1 || size.height * size.width * 3 > most_samples)
    refuse(path,
           concat("its size of ", size.height, " x ", size.width, " is 0 or more than this program takes"));
  return size;
}

}  // namespace

PictureSize read_jpeg_size(const std::string& path) {
  const auto file = PosixFile::open_for_reading(path);
  // Profiles and previews may stand before the size: then the whole file is looked through.
  constexpr std::uint64_t mostly_enough = 1 << 16;
  for (const std::uint64_t most : {mostly_enough, file.size()}) {
    const std::vector<unsigned char> bytes = first_bytes(file, most);
    Decoder decoder;
    if (decode_header(&decoder, bytes.data(), bytes.size())) return checked_size(decoder, path);
    if (bytes.size() == file.size()) refuse(path, decoder.failure.text);
  }
  refuse(path, "it has no header");
}

ImagePixels read_jpeg(const std::string& path) {
  const auto file = PosixFile::open_for_reading(path);
  const std::vector<unsigned char> bytes = first_bytes(file, file.size());
  Decoder decoder;
  if (!decode_header(&decoder, bytes.data(), bytes.size())) refuse(path, decoder.failure.text);
  const PictureSize size = checked_size(decoder, path);
  const J_COLOR_SPACE stored = decoder.jpeg.jpeg_color_space;
  if (stored == JCS_CMYK || stored == JCS_YCCK) refuse(path, "it is CMYK, for print; convert it to RGB");
  const bool grey = stored == JCS_GRAYSCALE;
  if (!start(&decoder, grey ? JCS_GRAYSCALE : JCS_RGB)) refuse(path, decoder.failure.text);

  ImagePixels pixels{grey ? 1 : 3, size.height, size.width, {}};
  const auto row_bytes = static_cast<std::size_t>(size.width * pixels.channels);
  std::vector<unsigned char> samples(row_bytes * static_cast<std::size_t>(size.height));
  if (!decode_rows(&decoder, samples.data(), row_bytes)) refuse(path, decoder.failure.text);
  const std::int64_t plane = size.height * size.width;
  pixels.values.resize(samples.size());
  for (std::int64_t k = 0; k < plane; ++k)
    for (std::int64_t c = 0; c < pixels.channels; ++c)
      pixels.values[static_cast<std::size_t>(c * plane + k)] =
          static_cast<float>(samples[static_cast<std::size_t>(k * pixels.channels + c)] / 127.5 - 1.0);
  return pixels;
}

}  // namespace dwgf
