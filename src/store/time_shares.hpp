/// Where the time of a file's images went, as its /timing datasets tell.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/results.hpp"

namespace dwgf {

/// A part of the time of an image: what the ranks of its group spent, in the mean over ranks and images [s].
struct TimeShare {
  std::string name;  ///< "denoiser", ..., "waiting" for the group's other ranks, "other"
  double seconds = 0.0;
};

struct TimeShares {
  std::vector<TimeShare> parts = {};  ///< they add up to `seconds`; empty where the file does not say
  double seconds = 0.0;               ///< an image
  double processors = 0.0;            ///< the processors' time an image, all threads [s]
  std::int64_t images = 0;            ///< that were looked at
};

/// Of committed images, evenly spaced, `most` at most.
TimeShares time_shares(const ResultsFile& file, std::int64_t most = 100);

/// "denoiser 46 %, decoder 20 %, ...": parts below half a percent are left out.
std::string text_of(const TimeShares& shares);

}  // namespace dwgf
