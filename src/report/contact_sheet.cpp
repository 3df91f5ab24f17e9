#include "report/contact_sheet.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include <ATen/ATen.h>

namespace dwgf {

namespace {

/// Rows from the top, the leftmost pixel in bit 4.
struct Glyph {
  char character;
  std::array<unsigned char, 7> rows;
};

constexpr Glyph kFont[] = {
    {'a', {0x00, 0x00, 0x0e, 0x01, 0x0f, 0x11, 0x0f}}, {'b', {0x10, 0x10, 0x1e, 0x11, 0x11, 0x11, 0x1e}},
    {'c', {0x00, 0x00, 0x0e, 0x10, 0x10, 0x10, 0x0e}}, {'d', {0x01, 0x01, 0x0f, 0x11, 0x11, 0x11, 0x0f}},
    {'e', {0x00, 0x00, 0x0e, 0x11, 0x1f, 0x10, 0x0e}}, {'f', {0x06, 0x08, 0x1c, 0x08, 0x08, 0x08, 0x08}},
    {'g', {0x00, 0x00, 0x0f, 0x11, 0x0f, 0x01, 0x0e}}, {'h', {0x10, 0x10, 0x1e, 0x11, 0x11, 0x11, 0x11}},
    {'i', {0x04, 0x00, 0x0c, 0x04, 0x04, 0x04, 0x0e}}, {'j', {0x02, 0x00, 0x02, 0x02, 0x02, 0x12, 0x0c}},
    {'k', {0x10, 0x10, 0x12, 0x14, 0x18, 0x14, 0x12}}, {'l', {0x0c, 0x04, 0x04, 0x04, 0x04, 0x04, 0x0e}},
    {'m', {0x00, 0x00, 0x1a, 0x15, 0x15, 0x15, 0x15}}, {'n', {0x00, 0x00, 0x1e, 0x11, 0x11, 0x11, 0x11}},
    {'o', {0x00, 0x00, 0x0e, 0x11, 0x11, 0x11, 0x0e}}, {'p', {0x00, 0x00, 0x1e, 0x11, 0x1e, 0x10, 0x10}},
    {'q', {0x00, 0x00, 0x0f, 0x11, 0x0f, 0x01, 0x01}}, {'r', {0x00, 0x00, 0x16, 0x18, 0x10, 0x10, 0x10}},
    {'s', {0x00, 0x00, 0x0f, 0x10, 0x0e, 0x01, 0x1e}}, {'t', {0x08, 0x08, 0x1c, 0x08, 0x08, 0x08, 0x06}},
    {'u', {0x00, 0x00, 0x11, 0x11, 0x11, 0x11, 0x0f}}, {'v', {0x00, 0x00, 0x11, 0x11, 0x11, 0x0a, 0x04}},
    {'w', {0x00, 0x00, 0x15, 0x15, 0x15, 0x15, 0x0a}}, {'x', {0x00, 0x00, 0x11, 0x0a, 0x04, 0x0a, 0x11}},
    {'y', {0x00, 0x00, 0x11, 0x11, 0x0f, 0x01, 0x0e}}, {'z', {0x00, 0x00, 0x1f, 0x02, 0x04, 0x08, 0x1f}},
    {'0', {0x0e, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0e}}, {'1', {0x04, 0x0c, 0x04, 0x04, 0x04, 0x04, 0x0e}},
    {'2', {0x0e, 0x11, 0x01, 0x02, 0x04, 0x08, 0x1f}}, {'3', {0x0e, 0x11, 0x01, 0x06, 0x01, 0x11, 0x0e}},
    {'4', {0x02, 0x06, 0x0a, 0x12, 0x1f, 0x02, 0x02}}, {'5', {0x1f, 0x10, 0x1e, 0x01, 0x01, 0x11, 0x0e}},
    {'6', {0x0e, 0x10, 0x10, 0x1e, 0x11, 0x11, 0x0e}}, {'7', {0x1f, 0x01, 0x02, 0x04, 0x04, 0x04, 0x04}},
    {'8', {0x0e, 0x11, 0x11, 0x0e, 0x11, 0x11, 0x0e}}, {'9', {0x0e, 0x11, 0x11, 0x0f, 0x01, 0x01, 0x0e}},
    {'.', {0x00, 0x00, 0x00, 0x00, 0x00, 0x0c, 0x0c}}, {'-', {0x00, 0x00, 0x00, 0x0e, 0x00, 0x00, 0x00}},
    {'_', {0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x1f}},
};

constexpr std::int64_t kGap = 6;
constexpr std::int64_t kGlyphWidth = 6;
constexpr std::int64_t kGlyphHeight = 7;
constexpr std::int64_t kLeastCell = 96;
constexpr std::uint16_t kInk = 40;
constexpr std::uint16_t kPaper = 255;

/// A grey or colour canvas of 8 bit.
class Canvas {
 public:
  Canvas(std::int64_t height, std::int64_t width, int channels) {
    image_.height = height;
    image_.width = width;
    image_.channels = channels;
    image_.bits = 8;
    image_.samples.assign(static_cast<std::size_t>(height * width * channels), kPaper);
  }

  void draw(const at::Tensor& pixels, std::int64_t top, std::int64_t left, std::int64_t factor) {
    const at::Tensor v = (pixels.to(at::kDouble).clamp(0.0, 1.0) * 255.0).round().contiguous();  // [C, H, W]
    const std::int64_t height = v.size(1), width = v.size(2);
    const double* value = v.data_ptr<double>();
    for (std::int64_t y = 0; y < height * factor; ++y) {
      for (std::int64_t x = 0; x < width * factor; ++x) {
        for (int c = 0; c < image_.channels; ++c) {
          const std::int64_t from =
              (std::min<std::int64_t>(c, v.size(0) - 1) * height + y / factor) * width + x / factor;
          at(top + y, left + x, c) = static_cast<std::uint16_t>(value[from]);
        }
      }
    }
  }

  void write(const std::string& text, std::int64_t top, std::int64_t left, std::int64_t room) {
    for (std::size_t i = 0; i < text.size() && static_cast<std::int64_t>(i + 1) * kGlyphWidth <= room; ++i) {
      const auto lower = static_cast<char>(std::tolower(static_cast<unsigned char>(text[i])));
      const auto* glyph = std::find_if(std::begin(kFont), std::end(kFont),
                                       [&](const Glyph& g) { return g.character == lower; });
      if (glyph == std::end(kFont)) continue;
      for (std::int64_t y = 0; y < kGlyphHeight; ++y) {
        for (std::int64_t x = 0; x < 5; ++x) {
          if (!(glyph->rows[static_cast<std::size_t>(y)] >> (4 - x) & 1)) continue;
          for (int c = 0; c < image_.channels; ++c)
            at(top + y, left + static_cast<std::int64_t>(i) * kGlyphWidth + x, c) = kInk;
        }
      }
    }
  }

  PngImage take() { return std::move(image_); }

 private:
  std::uint16_t& at(std::int64_t y, std::int64_t x, int c) {
    return image_.samples[static_cast<std::size_t>((y * image_.width + x) * image_.channels + c)];
  }
  PngImage image_;
};

}  // namespace

PngImage contact_sheet(const std::vector<std::string>& headings, const std::vector<SheetRow>& rows) {
  std::int64_t height = 1, width = 1;
  int channels = 1;
  for (const SheetRow& row : rows) {
    for (const at::Tensor& cell : row.cells) {
      if (!cell.defined()) continue;
      height = std::max(height, cell.size(1));
      width = std::max(width, cell.size(2));
      channels = std::max(channels, static_cast<int>(cell.size(0)));
    }
  }
  const std::int64_t factor = std::max<std::int64_t>(1, (kLeastCell + width - 1) / width);
  const std::int64_t cell_height = height * factor, cell_width = width * factor;
  const auto columns = static_cast<std::int64_t>(headings.size());
  const std::int64_t row_height = cell_height + kGlyphHeight + 2 * kGap;
  const std::int64_t header = kGlyphHeight + 2 * kGap;
  Canvas canvas(header + static_cast<std::int64_t>(rows.size()) * row_height,
                kGap + columns * (cell_width + kGap), channels);

  for (std::int64_t column = 0; column < columns; ++column) {
    canvas.write(headings[static_cast<std::size_t>(column)], kGap, kGap + column * (cell_width + kGap),
                 cell_width);
  }
  for (std::size_t index = 0; index < rows.size(); ++index) {
    const std::int64_t top = header + static_cast<std::int64_t>(index) * row_height;
    canvas.write(rows[index].name, top, kGap, columns * (cell_width + kGap));
    for (std::size_t column = 0; column < rows[index].cells.size(); ++column) {
      const at::Tensor& cell = rows[index].cells[column];
      if (!cell.defined()) continue;
      // A small cell (a measurement of fewer pixels) is enlarged to the size of the others where a whole
      // factor allows it.
      const std::int64_t own =
          std::max<std::int64_t>(1, std::min(cell_height / cell.size(1), cell_width / cell.size(2)));
      canvas.draw(cell, top + kGlyphHeight + kGap,
                  kGap + static_cast<std::int64_t>(column) * (cell_width + kGap), own);
    }
  }
  return canvas.take();
}

}  // namespace dwgf
