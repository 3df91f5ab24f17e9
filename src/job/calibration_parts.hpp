/// What a calibration has summed so far, kept beside its file so that a later run goes on from there: each
/// rank of the run writes FILE.part-RANK, and any number of ranks takes them up again.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <dwgf/comm/collective.hpp>

namespace dwgf {

/// The blocks that a rank has summed and their sums.
struct CalibrationPart {
  std::vector<std::uint8_t> done;  ///< of every block: 1 where it is in the sums
  std::vector<std::int64_t> sums;
};

class CalibrationParts {
 public:
  /// @param identity  of what is summed: parts of another one are refused
  CalibrationParts(std::string file, std::uint64_t identity, std::size_t blocks, std::size_t numbers);

  /// Collective over `ranks`: deals the parts that are there to the ranks, which add them up. No block counts
  /// twice, whenever an earlier run was killed. @return this rank's; and on all ranks, in `done`, which
  /// blocks any of them has. Throws CollectiveError (bad_data: not of this calibration, damaged; io).
  CalibrationPart take_up(Collective& ranks, std::vector<std::uint8_t>& done);

  /// Replaces this rank's part, then removes those that it has taken up. Throws IoError.
  void keep(int rank, const CalibrationPart& part);

  /// On one rank, once all is done: removes every part.
  void remove() const;

 private:
  std::vector<std::string> present() const;
  CalibrationPart read(const std::string& path) const;

  std::string file_;
  std::uint64_t identity_;
  std::size_t blocks_, numbers_;
  std::vector<std::string> taken_up_;
};

}  // namespace dwgf
