#include "data/detail/tiff.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>

#include <tiffio.h>

#include <dwgf/base/error.hpp>

#include "base/posix_file.hpp"
#include "data/detail/image_pixels.hpp"

namespace dwgf {
namespace {

constexpr std::int64_t kLongestSide = 1 << 16;
constexpr std::int64_t kMostSamples = std::int64_t{1} << 28;
constexpr tmsize_t kMostBytesAtOnce = tmsize_t{1} << 31;

struct Message {
  char text[200] = "";
};

// The first message is the cause; those that follow tell where it was noticed.
int on_error(TIFF*, void* out, const char*, const char* format, va_list arguments) {
  auto* message = static_cast<Message*>(out);
  if (message->text[0] == '\0') std::vsnprintf(message->text, sizeof message->text, format, arguments);
  return 1;
}
int on_warning(TIFF*, void*, const char*, const char*, va_list) {
  return 1;
}

/// What the header says of the one picture in the file.
struct Header {
  std::uint32_t width = 0, height = 0;
  std::uint16_t bits = 1, channels = 1, format = SAMPLEFORMAT_UINT, photometric = 0,
                planar = PLANARCONFIG_CONTIG, extra = 0, compression = COMPRESSION_NONE;
};

class TiffFile {
 public:
  explicit TiffFile(const std::string& path) : path_(path), bytes_(PosixFile::open_for_reading(path).size()) {
    const std::unique_ptr<TIFFOpenOptions, void (*)(TIFFOpenOptions*)> options(TIFFOpenOptionsAlloc(),
                                                                               TIFFOpenOptionsFree);
    if (!options) throw IoError("libtiff does not start (out of memory)");
    TIFFOpenOptionsSetErrorHandlerExtR(options.get(), on_error, &message_);
    TIFFOpenOptionsSetWarningHandlerExtR(options.get(), on_warning, nullptr);
    TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), kMostBytesAtOnce);
    // m: not mapped, so that a file that shrinks is an error of a read and not a signal.
    tiff_ = TIFFOpenExt(path.c_str(), "rm", options.get());
    if (!tiff_) refuse();
    read_header();
  }
  ~TiffFile() {
    if (tiff_) TIFFClose(tiff_);
  }
  TiffFile(const TiffFile&) = delete;
  TiffFile& operator=(const TiffFile&) = delete;

  const Header& header() const { return header_; }

  /// The samples as stored, [channels, H, W] in the machine's byte order.
  std::vector<std::byte> samples() {
    require_what_is_read();
    const std::size_t size = header_.bits / 8;
    std::vector<std::byte> out(size * header_.channels * header_.height * header_.width);
    const bool separate = header_.planar == PLANARCONFIG_SEPARATE;
    const std::uint16_t planes = separate ? header_.channels : 1;
    for (std::uint16_t plane = 0; plane < planes; ++plane)
      TIFFIsTiled(tiff_) ? read_tiles(out, plane, planes) : read_strips(out, plane, planes);
    return out;
  }

  [[noreturn]] void refuse(const std::string& why = {}) const {
    const std::string reason = !why.empty() ? why : message_.text[0] ? message_.text : "it is damaged";
    throw DataError(
        "{} is not a TIFF file that can be read ({}); save it again as TIFF, one page, 8 or 16 bit or float, "
        "grey or RGB",
        path_, reason);
  }

 private:
  void read_header() {
    if (!TIFFGetField(tiff_, TIFFTAG_IMAGEWIDTH, &header_.width) ||
        !TIFFGetField(tiff_, TIFFTAG_IMAGELENGTH, &header_.height))
      refuse("it does not say how large it is");
    TIFFGetFieldDefaulted(tiff_, TIFFTAG_BITSPERSAMPLE, &header_.bits);
    TIFFGetFieldDefaulted(tiff_, TIFFTAG_SAMPLESPERPIXEL, &header_.channels);
    TIFFGetFieldDefaulted(tiff_, TIFFTAG_SAMPLEFORMAT, &header_.format);
    TIFFGetFieldDefaulted(tiff_, TIFFTAG_PLANARCONFIG, &header_.planar);
    TIFFGetFieldDefaulted(tiff_, TIFFTAG_COMPRESSION, &header_.compression);
    std::uint16_t* kinds = nullptr;
    TIFFGetFieldDefaulted(tiff_, TIFFTAG_EXTRASAMPLES, &header_.extra, &kinds);
    if (!TIFFGetField(tiff_, TIFFTAG_PHOTOMETRIC, &header_.photometric))
      header_.photometric = header_.channels >= 3 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK;
    if (header_.width < 1 || header_.height < 1 || header_.width > kLongestSide ||
        header_.height > kLongestSide || std::int64_t{header_.width} * header_.height > kMostSamples)
      refuse(formatted("its size of {} x {} is 0 or more than this program takes", header_.height,
                       header_.width));
  }

  void require_what_is_read() {
    const std::int64_t samples = std::int64_t{header_.width} * header_.height * header_.channels;
    if (header_.photometric == PHOTOMETRIC_YCBCR && header_.compression == COMPRESSION_JPEG) {
      TIFFSetField(tiff_, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
      header_.photometric = PHOTOMETRIC_RGB;
    }
    const bool grey =
        header_.photometric == PHOTOMETRIC_MINISBLACK || header_.photometric == PHOTOMETRIC_MINISWHITE;
    if (!grey && header_.photometric != PHOTOMETRIC_RGB)
      refuse(formatted("its colours are of kind {}, neither grey nor RGB", header_.photometric));
    const int colours = grey ? 1 : 3;
    if (header_.channels != colours && header_.channels != colours + 1)
      refuse(formatted("it has {} samples a pixel", header_.channels));
    const bool whole = header_.format == SAMPLEFORMAT_UINT && (header_.bits == 8 || header_.bits == 16);
    const bool floating = header_.format == SAMPLEFORMAT_IEEEFP && (header_.bits == 32 || header_.bits == 64);
    if (!whole && !floating)
      refuse(formatted("its samples are {} bit of kind {}; unsigned 8 and 16 bit and floating point are read",
                       header_.bits, header_.format));
    std::uint16_t orientation = ORIENTATION_TOPLEFT;
    TIFFGetFieldDefaulted(tiff_, TIFFTAG_ORIENTATION, &orientation);
    if (orientation != ORIENTATION_TOPLEFT) refuse("it is stored turned or mirrored; turn it upright");
    if (!TIFFLastDirectory(tiff_)) refuse("it has several pages; split it");
    if (samples > kMostSamples) refuse(formatted("{} samples are more than this program takes", samples));
    // No compression of TIFF's makes more than about 1 byte of 1,100.
    if (static_cast<std::uint64_t>(samples) * header_.bits / 8 > bytes_ * 1100)
      refuse(formatted("{} samples cannot be in {} bytes; it is truncated", samples, bytes_));
  }

  /// Copies a block of [rows, columns, samples of one plane] to its place.
  void place(const std::vector<std::byte>& block, std::uint32_t top, std::uint32_t left, std::uint32_t rows,
             std::uint32_t columns, std::uint32_t block_width, std::uint16_t plane, std::uint16_t planes,
             std::vector<std::byte>& out) const {
    const std::size_t size = header_.bits / 8;
    const std::uint32_t together = planes == 1 ? header_.channels : 1;
    for (std::uint32_t y = 0; y < rows; ++y) {
      for (std::uint32_t x = 0; x < columns; ++x) {
        for (std::uint32_t c = 0; c < together; ++c) {
          const std::size_t from = (std::size_t{y} * block_width + x) * together + c;
          const std::size_t to =
              ((std::size_t{plane} + c) * header_.height + top + y) * header_.width + left + x;
          std::memcpy(out.data() + to * size, block.data() + from * size, size);
        }
      }
    }
  }

  void read_strips(std::vector<std::byte>& out, std::uint16_t plane, std::uint16_t planes) {
    std::uint32_t rows = header_.height;
    TIFFGetFieldDefaulted(tiff_, TIFFTAG_ROWSPERSTRIP, &rows);
    rows = std::clamp<std::uint32_t>(rows, 1, header_.height);
    const std::uint32_t together = planes == 1 ? header_.channels : 1;
    const std::size_t row_bytes = std::size_t{header_.width} * together * (header_.bits / 8);
    std::vector<std::byte> block(row_bytes * rows);
    for (std::uint32_t top = 0; top < header_.height; top += rows) {
      const std::uint32_t here = std::min(rows, header_.height - top);
      const auto wanted = static_cast<tmsize_t>(row_bytes * here);
      if (TIFFReadEncodedStrip(tiff_, TIFFComputeStrip(tiff_, top, plane), block.data(), wanted) != wanted)
        refuse();
      place(block, top, 0, here, header_.width, header_.width, plane, planes, out);
    }
  }

  void read_tiles(std::vector<std::byte>& out, std::uint16_t plane, std::uint16_t planes) {
    std::uint32_t width = 0, height = 0;
    TIFFGetField(tiff_, TIFFTAG_TILEWIDTH, &width);
    TIFFGetField(tiff_, TIFFTAG_TILELENGTH, &height);
    const std::uint32_t together = planes == 1 ? header_.channels : 1;
    const std::uint64_t bytes = std::uint64_t{width} * height * together * (header_.bits / 8);
    if (width < 1 || height < 1 || width > kLongestSide || height > kLongestSide ||
        bytes > static_cast<std::uint64_t>(kMostSamples) ||
        static_cast<std::uint64_t>(std::max<tmsize_t>(TIFFTileSize(tiff_), 0)) != bytes)
      refuse("its tiles have no sensible size");
    std::vector<std::byte> block(bytes);
    for (std::uint32_t top = 0; top < header_.height; top += height) {
      for (std::uint32_t left = 0; left < header_.width; left += width) {
        const auto wanted = static_cast<tmsize_t>(bytes);
        if (TIFFReadEncodedTile(tiff_, TIFFComputeTile(tiff_, left, top, 0, plane), block.data(), wanted) !=
            wanted)
          refuse();
        place(block, top, left, std::min(height, header_.height - top), std::min(width, header_.width - left),
              width, plane, planes, out);
      }
    }
  }

  std::string path_;
  std::uint64_t bytes_;
  Message message_;
  TIFF* tiff_ = nullptr;
  Header header_;
};

/// Sample k as a value on [-1, 1].
float value_of(const std::vector<std::byte>& samples, std::size_t k, const Header& header) {
  const auto read = [&]<class Stored>(Stored stored) {
    std::memcpy(&stored, samples.data() + k * sizeof(Stored), sizeof(Stored));
    return static_cast<double>(stored);
  };
  double value = 0;
  if (header.bits == 8) value = read(std::uint8_t{}) / 127.5 - 1.0;
  if (header.bits == 16) value = read(std::uint16_t{}) / 32767.5 - 1.0;
  if (header.bits == 32) value = read(float{});
  if (header.bits == 64) value = read(double{});
  return static_cast<float>(header.photometric == PHOTOMETRIC_MINISWHITE ? -value : value);
}

}  // namespace

PictureSize read_tiff_size(const std::string& path) {
  const TiffFile file(path);
  return {file.header().height, file.header().width};
}

ImagePixels read_tiff(const std::string& path) {
  TiffFile file(path);
  const std::vector<std::byte> samples = file.samples();
  const Header& header = file.header();
  const std::uint16_t colours = header.channels >= 3 ? 3 : 1;
  ImagePixels pixels{colours, header.height, header.width, {}};
  const std::size_t plane = std::size_t{header.height} * header.width;
  for (std::size_t k = 0; header.channels > colours && k < plane; ++k) {
    const float opaque = 1;
    const float alpha = value_of(samples, colours * plane + k, header);
    if (header.photometric != PHOTOMETRIC_MINISWHITE && alpha == opaque) continue;
    throw DataError(
        "{} has a transparent pixel, ({}, {}) (row, column); save it without an alpha channel, on the "
        "background you want",
        path, k / header.width, k % header.width);
  }
  pixels.values.resize(colours * plane);
  for (std::size_t k = 0; k < pixels.values.size(); ++k) pixels.values[k] = value_of(samples, k, header);
  check_pixels(pixels, 0, path);
  return pixels;
}

}  // namespace dwgf
