/// Jobs that follow from others: from what a measurements file says, to do images over again, of a slice.
#pragma once

#include <optional>
#include <string>

#include "input/settings.hpp"

namespace dwgf {

/// What the measurements file `path` says of itself.
struct MeasuredWith {
  std::string path;
  std::optional<std::string> forward, noise;
  std::optional<double> sigma;
  bool lists_sigma = false;  ///< one an image
};

/// Takes operator, noise and sigma from the file, unless the user gave them. Throws UsageError where the
/// operator that was given, unless it leaves something open, or the noise is another than the file's, and
/// where neither says something.
void take_measured(Settings& job, const MeasuredWith& file);

/// The job that does the images of the results file `path`, made by `stored`, over again. Of what `given`
/// gives, it takes what decides nothing of a result; throws UsageError for the rest.
Settings rerun_of(const std::string& path, Settings stored, const Settings& given);

/// The job `stored` that makes the results file `path`, to go on with it there. Of what `given` gives, as
/// above.
Settings resumed(const std::string& path, Settings stored, const Settings& given);

/// The same job for other images of its data set.
Settings slice_of(Settings job, std::int64_t first, std::int64_t count);

}  // namespace dwgf
