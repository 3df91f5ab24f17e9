/// The images that a prior's moments are measured on: given ones, or the prior's own samples; in blocks of a
/// fixed number, as they go through the networks.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <dwgf/comm/collective.hpp>
#include <dwgf/prior/prior.hpp>

#include "input/job_input.hpp"

namespace dwgf {

/// Images of one size, at most as many as a network call takes.
struct CalibrationBlock {
  Canvas canvas;
  std::int64_t first = 0;  ///< place of its first image among all, which numbers their random draws
  std::int64_t count = 0;
};

class CalibrationImages {
 public:
  virtual ~CalibrationImages() = default;

  /// Image `place` (as blocks count them) on its canvas: [count, C, H', W'] on the CPU. Throws DataError.
  virtual at::Tensor read(const CalibrationBlock& block) const = 0;
  /// What they are, in words, and so that other images have other words.
  virtual std::string source() const = 0;
  virtual std::string identity() const = 0;

  const std::vector<CalibrationBlock>& blocks() const { return blocks_; }
  std::int64_t count() const;
  bool one_size() const;

 protected:
  std::vector<CalibrationBlock> blocks_;
};

/// Of `input.images`, or, where that names none, `input.samples` of the prior's own. Collective over `ranks`.
/// Throws UsageError, NotFoundError, DataError.
std::unique_ptr<CalibrationImages> calibration_images(const CalibrateInput& input, const Prior& prior,
                                                      Collective& ranks);

}  // namespace dwgf
