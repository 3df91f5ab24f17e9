#include "data/detail/tiff.hpp"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

#include <tiffio.h>

#include <dwgf/base/error.hpp>

#include "base/posix_file.hpp"
#include "data/detail/colour.hpp"
#include "data/detail/image_pixels.hpp"
#include "data/detail/orientation.hpp"

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
                planar = PLANARCONFIG_CONTIG, extra = 0, extra_kind = EXTRASAMPLE_UNSPECIFIED,
                compression = COMPRESSION_NONE, orientation = ORIENTATION_TOPLEFT;

  bool is_grey() const {
    return photometric == PHOTOMETRIC_MINISBLACK || photometric == PHOTOMETRIC_MINISWHITE;
  }
  bool is_palette() const { return photometric == PHOTOMETRIC_PALETTE; }
  /// Without alpha.
  std::uint16_t colours() const {
    return is_grey() || is_palette() ? 1 : photometric == PHOTOMETRIC_SEPARATED ? 4 : 3;
  }
};

std::string kind_of_colours(std::uint16_t photometric) {
  constexpr std::pair<int, const char*> names[] = {
      {PHOTOMETRIC_MASK, "a mask"},       {PHOTOMETRIC_YCBCR, "YCbCr"},
      {PHOTOMETRIC_CIELAB, "CIE L*a*b*"}, {PHOTOMETRIC_ICCLAB, "ICC L*a*b*"},
      {PHOTOMETRIC_ITULAB, "ITU L*a*b*"}, {PHOTOMETRIC_CFA, "a camera's raw mosaic"},
      {PHOTOMETRIC_LOGL, "CIE Log2(L)"},  {PHOTOMETRIC_LOGLUV, "CIE Log2(L) (u', v')"}};
  for (const auto& [number, name] : names)
    if (number == photometric) return name;
  return formatted("of kind {}", photometric);
}

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

  /// ICC; empty: none.
  std::span<const std::byte> profile() const {
    std::uint32_t bytes = 0;
    const std::byte* first = nullptr;
    if (!TIFFGetField(tiff_, TIFFTAG_ICCPROFILE, &bytes, &first)) return {};
    return {first, bytes};
  }

  /// Of a palette: red, green and blue of an index, on [-1, 1].
  std::array<float, 3> colour(std::uint8_t index) const {
    std::uint16_t* levels[3] = {};
    if (!TIFFGetField(tiff_, TIFFTAG_COLORMAP, &levels[0], &levels[1], &levels[2]))
      refuse("its palette is missing");
    std::array<float, 3> colour{};
    // Writers scale 8 bits by 256 or by 257: the upper half is the same.
    for (std::size_t c = 0; c < 3; ++c) colour[c] = static_cast<float>((levels[c][index] >> 8) / 127.5 - 1.0);
    return colour;
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
    if (header_.extra > 0 && kinds) header_.extra_kind = kinds[0];
    TIFFGetFieldDefaulted(tiff_, TIFFTAG_ORIENTATION, &header_.orientation);
    if (header_.orientation < 1 || header_.orientation > 8) header_.orientation = ORIENTATION_TOPLEFT;
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
    if (!header_.is_grey() && !header_.is_palette() && header_.photometric != PHOTOMETRIC_RGB &&
        header_.photometric != PHOTOMETRIC_SEPARATED)
      refuse(formatted("its colours are {}, neither grey nor RGB", kind_of_colours(header_.photometric)));
    if (header_.photometric == PHOTOMETRIC_SEPARATED && profile().empty())
      refuse(
          "it is CMYK, for print, without a colour profile that tells what the inks are; convert it to RGB");
    const int colours = header_.colours();
    if (header_.channels != colours && header_.channels != colours + 1)
      refuse(formatted("it has {} samples a pixel", header_.channels));
    const bool whole = header_.format == SAMPLEFORMAT_UINT &&
                       (header_.bits == 8 || (header_.bits == 16 && !header_.is_palette()));
    const bool floating = header_.format == SAMPLEFORMAT_IEEEFP && !header_.is_palette() &&
                          (header_.bits == 32 || header_.bits == 64);
    if (!whole && !floating)
      refuse(formatted("its samples are {} bit of kind {}; unsigned 8 and 16 bit and floating point are read",
                       header_.bits, header_.format));
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

/// Sample k as a number of its type.
double number_of(const std::vector<std::byte>& samples, std::size_t k, const Header& header) {
  const auto read = [&]<class Stored>(Stored stored) {
    std::memcpy(&stored, samples.data() + k * sizeof(Stored), sizeof(Stored));
    return static_cast<double>(stored);
  };
  if (header.bits == 8) return read(std::uint8_t{});
  if (header.bits == 16) return read(std::uint16_t{});
  return header.bits == 32 ? read(float{}) : read(double{});
}

/// Values on [-1, 1] of all colours.
std::vector<float> colour_values(const std::vector<std::byte>& samples, const TiffFile& file,
                                 std::size_t plane, const PictureChoices& choices) {
  const Header& header = file.header();
  const SampleScale scale(header.bits, choices.range);
  std::vector<float> values(plane * (header.is_palette() ? 3 : header.colours()));
  for (std::size_t k = 0; k < values.size(); ++k) {
    if (header.is_palette()) {
      const double index = number_of(samples, k % plane, header);
      values[k] = file.colour(static_cast<std::uint8_t>(index))[k / plane];
      continue;
    }
    const double number = number_of(samples, k, header);
    const float value =
        header.bits > 16 ? on_range(number, choices.range) : scale(static_cast<std::uint16_t>(number));
    values[k] = header.photometric == PHOTOMETRIC_MINISWHITE ? -value : value;
  }
  return values;
}

/// Of alpha, on [0, 1]; empty where there is none.
std::vector<float> opacity_of(const std::vector<std::byte>& samples, const Header& header,
                              std::size_t plane) {
  if (header.channels == header.colours()) return {};
  const double most = header.bits == 8 ? 255 : header.bits == 16 ? 65535 : 1;
  std::vector<float> opacity(plane);
  for (std::size_t k = 0; k < plane; ++k)
    opacity[k] = static_cast<float>(number_of(samples, header.colours() * plane + k, header) / most);
  return opacity;
}

}  // namespace

PictureSize read_tiff_size(const std::string& path) {
  const TiffFile file(path);
  return upright(PictureSize{file.header().height, file.header().width}, file.header().orientation);
}

ImagePixels read_tiff(const std::string& path, const PictureChoices& choices) {
  TiffFile file(path);
  const std::vector<std::byte> samples = file.samples();
  const Header& header = file.header();
  const std::size_t plane = std::size_t{header.height} * header.width;
  ImagePixels pixels{header.is_palette() ? 3 : header.colours(), header.height, header.width,
                     colour_values(samples, file, plane, choices)};
  pixels.floating_point = header.bits > 16;
  if (header.bits == 16 && !choices.range) note_few_bits(pixels, path);
  check_pixels(pixels, 0, path);
  if (const auto profile = file.profile(); !profile.empty())
    pixels = profile_to_srgb(std::move(pixels), profile, path);
  if (const std::vector<float> opacity = opacity_of(samples, header, plane); !opacity.empty())
    pixels = laid_on(std::move(pixels), opacity, choices.background, path,
                     header.extra_kind == EXTRASAMPLE_ASSOCALPHA);
  return upright(std::move(pixels), header.orientation);
}

}  // namespace dwgf
