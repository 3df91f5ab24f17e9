#include <algorithm>

#include <dwgf/base/error.hpp>
#include <dwgf/flow/diagnostics.hpp>

namespace dwgf {

const std::vector<Diagnostic>& diagnostic_rows() {
  static const std::vector<Diagnostic> rows = {
      {"misfit", "Misfit: |A(x) - y|^2 / (2 m), mean over particles", "misfit, [-1, 1] squared",
       Reduction::mean, true},
      {"data_gradient", "Data gradient", "root mean square", Reduction::root_mean_square, true},
      {"prior_gradient", "Prior gradient", "root mean square", Reduction::root_mean_square, true},
      {"neighbours", "Effective number of neighbours a particle", "particles", Reduction::mean, false, 1.0},
      {"ensemble_mean", "The ensemble's mean latent", "root mean square", Reduction::ensemble_mean},
      {"ensemble_spread", "The ensemble's spread in latent space", "root mean square",
       Reduction::ensemble_spread},
      {"redone", "Network calls made again in float32", "calls a particle", Reduction::mean}};
  return rows;
}

Diagnostics::Diagnostics() : series(diagnostic_rows().size()) {}

std::vector<std::string> Diagnostics::names() {
  std::vector<std::string> names;
  for (const Diagnostic& row : diagnostic_rows()) names.emplace_back(row.name);
  std::sort(names.begin(), names.end());
  return names;
}

const std::vector<double>& Diagnostics::named(std::string_view name) const {
  const std::vector<Diagnostic>& rows = diagnostic_rows();
  const auto row =
      std::find_if(rows.begin(), rows.end(), [&](const Diagnostic& one) { return one.name == name; });
  if (row == rows.end()) throw InternalError("no diagnostic is named {}", name);
  return series[static_cast<std::size_t>(row - rows.begin())];
}

}  // namespace dwgf
