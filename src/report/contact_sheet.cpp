#include "report/contact_sheet.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include <ATen/ATen.h>

#include <dwgf/base/format.hpp>

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

/// Capitals are drawn as small letters; null for what the font does not have.
const Glyph* glyph_of(char character) {
  const auto lower = static_cast<char>(std::tolower(static_cast<unsigned char>(character)));
  const auto* glyph = std::ranges::find_if(kFont, [&](const Glyph& one) { return one.character == lower; });
  return glyph == std::end(kFont) ? nullptr : glyph;
}

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

  /// @param scale  pixels to a dot of the font
  void write(const std::string& text, std::int64_t top, std::int64_t left, std::int64_t room,
             std::int64_t scale) {
    for (std::size_t i = 0; i < text.size() && static_cast<std::int64_t>(i + 1) * kGlyphWidth * scale <= room;
         ++i) {
      const Glyph* glyph = glyph_of(text[i]);
      if (!glyph) continue;
      for (std::int64_t y = 0; y < kGlyphHeight * scale; ++y) {
        for (std::int64_t x = 0; x < 5 * scale; ++x) {
          if (!(glyph->rows[static_cast<std::size_t>(y / scale)] >> (4 - x / scale) & 1)) continue;
          for (int c = 0; c < image_.channels; ++c)
            at(top + y, left + static_cast<std::int64_t>(i) * kGlyphWidth * scale + x, c) = kInk;
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

/// Where everything of a sheet lies [pixels].
struct SheetPlan {
  int channels = 1;
  std::int64_t text = 1;              ///< pixels to a dot of the font
  std::vector<std::int64_t> widths;   ///< of the columns
  std::vector<std::int64_t> heights;  ///< of the rows' cells
  std::vector<std::int64_t> largest;  ///< widths of the rows' widest cells

  std::int64_t line() const { return kGlyphHeight * text; }
  std::int64_t width() const {
    std::int64_t sum = kGap;
    for (const std::int64_t column : widths) sum += column + kGap;
    return sum;
  }
  std::int64_t height() const {
    std::int64_t sum = line() + 2 * kGap;
    for (const std::int64_t row : heights) sum += line() + 2 * kGap + row;
    return sum;
  }
};

/// By how much a cell is enlarged in a row of this height and largest width.
std::int64_t factor_of(const at::Tensor& cell, std::int64_t height, std::int64_t width) {
  return std::max<std::int64_t>(1, std::min(height / cell.size(1), width / cell.size(2)));
}

SheetPlan plan_of(std::size_t columns, const std::vector<SheetRow>& rows) {
  constexpr std::int64_t columns_of_text = 640;  // of a sheet whose texts are as small as they can be
  SheetPlan plan;
  plan.widths.assign(columns, 1);
  for (const SheetRow& row : rows) {
    std::int64_t height = 1, width = 1;
    for (const at::Tensor& cell : row.cells) {
      if (!cell.defined()) continue;
      height = std::max(height, cell.size(1));
      width = std::max(width, cell.size(2));
      plan.channels = std::max(plan.channels, static_cast<int>(cell.size(0)));
    }
    const std::int64_t factor = std::max<std::int64_t>(1, (kLeastCell + width - 1) / width);
    plan.heights.push_back(height * factor);
    plan.largest.push_back(factor * width);
    for (std::size_t column = 0; column < row.cells.size(); ++column) {
      const at::Tensor& cell = row.cells[column];
      if (cell.defined())
        plan.widths[column] = std::max(
            plan.widths[column], cell.size(2) * factor_of(cell, plan.heights.back(), plan.largest.back()));
    }
  }
  for (std::int64_t& width : plan.widths) width = std::max(width, kLeastCell);
  plan.text = std::max<std::int64_t>(1, (plan.width() + columns_of_text / 2) / columns_of_text);
  return plan;
}

}  // namespace

std::string legible_name(const std::string& name, std::int64_t row) {
  std::string shown;
  for (const char character : name) {
    const bool known = character == ' ' || glyph_of(character) != nullptr;
    if (known || shown.empty() || shown.back() != '_') shown += known ? character : '_';
  }
  const std::string stem = shown.substr(0, shown.rfind('.'));
  const bool any = std::ranges::any_of(stem, [](unsigned char c) { return std::isalnum(c) != 0; });
  return any ? shown : formatted("image {}", row);
}

PngImage contact_sheet(const std::vector<std::string>& headings, const std::vector<SheetRow>& rows) {
  const SheetPlan plan = plan_of(headings.size(), rows);
  Canvas canvas(plan.height(), plan.width(), plan.channels);
  std::int64_t left = kGap;
  for (std::size_t column = 0; column < headings.size(); ++column) {
    canvas.write(headings[column], kGap, left, plan.widths[column], plan.text);
    left += plan.widths[column] + kGap;
  }
  std::int64_t top = plan.line() + 2 * kGap;
  for (std::size_t index = 0; index < rows.size(); ++index) {
    canvas.write(rows[index].name, top, kGap, plan.width() - kGap, plan.text);
    left = kGap;
    for (std::size_t column = 0; column < rows[index].cells.size(); ++column) {
      const at::Tensor& cell = rows[index].cells[column];
      if (cell.defined())
        canvas.draw(cell, top + plan.line() + kGap, left,
                    factor_of(cell, plan.heights[index], plan.largest[index]));
      left += plan.widths[column] + kGap;
    }
    top += plan.line() + 2 * kGap + plan.heights[index];
  }
  return canvas.take();
}

}  // namespace dwgf
