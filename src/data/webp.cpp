#include "data/detail/webp.hpp"

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <webp/decode.h>
#include <webp/demux.h>

#include <dwgf/base/error.hpp>

#include "base/posix_file.hpp"
#include "data/detail/colour.hpp"
#include "data/detail/image_pixels.hpp"
#include "data/detail/orientation.hpp"

namespace dwgf {
namespace {

constexpr std::int64_t kMostSamples = std::int64_t{1} << 28;

class WebpFile {
 public:
  explicit WebpFile(const std::string& path) : path_(path) {
    const auto file = PosixFile::open_for_reading(path);
    bytes_.resize(file.size());
    file.read(0, std::as_writable_bytes(std::span(bytes_)));
    const WebPData data{bytes_.data(), bytes_.size()};
    demuxer_.reset(WebPDemux(&data));
    if (!demuxer_) refuse("it is damaged or truncated");
    size_ = {number(WEBP_FF_CANVAS_HEIGHT), number(WEBP_FF_CANVAS_WIDTH)};
    if (size_.height < 1 || size_.width < 1 || size_.height * size_.width * 4 > kMostSamples)
      refuse(
          formatted("its size of {} x {} is 0 or more than this program takes", size_.height, size_.width));
  }

  const PictureSize& size() const { return size_; }
  bool is_animated() const { return (number(WEBP_FF_FORMAT_FLAGS) & ANIMATION_FLAG) != 0; }

  /// Of a chunk; empty where there is none.
  std::vector<std::byte> chunk(const char* name) const {
    WebPChunkIterator found{};
    std::vector<std::byte> content;
    if (WebPDemuxGetChunk(demuxer_.get(), name, 1, &found)) {
      const auto bytes = std::as_bytes(std::span(found.chunk.bytes, found.chunk.size));
      content.assign(bytes.begin(), bytes.end());
    }
    WebPDemuxReleaseChunkIterator(&found);
    return content;
  }

  int orientation() const {
    const std::vector<std::byte> block = chunk("EXIF");
    constexpr std::string_view mark("Exif\0\0", 6);  // that of JPEG, which some writers leave there
    const std::string_view text(reinterpret_cast<const char*>(block.data()), block.size());
    return exif_orientation(std::span(block).subspan(text.starts_with(mark) ? mark.size() : 0));
  }

  /// Samples of the first picture, [H, W, 4] of red, green, blue and opacity.
  std::vector<std::uint8_t> samples() const {
    WebPIterator frame{};
    const std::unique_ptr<WebPIterator, void (*)(WebPIterator*)> release(&frame, WebPDemuxReleaseIterator);
    if (!WebPDemuxGetFrame(demuxer_.get(), 1, &frame)) refuse("it holds no picture");
    if (frame.width != size_.width || frame.height != size_.height)
      refuse("its first picture does not fill its canvas");
    std::vector<std::uint8_t> out(static_cast<std::size_t>(size_.height * size_.width * 4));
    if (!WebPDecodeRGBAInto(frame.fragment.bytes, frame.fragment.size, out.data(), out.size(),
                            static_cast<int>(size_.width * 4)))
      refuse("it is damaged or truncated");
    return out;
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    throw DataError("{} is not a WebP file that can be read ({}); save it again, as PNG or WebP", path_, why);
  }
  std::int64_t number(WebPFormatFeature feature) const { return WebPDemuxGetI(demuxer_.get(), feature); }

  std::string path_;
  std::vector<std::uint8_t> bytes_;  // outlive the demuxer, which points into them
  std::unique_ptr<WebPDemuxer, void (*)(WebPDemuxer*)> demuxer_{nullptr, WebPDemuxDelete};
  PictureSize size_;
};

}  // namespace

PictureSize read_webp_size(const std::string& path) {
  const WebpFile file(path);
  return upright(file.size(), file.orientation());
}

ImagePixels read_webp(const std::string& path, const PictureChoices& choices) {
  const WebpFile file(path);
  const std::vector<std::uint8_t> samples = file.samples();
  ImagePixels pixels{3, file.size().height, file.size().width, {}};
  const auto plane = static_cast<std::size_t>(pixels.height * pixels.width);
  std::vector<float> opacity(plane);
  pixels.values.resize(3 * plane);
  for (std::size_t k = 0; k < plane; ++k) {
    for (std::size_t c = 0; c < 3; ++c)
      pixels.values[c * plane + k] = static_cast<float>(samples[4 * k + c] / 127.5 - 1.0);
    opacity[k] = static_cast<float>(samples[4 * k + 3]) / 255.0f;
  }
  if (const std::vector<std::byte> profile = file.chunk("ICCP"); !profile.empty())
    pixels = profile_to_srgb(std::move(pixels), profile, path);
  pixels = laid_on(std::move(pixels), opacity, choices.background, path);
  if (file.is_animated())
    pixels.notes.push_back(formatted("{} is animated; its first picture is read", path));
  return upright(std::move(pixels), file.orientation());
}

}  // namespace dwgf
