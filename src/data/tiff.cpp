#include "data/detail/tiff.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <span>
#include <utility>

#include <dwgf/base/error.hpp>

#include "base/posix_file.hpp"
#include "data/detail/colour.hpp"
#include "data/detail/image_pixels.hpp"
#include "data/detail/libtiff.hpp"
#include "data/detail/orientation.hpp"

namespace dwgf {
namespace {

constexpr std::int64_t kLongestSide = 1 << 16;
constexpr std::int64_t kMostSamples = std::int64_t{1} << 30;

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

/// A tile or strip as it is stored, [., row_width, together], of which [rows, columns] lie in the picture.
struct TiffBlock {
  std::uint32_t top = 0, left = 0, rows = 0, columns = 0, row_width = 0;
  std::uint16_t plane = 0, together = 1;  ///< its first channel, and how many
  std::vector<std::byte> bytes = {};      ///< in the machine's byte order
};

class TiffFile {
 public:
  explicit TiffFile(const std::string& path)
      : path_(path), bytes_(PosixFile::open_for_reading(path).size()), open_(path, "rm"), tiff_(open_.get()) {
    if (!tiff_) refuse();
    read_header();
  }

  const Header& header() const { return header_; }

  /// One block after the other, so that no more than one is held as it is stored.
  template <class Visit>
  void for_each_block(const Visit& visit) {
    require_what_is_read();
    const std::uint16_t planes = header_.planar == PLANARCONFIG_SEPARATE ? header_.channels : 1;
    for (std::uint16_t plane = 0; plane < planes; ++plane) {
      TiffBlock block;
      block.plane = plane;
      block.together = planes == 1 ? header_.channels : 1;
      TIFFIsTiled(tiff_) ? read_tiles(block, visit) : read_strips(block, visit);
    }
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
    const std::string reason = !why.empty() ? why : open_.message()[0] ? open_.message() : "it is damaged";
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
    require_one_picture();
    if (samples > kMostSamples) refuse(formatted("{} samples are more than this program takes", samples));
    // No compression of TIFF's makes more than about 1 byte of 1,100.
    if (static_cast<std::uint64_t>(samples) * header_.bits / 8 > bytes_ * 1100)
      refuse(formatted("{} samples cannot be in {} bytes; it is truncated", samples, bytes_));
  }

  /// Pages after the first may show it smaller, as those of a pyramid do.
  void require_one_picture() {
    if (TIFFLastDirectory(tiff_)) return;
    constexpr int most = 64;
    for (int page = 1; page < most && TIFFReadDirectory(tiff_); ++page) {
      std::uint32_t kind = 0;
      if (!TIFFGetField(tiff_, TIFFTAG_SUBFILETYPE, &kind) || !(kind & FILETYPE_REDUCEDIMAGE))
        refuse("it has several pages; split it");
    }
    if (!TIFFSetDirectory(tiff_, 0)) refuse();
    if (header_.photometric == PHOTOMETRIC_RGB && header_.compression == COMPRESSION_JPEG)
      TIFFSetField(tiff_, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
  }

  template <class Visit>
  void read_strips(TiffBlock& block, const Visit& visit) {
    std::uint32_t rows = header_.height;
    TIFFGetFieldDefaulted(tiff_, TIFFTAG_ROWSPERSTRIP, &rows);
    rows = std::clamp<std::uint32_t>(rows, 1, header_.height);
    const std::size_t row_bytes = std::size_t{header_.width} * block.together * (header_.bits / 8);
    block.columns = block.row_width = header_.width;
    block.bytes.resize(row_bytes * rows);
    for (block.top = 0; block.top < header_.height; block.top += rows) {
      block.rows = std::min(rows, header_.height - block.top);
      const auto wanted = static_cast<tmsize_t>(row_bytes * block.rows);
      const auto strip = TIFFComputeStrip(tiff_, block.top, block.plane);
      if (TIFFReadEncodedStrip(tiff_, strip, block.bytes.data(), wanted) != wanted) refuse();
      visit(block);
    }
  }

  template <class Visit>
  void read_tiles(TiffBlock& block, const Visit& visit) {
    std::uint32_t width = 0, height = 0;
    TIFFGetField(tiff_, TIFFTAG_TILEWIDTH, &width);
    TIFFGetField(tiff_, TIFFTAG_TILELENGTH, &height);
    const std::uint64_t bytes = std::uint64_t{width} * height * block.together * (header_.bits / 8);
    if (width < 1 || height < 1 || width > kLongestSide || height > kLongestSide ||
        bytes > static_cast<std::uint64_t>(kMostSamples) ||
        static_cast<std::uint64_t>(std::max<tmsize_t>(TIFFTileSize(tiff_), 0)) != bytes)
      refuse("its tiles have no sensible size");
    block.row_width = width;
    block.bytes.resize(bytes);
    for (block.top = 0; block.top < header_.height; block.top += height) {
      for (block.left = 0; block.left < header_.width; block.left += width) {
        block.rows = std::min(height, header_.height - block.top);
        block.columns = std::min(width, header_.width - block.left);
        const auto wanted = static_cast<tmsize_t>(bytes);
        const auto tile = TIFFComputeTile(tiff_, block.left, block.top, 0, block.plane);
        if (TIFFReadEncodedTile(tiff_, tile, block.bytes.data(), wanted) != wanted) refuse();
        visit(block);
      }
    }
  }

  std::string path_;
  std::uint64_t bytes_;
  OpenTiff open_;
  TIFF* tiff_;
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

/// The pixels of a picture as its blocks come in.
class TiffPixels {
 public:
  TiffPixels(const TiffFile& file, const PictureChoices& choices)
      : file_(file),
        header_(file.header()),
        range_(choices.range),
        scale_(header_.bits, choices.range),
        plane_(std::size_t{header_.height} * header_.width) {
    pixels.channels = header_.is_palette() ? 3 : header_.colours();
    pixels.height = header_.height;
    pixels.width = header_.width;
    pixels.values.resize(plane_ * static_cast<std::size_t>(pixels.channels));
    pixels.floating_point = header_.bits > 16;
    if (header_.channels > header_.colours()) opacity.resize(plane_);
  }

  void take(const TiffBlock& block) {
    for (std::uint32_t y = 0; y < block.rows; ++y) {
      for (std::uint32_t x = 0; x < block.columns; ++x) {
        const std::size_t from = (std::size_t{y} * block.row_width + x) * block.together;
        const std::size_t to = std::size_t{block.top + y} * header_.width + block.left + x;
        for (std::uint16_t c = 0; c < block.together; ++c)
          take(number_of(block.bytes, from + c, header_), static_cast<std::uint16_t>(block.plane + c), to);
      }
    }
  }

  ImagePixels pixels;
  std::vector<float> opacity;  ///< on [0, 1]; empty where there is no alpha

 private:
  void take(double number, std::uint16_t channel, std::size_t pixel) {
    if (channel >= header_.colours()) {
      const double most = header_.bits == 8 ? 255 : header_.bits == 16 ? 65535 : 1;
      opacity[pixel] = static_cast<float>(number / most);
    } else if (header_.is_palette()) {
      const std::array<float, 3> colour = file_.colour(static_cast<std::uint8_t>(number));
      for (std::size_t c = 0; c < 3; ++c) pixels.values[c * plane_ + pixel] = colour[c];
    } else {
      const float value =
          header_.bits > 16 ? on_range(number, range_) : scale_(static_cast<std::uint16_t>(number));
      pixels.values[channel * plane_ + pixel] =
          header_.photometric == PHOTOMETRIC_MINISWHITE ? -value : value;
    }
  }

  const TiffFile& file_;
  const Header& header_;
  std::optional<ValueRange> range_;
  SampleScale scale_;
  std::size_t plane_;
};

}  // namespace

PictureSize read_tiff_size(const std::string& path) {
  const TiffFile file(path);
  return upright(PictureSize{file.header().height, file.header().width}, file.header().orientation);
}

ImagePixels read_tiff(const std::string& path, const PictureChoices& choices) {
  TiffFile file(path);
  const Header& header = file.header();
  std::optional<TiffPixels> read;  // once the header is known to be of a size that is taken
  file.for_each_block([&](const TiffBlock& block) {
    if (!read) read.emplace(file, choices);
    read->take(block);
  });
  ImagePixels pixels = std::move(read->pixels);
  if (header.bits == 16 && !choices.range) note_few_bits(pixels, path);
  check_pixels(pixels, 0, path);
  if (const auto profile = file.profile(); !profile.empty())
    pixels = profile_to_srgb(std::move(pixels), profile, path);
  if (!read->opacity.empty())
    pixels = laid_on(std::move(pixels), read->opacity, choices.background, path,
                     header.extra_kind == EXTRASAMPLE_ASSOCALPHA);
  return upright(std::move(pixels), header.orientation);
}

}  // namespace dwgf
