#include "data/images.hpp"

#include <filesystem>
#include <future>
#include <optional>

#include <dwgf/base/error.hpp>

#include "data/formats.hpp"

namespace dwgf {
namespace {

/// Reads the image that is probably asked for next, as far on as this one was from the last, on a thread of
/// its own while this one is worked on. A wrong guess costs one reading.
class ReadAhead final : public ImageSource {
 public:
  explicit ReadAhead(std::unique_ptr<ImageSource> source) : source_(std::move(source)) {}

  const std::vector<ImageEntry>& entries() const override { return source_->entries(); }
  std::int64_t ignored() const override { return source_->ignored(); }
  std::vector<std::string> notes() const override { return source_->notes(); }
  std::optional<ValueRange> range() const override { return source_->range(); }
  bool reads_anywhere() const override { return true; }

  ImagePixels read_as_is(std::int64_t k) const override {
    if (ahead_.valid()) ahead_.wait();
    return source_->read_as_is(k);
  }

  ImagePixels read(std::int64_t k, std::int64_t channels) const override {
    std::future<ImagePixels> pending;
    if (ahead_.valid()) {
      const bool wanted = k == ahead_row_ && channels == ahead_channels_;
      if (wanted) pending = std::move(ahead_);
      if (!wanted) ahead_.wait();
    }
    if (!pending.valid()) {
      ImagePixels pixels = source_->read(k, channels);
      begin_next(k, channels);
      return pixels;
    }
    pending.wait();
    begin_next(k, channels);
    return pending.get();
  }

 private:
  void begin_next(std::int64_t k, std::int64_t channels) const {
    const std::int64_t next = last_ && k > *last_ ? k + (k - *last_) : k + 1;
    last_ = k;
    ahead_ = {};
    if (next >= static_cast<std::int64_t>(source_->entries().size())) return;
    ahead_row_ = next;
    ahead_channels_ = channels;
    ahead_ = std::async(std::launch::async, [this, next, channels] { return source_->read(next, channels); });
  }

  std::unique_ptr<ImageSource> source_;
  mutable std::optional<std::int64_t> last_;
  mutable std::int64_t ahead_row_ = -1, ahead_channels_ = 0;
  mutable std::future<ImagePixels> ahead_;  // after `source_`: it ends before that does
};

}  // namespace

std::unique_ptr<ImageSource> open_images(const std::string& data, const PictureChoices& choices) {
  SelfCollective self;
  return open_images(data, self, choices);
}

std::unique_ptr<ImageSource> open_images(const std::string& data, Collective& ranks,
                                         const PictureChoices& choices) {
  std::string descriptions;
  for (const InputFormat& format : input_formats()) {
    descriptions += format.description() + ", ";
    if (!format.recognises(data)) continue;
    std::unique_ptr<ImageSource> source = format.open(data, ranks, choices);
    if (!source->reads_anywhere()) return source;
    return std::make_unique<ReadAhead>(std::move(source));
  }
  std::error_code ignored;
  if (std::filesystem::status(data, ignored).type() == std::filesystem::file_type::not_found) {
    throw NotFoundError("input.data = {} does not exist; it is {}or a file of measurements", data,
                        descriptions);
  }
  throw DataError(
      "input.data = {} is not {}or a file of measurements (attribute dwgf_measurements); of another HDF5 "
      "file, the dataset is named too: {}:/dataset",
      data, descriptions, data);
}

}  // namespace dwgf
