#include "prior/flow_matching_course.hpp"

namespace dwgf {

std::vector<FewStep> flow_matching_course(const FlowMatchingPath& path, std::int64_t steps) {
  const std::vector<double> sigmas = path.sigmas(steps);
  const std::vector<Level> levels = path.levels(steps + 1);
  std::vector<FewStep> course;
  for (std::size_t k = 0; k < sigmas.size(); ++k) {
    const double next = k + 1 < sigmas.size() ? sigmas[k + 1] : 0.0;
    const Level landing = path.level(levels[k].noise + (next - sigmas[k]));
    course.push_back({.at = levels[k], .lands = landing, .next = landing});
  }
  return course;
}

}  // namespace dwgf
