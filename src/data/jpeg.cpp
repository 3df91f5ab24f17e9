#include "data/detail/jpeg.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <string_view>

#include <turbojpeg.h>

#include <dwgf/base/error.hpp>

#include "base/posix_file.hpp"
#include "data/detail/colour.hpp"
#include "data/detail/orientation.hpp"

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

/// What the segments before the pixels say.
struct Marks {
  int orientation = 1;
  std::vector<std::byte> profile;
  bool inverted = false;  ///< Adobe's CMYK: 255 is no ink
  bool several = false;   ///< MPO: other pictures follow
};

/// https://www.w3.org/Graphics/JPEG/itu-t81.pdf (B.1), https://www.color.org/specification/ICC.1-2022-05.pdf
/// (B.4)
Marks marks_of(const std::vector<unsigned char>& bytes) {
  constexpr unsigned char start_of_scan = 0xDA, app1 = 0xE1, app2 = 0xE2, app14 = 0xEE;
  constexpr std::string_view exif("Exif\0\0", 6), icc("ICC_PROFILE\0", 12), mpo("MPF\0", 4),
      adobe("Adobe", 5);
  Marks marks;
  std::map<int, std::span<const std::byte>> parts;  // of the profile, by number
  std::size_t at = 2;
  while (at + 4 <= bytes.size() && bytes[at] == 0xFF) {
    const unsigned char kind = bytes[at + 1];
    if (kind == 0xFF) {  // a fill byte
      ++at;
      continue;
    }
    const std::size_t length = std::size_t{bytes[at + 2]} << 8 | bytes[at + 3];
    if (kind == start_of_scan || length < 2 || at + 2 + length > bytes.size()) break;
    const auto body = std::as_bytes(std::span(bytes)).subspan(at + 4, length - 2);
    const std::string_view text(reinterpret_cast<const char*>(body.data()), body.size());
    if (kind == app1 && text.starts_with(exif))
      marks.orientation = exif_orientation(body.subspan(exif.size()));
    if (kind == app2 && text.starts_with(icc) && body.size() > icc.size() + 2)
      parts[std::to_integer<int>(body[icc.size()])] = body.subspan(icc.size() + 2);
    marks.several = marks.several || (kind == app2 && text.starts_with(mpo));
    marks.inverted = marks.inverted || (kind == app14 && text.starts_with(adobe));
    at += 2 + length;
  }
  for (const auto& [number, part] : parts)
    marks.profile.insert(marks.profile.end(), part.begin(), part.end());
  return marks;
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
  bool read_pixels(const std::vector<unsigned char>& bytes, std::vector<unsigned char>& out) {
    const int format = channels() == 1 ? TJPF_GRAY : channels() == 4 ? TJPF_CMYK : TJPF_RGB;
    return !tjDecompress2(jpeg_.get(), bytes.data(), bytes.size(), out.data(), static_cast<int>(size.width),
                          0, static_cast<int>(size.height), format,
                          TJFLAG_ACCURATEDCT | TJFLAG_STOPONWARNING);
  }
  std::int64_t channels() const {
    if (colours == TJCS_GRAY) return 1;
    return colours == TJCS_CMYK || colours == TJCS_YCCK ? 4 : 3;
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
  std::vector<unsigned char> bytes = first_bytes(file, mostly_enough);
  if (!decoder.read_header(bytes)) {
    bytes = first_bytes(file, file.size());
    if (!decoder.read_header(bytes)) refuse(path, decoder.error());
  }
  require_possible(decoder.size, path);
  return upright(decoder.size, marks_of(bytes).orientation);
}

ImagePixels read_jpeg(const std::string& path, const PictureChoices&) {
  const auto file = PosixFile::open_for_reading(path);
  const std::vector<unsigned char> bytes = first_bytes(file, file.size());
  Decoder decoder;
  if (!decoder.read_header(bytes)) refuse(path, decoder.error());
  require_possible(decoder.size, path);
  const Marks marks = marks_of(bytes);
  ImagePixels pixels{decoder.channels(), decoder.size.height, decoder.size.width, {}};
  if (pixels.channels == 4 && marks.profile.empty())
    refuse(path,
           "it is CMYK, for print, without a colour profile that tells what the inks are; convert it to RGB");
  const std::int64_t plane = pixels.height * pixels.width;
  std::vector<unsigned char> samples(static_cast<std::size_t>(plane * pixels.channels));
  if (!decoder.read_pixels(bytes, samples)) refuse(path, decoder.error());
  if (pixels.channels == 4 && marks.inverted)
    for (unsigned char& sample : samples) sample = static_cast<unsigned char>(255 - sample);
  pixels.values.resize(samples.size());
  for (std::int64_t k = 0; k < plane; ++k)
    for (std::int64_t c = 0; c < pixels.channels; ++c)
      pixels.values[static_cast<std::size_t>(c * plane + k)] =
          static_cast<float>(samples[static_cast<std::size_t>(k * pixels.channels + c)] / 127.5 - 1.0);
  if (!marks.profile.empty()) pixels = profile_to_srgb(std::move(pixels), marks.profile, path);
  if (marks.several) pixels.notes.push_back(formatted("{} holds several pictures; its first is read", path));
  return upright(std::move(pixels), marks.orientation);
}

}  // namespace dwgf
