/// What every source of pixels does with them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include <dwgf/data/picture.hpp>

namespace dwgf {

/// Throws InternalError unless `k` is one of `rows` rows.
void require_row(std::int64_t k, std::size_t rows, const std::string& name);

/// Samples of 8 or 16 bits as values on [-1, 1]: all that the bits can say, or, of 16 bits, a range that
/// reaches above 255 (PictureChoices).
class SampleScale {
 public:
  SampleScale(int bits, const std::optional<ValueRange>& range);
  float largest() const { return largest_; }
  float operator()(std::uint16_t sample) const;

 private:
  float largest_;
  std::optional<ValueRange> range_;
};

/// A number of a file without a scale as a value on [-1, 1]; as it stands where there is no range.
inline float on_range(double value, const std::optional<ValueRange>& range) {
  return static_cast<float>(range ? range->to_unit(value) : value);
}

/// Notes pixels of 16 bits, on [-1, 1], of which at most the lowest 12 bits are used.
void note_few_bits(ImagePixels& pixels, const std::string& path);

/// Pixels laid on a background with these opacities, [H, W] on [0, 1]; a background that is not grey makes
/// colour of grey. Throws DataError naming the first pixel that is not opaque where there is no background.
/// @param premultiplied  whether the pixels, with black for 0, were multiplied by their opacity
ImagePixels laid_on(ImagePixels pixels, std::span<const float> opacity,
                    const std::optional<std::array<double, 3>>& background, const std::string& path,
                    bool premultiplied = false);

/// Throws DataError naming the first value that is not finite or outside [-1, 1] by more than 1e-3, and where
/// it is.
void check_pixels(const ImagePixels& pixels, std::int64_t row, const std::string& name);

/// Grey repeated, or colour as Rec. 601 luma. Throws InternalError unless `channels` is 1 or 3.
ImagePixels with_channels(ImagePixels pixels, std::int64_t channels);

}  // namespace dwgf
