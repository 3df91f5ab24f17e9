#include "operators/operator_arguments.hpp"

#include <numeric>
#include <optional>
#include <utility>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>

#include "base/precondition.hpp"

namespace dwgf {

OperatorArguments::OperatorArguments(std::string stage, std::string usage, std::vector<std::string> values)
    : stage_(std::move(stage)), usage_(std::move(usage)), values_(std::move(values)) {}

void OperatorArguments::expect_count(std::size_t least, std::size_t most) const {
  if (count() >= least && count() <= most) return;
  const std::string allowed = least == most ? formatted("{}", least) : formatted("{} to {}", least, most);
  refuse(formatted("found {}{} where {} can be", count(), count() == 1 ? " argument" : " arguments", allowed),
         "write `" + usage_ + "`");
}

const std::string& OperatorArguments::text(std::size_t index) const {
  precondition(index < count(), "an argument that the operator has");
  return values_[index];
}

std::int64_t OperatorArguments::integer(std::size_t index, const char* name, std::int64_t least) const {
  const std::optional<std::int64_t> value = parse_int64(text(index));
  if (!value) refuse(formatted("{} '{}' is not an integer", name, text(index)), "write `" + usage_ + "`");
  if (*value < least) refuse(formatted("{} is {}", name, *value), formatted("it must be at least {}", least));
  return *value;
}

double OperatorArguments::number(std::size_t index, const char* name) const {
  const std::optional<double> value = parse_double(text(index));
  if (!value)
    refuse(formatted("{} '{}' is not a finite number", name, text(index)), "write `" + usage_ + "`");
  return *value;
}

std::int64_t OperatorArguments::dividing_factor(std::size_t index, const ImageShape& shape,
                                                const char* otherwise) const {
  const std::int64_t factor = integer(index, "the factor", 1);
  if (shape.height % factor == 0 && shape.width % factor == 0) return factor;
  const bool rows = shape.height % factor != 0;
  const std::int64_t common = std::gcd(shape.height, shape.width);
  refuse(formatted("the factor {} does not divide the {}{} of the image of {}", factor,
                   rows ? "height " : "width ", rows ? shape.height : shape.width, to_text(shape)),
         formatted("it must be a divisor of {}, or take {}:{}, which takes any size", common, otherwise,
                   factor));
}

void OperatorArguments::refuse(const std::string& reason, const std::string& advice) const {
  throw UsageError("problem.operator: '" + stage_ + "': " + reason + "; " + advice);
}

std::string to_text(const ImageShape& shape) {
  return formatted("{} x {} x {}", shape.channels, shape.height, shape.width);
}

}  // namespace dwgf
