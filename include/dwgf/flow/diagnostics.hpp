/// What is recorded of a flow: a row a quantity, one value a record. The two of the ensemble are NaN where
/// its sums left the range of fixed point (fixed_point.hpp).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dwgf {

/// How a record's value is made.
enum class Reduction {
  mean,              ///< over particles, of a number a particle
  root_mean_square,  ///< over particles and entries, of a tensor a particle
  ensemble_mean,     ///< root mean square of the ensemble's mean latent over its entries
  ensemble_spread    ///< that of the unbiased standard deviation; 0 at N = 1
};

struct Diagnostic {
  std::string_view name;  ///< /diagnostics/NAME in a results file
  std::string_view title;
  std::string_view unit;
  Reduction reduction;
  bool log_scale = false;  ///< how it is drawn
  double otherwise = 0.0;  ///< where a method has none
};

/// Adding one: a row at the end, and its value where a method has it (method.hpp).
const std::vector<Diagnostic>& diagnostic_rows();

struct Diagnostics {
  Diagnostics();

  std::vector<std::vector<double>> series;  ///< [rows][records]

  /// The rows' names in alphabetical order, as they are stored, and the values of one.
  static std::vector<std::string> names();
  const std::vector<double>& named(std::string_view name) const;
  std::size_t records() const { return series.front().size(); }
};

}  // namespace dwgf
