/// `dwgf evaluate`: how good the restored images are, with what costs nothing beside them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <dwgf/base/error.hpp>
#include <dwgf/run/settings.hpp>

namespace dwgf {

/// One image's numbers; nothing where it does not apply (no truth, another shape, not stored).
struct Scores {
  std::optional<double> measurement, baseline, linear_mmse, mean, particle;
};

struct ImageEvaluation {
  std::uint64_t id = 0;
  std::string name;
  Scores psnr;  ///< dB
  Scores ssim;
};

struct Evaluation {
  std::string baseline_name;            ///< "bicubic"; empty where there is none
  std::vector<ImageEvaluation> images;  ///< committed ones, in the order of the file
  std::int64_t total = 0;               ///< images in the file, committed or not
  Scores psnr, ssim;                    ///< means over the images that have a value
};

/// Reads a results file, also while it is being written. `particle` is the mean over the stored particles of
/// one's score.
Evaluation evaluate(const std::string& results_path);

ExitCode evaluate_command(const Settings& settings);

}  // namespace dwgf
