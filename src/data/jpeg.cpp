#include "data/detail/jpeg.hpp"

#include <algorithm>
#include <memory>

#include <turbojpeg.h>

#include <dwgf/base/error.hpp>

#include "base/posix_file.hpp"

namespace dwgf {
namespace {

constexpr std::int64_t kMostSamples = std::int64_t{1} << 28;

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw DataError("{} is not a JPEG file that can be read ({}); save it again, as PNG or JPEG", path, why);
}

std::vector<unsigned char> first_bytes(const PosixFile& file, std::uint64_t most) {
  std::vector<unsigned char> bytes(std::min<std::uint64_t>(file.size(), most));
  file.read(0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

class Decoder {
 public:
  Decoder() : jpeg_(tjInitDecompress(), tjDestroy) {
    if (!jpeg_) throw IoError("TurboJPEG does not start (out of memory)");
  }

  /// Whether the bytes hold a header, which is then `size` and `colours`.
  bool read_header(const std::vector<unsigned char>& bytes) {
    int width = 0, height = 0, subsampling = 0;
    const int error =
        tjDecompressHeader3(jpeg_.get(), bytes.data(), bytes.size(), &width, &height, &subsampling, &colours);
    size = {height, width};
    // A subsampling without a name is an error to TurboJPEG, which decodes it all the same.
    return !error || (subsampling < 0 && colours >= 0);
  }
  bool read_pixels(const std::vector<unsigned char>& bytes, std::vector<unsigned char>& out, bool grey) {
    return !tjDecompress2(jpeg_.get(), bytes.data(), bytes.size(), out.data(), static_cast<int>(size.width),
                          0, static_cast<int>(size.height), grey ? TJPF_GRAY : TJPF_RGB,
                          TJFLAG_ACCURATEDCT | TJFLAG_STOPONWARNING);
  }
  std::string error() const { return tjGetErrorStr2(jpeg_.get()); }

  PictureSize size;
  int colours = -1;  // TJCS

 private:
  std::unique_ptr<void, int (*)(tjhandle)> jpeg_;
};

void require_possible(const PictureSize& size, const std::string& path) {
  if (size.height < 1 || size.width < 1 || size.height * size.width * 3 > kMostSamples)
    refuse(path,
           formatted("its size of {} x {} is 0 or more than this program takes", size.height, size.width));
}

}  // namespace

PictureSize read_jpeg_size(const std::string& path) {
  const auto file = PosixFile::open_for_reading(path);
  // Profiles and previews may stand before the size: then the whole file is looked through.
  constexpr std::uint64_t mostly_enough = 1 << 16;
  Decoder decoder;
  if (!decoder.read_header(first_bytes(file, mostly_enough)) &&
      !decoder.read_header(first_bytes(file, file.size())))
    refuse(path, decoder.error());
  require_possible(decoder.size, path);
  return decoder.size;
}

ImagePixels read_jpeg(const std::string& path) {
  const auto file = PosixFile::open_for_reading(path);
  const std::vector<unsigned char> bytes = first_bytes(file, file.size());
  Decoder decoder;
  if (!decoder.read_header(bytes)) refuse(path, decoder.error());
  require_possible(decoder.size, path);
  if (decoder.colours == TJCS_CMYK || decoder.colours == TJCS_YCCK)
    refuse(path, "it is CMYK, for print; convert it to RGB");
  const bool grey = decoder.colours == TJCS_GRAY;
  ImagePixels pixels{grey ? 1 : 3, decoder.size.height, decoder.size.width, {}};
  const std::int64_t plane = pixels.height * pixels.width;
  std::vector<unsigned char> samples(static_cast<std::size_t>(plane * pixels.channels));
  if (!decoder.read_pixels(bytes, samples, grey)) refuse(path, decoder.error());
  pixels.values.resize(samples.size());
  for (std::int64_t k = 0; k < plane; ++k)
    for (std::int64_t c = 0; c < pixels.channels; ++c)
      pixels.values[static_cast<std::size_t>(c * plane + k)] =
          static_cast<float>(samples[static_cast<std::size_t>(k * pixels.channels + c)] / 127.5 - 1.0);
  return pixels;
}

}  // namespace dwgf
