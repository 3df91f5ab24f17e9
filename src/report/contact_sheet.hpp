/// Many small pictures on one, in rows and columns with headings.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "data/png.hpp"

namespace dwgf {

/// Pixels for display: [C, H, W] on [0, 1] with C = 1 or 3; undefined for an empty cell.
struct SheetRow {
  std::string name;
  std::vector<at::Tensor> cells;
};

/// What the sheet's font can show of an image's name: one '_' for each run of other characters; "image ROW"
/// where no letter and no digit is left before its ending.
std::string legible_name(const std::string& name, std::int64_t row);

/// The cells of a row are enlarged by whole factors, the largest of them to 96 pixels at least and the
/// smaller ones up to its size; a row is as high as its own cells, a column as wide as its widest. Texts are
/// drawn in a small built-in font (letters, digits and a few signs; others are left blank), larger where the
/// sheet is.
PngImage contact_sheet(const std::vector<std::string>& headings, const std::vector<SheetRow>& rows);

}  // namespace dwgf
