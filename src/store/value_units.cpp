#include "store/value_units.hpp"

#include <charconv>

#include <dwgf/base/text.hpp>

namespace dwgf {
namespace {

/// The shortest text that reads back as the same number.
std::string text_of(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

}  // namespace

std::optional<ValueUnits> units_of(const ValueRange& range) {
  if (range == ValueRange()) return std::nullopt;
  return ValueUnits{(range.high - range.low) / 2, (range.high + range.low) / 2, ""};
}

void put_units(std::map<std::string, std::string>& attributes, const ValueUnits& units) {
  attributes["value_scale"] = text_of(units.scale);
  attributes["value_offset"] = text_of(units.offset);
  if (!units.unit.empty()) attributes["unit"] = units.unit;
}

std::optional<ValueUnits> units_in(const std::map<std::string, std::string>& attributes) {
  const auto number = [&](const char* name) -> std::optional<double> {
    const auto found = attributes.find(name);
    return found == attributes.end() ? std::nullopt : parse_double(found->second);
  };
  const auto scale = number("value_scale"), offset = number("value_offset");
  if (!scale && !offset) return std::nullopt;
  const auto unit = attributes.find("unit");
  return ValueUnits{scale.value_or(1), offset.value_or(0), unit == attributes.end() ? "" : unit->second};
}

}  // namespace dwgf
