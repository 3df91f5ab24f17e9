/// The operators of a spec by name, as help lists them and make_operator reads them.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace dwgf {

struct OperatorDescription {
  const char* usage;  ///< the name, then how its arguments are written
  std::size_t least_arguments, most_arguments;
  const char* equation;
  bool depends_on_image = false;  ///< drawn for each image by its identity

  std::string_view name() const;
};

/// Every operator.
std::span<const OperatorDescription> operator_descriptions();

/// The text of --help-operators: one line an operator, with its equation.
std::string describe_operators();

}  // namespace dwgf
