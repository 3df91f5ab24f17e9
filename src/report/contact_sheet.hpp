/// Many small pictures on one, in rows and columns with headings.
#pragma once

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

/// Every cell is enlarged by a whole factor so that it is at least 96 pixels wide. Headings are drawn in a
/// small built-in font (letters, digits and a few signs; others are left blank).
PngImage contact_sheet(const std::vector<std::string>& headings, const std::vector<SheetRow>& rows);

}  // namespace dwgf
