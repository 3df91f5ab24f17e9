/// The arguments of one stage of an operator spec, read strictly; a fault names the stage, what is wrong and
/// what is allowed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <dwgf/operators/operator.hpp>

namespace dwgf {

class OperatorArguments {
 public:
  /// `stage` is the text for messages (`box:1,2,3,4`), `usage` how the operator is written
  /// (`box:top,left,height,width`).
  OperatorArguments(std::string stage, std::string usage, std::vector<std::string> values);

  std::size_t count() const { return values_.size(); }

  /// Throws UsageError unless there are `least` to `most` arguments.
  void expect_count(std::size_t least, std::size_t most) const;

  /// Argument `index` as it stands. @pre index < count()
  const std::string& text(std::size_t index) const;
  /// ... as an integer of at least `least`. Throws UsageError that calls it `name`.
  std::int64_t integer(std::size_t index, const char* name, std::int64_t least) const;
  /// ... as a finite number. Throws UsageError that calls it `name`.
  double number(std::size_t index, const char* name) const;

  /// ... as a factor >= 1 that divides height and width. `otherwise` is what takes any size, for the advice.
  /// Throws UsageError.
  std::int64_t dividing_factor(std::size_t index, const ImageShape& shape, const char* otherwise) const;

  /// Throws UsageError: problem.operator, the stage, why it is refused, what to do.
  [[noreturn]] void refuse(const std::string& reason, const std::string& advice) const;

 private:
  std::string stage_;
  std::string usage_;
  std::vector<std::string> values_;
};

/// "3 x 32 x 48"
std::string to_text(const ImageShape& shape);

}  // namespace dwgf
