#include "data/pyramid_tiff.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include <dwgf/base/error.hpp>

#include "base/precondition.hpp"
#include "base/replace_file.hpp"
#include "data/detail/libtiff.hpp"

namespace dwgf {
namespace {

constexpr std::int64_t kTile = 256;

/// One size of the picture.
struct Page {
  std::int64_t channels = 1, height = 0, width = 0;
  std::span<const float> values;

  float at(std::int64_t c, std::int64_t y, std::int64_t x) const {
    return values[static_cast<std::size_t>((c * height + y) * width + x)];
  }
};

/// Means of 2 x 2 pixels; of fewer at an odd edge.
std::vector<float> halved(const Page& page) {
  const std::int64_t height = (page.height + 1) / 2, width = (page.width + 1) / 2;
  std::vector<float> out;
  out.reserve(static_cast<std::size_t>(page.channels * height * width));
  for (std::int64_t c = 0; c < page.channels; ++c) {
    for (std::int64_t y = 0; y < height; ++y) {
      const std::int64_t below = std::min(2 * y + 1, page.height - 1);
      for (std::int64_t x = 0; x < width; ++x) {
        const std::int64_t right = std::min(2 * x + 1, page.width - 1);
        out.push_back((page.at(c, 2 * y, 2 * x) + page.at(c, 2 * y, right) + page.at(c, below, 2 * x) +
                       page.at(c, below, right)) /
                      4.0f);
      }
    }
  }
  return out;
}

/// A file on its way, which takes its name when it is whole.
class PyramidFile {
 public:
  PyramidFile(const std::string& path, bool big)
      : path_(path), aside_(path + std::string(kPartSuffix)), file_(aside_, big ? "w8" : "w") {
    require(file_.get() != nullptr);
  }
  ~PyramidFile() {
    file_.close();
    if (!finished_) std::remove(aside_.c_str());
  }
  PyramidFile(const PyramidFile&) = delete;
  PyramidFile& operator=(const PyramidFile&) = delete;

  void add(const Page& page, bool reduced) {
    describe(page, reduced);
    const std::int64_t tile_values = kTile * kTile * page.channels;
    std::vector<float> tile(static_cast<std::size_t>(tile_values));
    for (std::int64_t top = 0; top < page.height; top += kTile) {
      for (std::int64_t left = 0; left < page.width; left += kTile) {
        fill(tile, page, top, left);
        const auto bytes = static_cast<tmsize_t>(tile.size() * sizeof(float));
        const auto number = TIFFComputeTile(file_.get(), static_cast<std::uint32_t>(left),
                                            static_cast<std::uint32_t>(top), 0, 0);
        require(TIFFWriteEncodedTile(file_.get(), number, tile.data(), bytes) == bytes);
      }
    }
    require(TIFFWriteDirectory(file_.get()) == 1);
  }

  void finish() {
    require(TIFFFlush(file_.get()) == 1);
    file_.close();
    errno = 0;
    require(std::rename(aside_.c_str(), path_.c_str()) == 0);
    finished_ = true;
  }

 private:
  void require(bool done) const {
    if (done) return;
    const char* why = file_.message()[0] ? file_.message() : std::strerror(errno);
    throw IoError("'{}' cannot be written ({}); make room, or name another folder", path_, why);
  }

  void describe(const Page& page, bool reduced) {
    TIFF* const file = file_.get();
    TIFFSetField(file, TIFFTAG_SUBFILETYPE, reduced ? FILETYPE_REDUCEDIMAGE : 0);
    TIFFSetField(file, TIFFTAG_IMAGEWIDTH, static_cast<std::uint32_t>(page.width));
    TIFFSetField(file, TIFFTAG_IMAGELENGTH, static_cast<std::uint32_t>(page.height));
    TIFFSetField(file, TIFFTAG_BITSPERSAMPLE, 32);
    TIFFSetField(file, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_IEEEFP);
    TIFFSetField(file, TIFFTAG_SAMPLESPERPIXEL, static_cast<int>(page.channels));
    TIFFSetField(file, TIFFTAG_PHOTOMETRIC, page.channels == 1 ? PHOTOMETRIC_MINISBLACK : PHOTOMETRIC_RGB);
    TIFFSetField(file, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    TIFFSetField(file, TIFFTAG_COMPRESSION, COMPRESSION_ADOBE_DEFLATE);
    TIFFSetField(file, TIFFTAG_TILEWIDTH, static_cast<std::uint32_t>(kTile));
    TIFFSetField(file, TIFFTAG_TILELENGTH, static_cast<std::uint32_t>(kTile));
  }

  /// R, G and B of a pixel together; what lies outside of the picture repeats its edge.
  static void fill(std::vector<float>& tile, const Page& page, std::int64_t top, std::int64_t left) {
    auto out = tile.begin();
    for (std::int64_t y = top; y < top + kTile; ++y)
      for (std::int64_t x = left; x < left + kTile; ++x)
        for (std::int64_t c = 0; c < page.channels; ++c)
          *out++ = page.at(c, std::min(y, page.height - 1), std::min(x, page.width - 1));
  }

  std::string path_, aside_;
  OpenTiff file_;
  bool finished_ = false;
};

}  // namespace

void write_pyramid_tiff(const std::string& path, std::int64_t channels, std::int64_t height,
                        std::int64_t width, std::span<const float> values) {
  precondition((channels == 1 || channels == 3) && height > 0 && width > 0 &&
                   static_cast<std::int64_t>(values.size()) == channels * height * width,
               "a TIFF of 1 or 3 channels and as many values as it has pixels");
  constexpr std::size_t most = std::size_t{1} << 31;  // with all pages, and what deflate may add
  PyramidFile file(path, values.size() * sizeof(float) > most);
  Page page{channels, height, width, values};
  file.add(page, false);
  for (std::vector<float> kept; std::max(page.height, page.width) > kTile;) {
    kept = halved(page);
    page = {channels, (page.height + 1) / 2, (page.width + 1) / 2, kept};
    file.add(page, true);
  }
  file.finish();
}

}  // namespace dwgf
