/// One restored image into the results file, by all ranks of its group: every rank its own particles, the
/// group's first rank the rest; the checksum from the parts of all; the commit record last.
#pragma once

#include <dwgf/comm/collective.hpp>
#include <dwgf/flow/solve.hpp>

#include "job/image_problem.hpp"
#include "job/step_clock.hpp"
#include "store/results.hpp"

namespace dwgf {

/// What one rank spent on an image until it was written, in seconds.
struct ImageTiming {
  double total = 0.0;
  double waited = 0.0;      ///< of it, for the group's other ranks
  int group = 0;            ///< the number of the group
  double processors = 0.0;  ///< the time of all processors together
  StepSeconds parts{};      ///< of its steps
};

/// The values of an image that are summed, reduced and written at a time: all of a small image.
inline constexpr std::int64_t kSlabValues = std::int64_t{1} << 20;

/// Collective over `group`. `prior` decodes: the job's own, or one around it. Throws Diverged on all ranks
/// alike when a decoded particle is not finite; IoError. `slab_values` other than kSlabValues only in tests:
/// the bits are the same.
void write_image(ResultsFile& results, std::int64_t row, const Prior& prior, const ImageProblem& image,
                 const Solution& solution, Collective& group, const ImageTiming& timing,
                 std::int64_t slab_values = kSlabValues);

}  // namespace dwgf
