/// Numbers on any scale as values on [-1, 1], and back.
#pragma once

namespace dwgf {

/// The numbers that become -1 and 1. @pre low < high
struct ValueRange {
  double low = -1, high = 1;

  double to_unit(double number) const { return 2 * (number - low) / (high - low) - 1; }
  bool operator==(const ValueRange&) const = default;
};

}  // namespace dwgf
