#include "hdf5/number_type.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include <dwgf/base/error.hpp>

#include "hdf5/half.hpp"

namespace dwgf {
namespace {

static_assert(std::endian::native == std::endian::little,
              "files are little-endian, and bytes are written as they are");

struct Named {
  NumberType type;
  const char* name;
  std::size_t size;
};
constexpr Named kKnown[] = {{NumberType::none, "none", 0},
                            {NumberType::uint8, "uint8", 1},
                            {NumberType::float16, "float16", 2},
                            {NumberType::float32, "float32", 4},
                            {NumberType::float64, "float64", 8}};

const Named& entry(NumberType type) {
  for (const auto& candidate : kKnown) {
    if (candidate.type == type) return candidate;
  }
  throw InternalError("no number type has the code {}", static_cast<int>(type));
}

std::uint8_t pixel_of(double value) {
  const double level = (value + 1.0) * 127.5;
  if (!(level > 0.0)) return 0;  // NaN too
  if (level >= 255.0) return 255;
  return static_cast<std::uint8_t>(std::nearbyint(level));
}

template <class Stored, class Value, class Convert>
std::vector<std::byte> converted(std::span<const Value> values, const Convert& convert) {
  std::vector<std::byte> bytes(values.size() * sizeof(Stored));
  for (std::size_t k = 0; k < values.size(); ++k) {
    const Stored stored = convert(values[k]);
    std::memcpy(bytes.data() + k * sizeof(Stored), &stored, sizeof(Stored));
  }
  return bytes;
}

template <class Value>
std::vector<std::byte> bytes_of(std::span<const Value> values, NumberType type) {
  switch (type) {
    case NumberType::uint8:
      return converted<std::uint8_t>(values, [](double value) { return pixel_of(value); });
    case NumberType::float16:
      return converted<std::uint16_t>(values, [](double value) { return half_from_double(value); });
    case NumberType::float32:
      return converted<float>(values, [](Value value) { return static_cast<float>(value); });
    case NumberType::float64:
      return converted<double>(values, [](Value value) { return static_cast<double>(value); });
    case NumberType::none:
      break;
  }
  throw InternalError("values cannot be stored as 'none'");
}

template <class Stored, class Convert>
std::vector<float> values_of(std::span<const std::byte> bytes, const Convert& convert) {
  std::vector<float> values(bytes.size() / sizeof(Stored));
  for (std::size_t k = 0; k < values.size(); ++k) {
    Stored stored;
    std::memcpy(&stored, bytes.data() + k * sizeof(Stored), sizeof(Stored));
    values[k] = convert(stored);
  }
  return values;
}

}  // namespace

std::string name_of(NumberType type) {
  return entry(type).name;
}
std::size_t size_of(NumberType type) {
  return entry(type).size;
}

std::vector<std::byte> to_bytes(std::span<const double> values, NumberType type) {
  return bytes_of(values, type);
}
std::vector<std::byte> to_bytes(std::span<const float> values, NumberType type) {
  return bytes_of(values, type);
}

std::vector<float> from_bytes(std::span<const std::byte> bytes, NumberType type) {
  if (type == NumberType::none || bytes.size() % size_of(type) != 0) {
    throw InternalError("{} bytes are not a whole number of {} values", bytes.size(), name_of(type));
  }
  switch (type) {
    case NumberType::uint8:
      return values_of<std::uint8_t>(
          bytes, [](std::uint8_t level) { return static_cast<float>(level / 127.5 - 1.0); });
    case NumberType::float16:
      return values_of<std::uint16_t>(bytes, half_to_float);
    case NumberType::float32:
      return values_of<float>(bytes, [](float value) { return value; });
    default:
      return values_of<double>(bytes, [](double value) { return static_cast<float>(value); });
  }
}

}  // namespace dwgf
