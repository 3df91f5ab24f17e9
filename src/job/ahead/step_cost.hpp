/// What a step of the flow costs, found by making some.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "job/restore_job.hpp"

namespace dwgf {

struct StepCost {
  double seconds = 0.0;  ///< a step of one micro-batch
  /// Of memory, at the largest size that was tried [bytes].
  std::uint64_t peak_bytes = 0;
  /// Empty: measured on an image of the job. Else the sizes that it was extrapolated from.
  std::string extrapolated_from = {};
};

/// One step of one micro-batch of the first readable image, timed the second time. Where steps of smaller
/// pictures let expect that this takes longer than `patience`, they are all that is measured, and the time
/// grows with the pixels and, for attention, with their square. Each of them is told to people. Nothing where
/// no step can be made.
/// @param patience  [s], of a machine that does nothing else
std::optional<StepCost> measure_step(const RestoreJob& job, double patience);

/// Seconds a step at `size` latent pixels, from two that were measured, a p + b p^2 with a, b >= 0.
/// @pre 0 < small < large
double extrapolated(double small, double small_seconds, double large, double large_seconds, double size);

}  // namespace dwgf
