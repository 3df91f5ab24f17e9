/// What values on [-1, 1] are in the units of whoever gave them: value = scale x + offset [unit].
#pragma once

#include <map>
#include <optional>
#include <string>

#include <dwgf/base/value_range.hpp>

namespace dwgf {

struct ValueUnits {
  double scale = 1, offset = 0;
  std::string unit;  ///< such as "HU"; empty: not known

  bool operator==(const ValueUnits&) const = default;
};

/// The units whose range is this one; nothing for [-1, 1] itself.
std::optional<ValueUnits> units_of(const ValueRange& range);

/// The same as texts among a file's attributes: value_scale, value_offset and, where known, unit.
void put_units(std::map<std::string, std::string>& attributes, const ValueUnits& units);
/// Nothing where there are none, or no numbers.
std::optional<ValueUnits> units_in(const std::map<std::string, std::string>& attributes);

}  // namespace dwgf
