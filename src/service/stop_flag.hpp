/// A stop that one rank was asked for reaches all of them: it tells the first rank, which tells the others.
/// Nobody waits; each rank sees it at one of its next step boundaries.
#pragma once

#include <dwgf/comm/mpi.hpp>

namespace dwgf {

class StopFlag {
 public:
  /// Collective over `world`.
  explicit StopFlag(const Communicator& world);

  /// Passes on what this rank was asked for and what has arrived; true once any rank was asked to stop and
  /// this one knows.
  bool stopping(bool asked_here);

 private:
  Communicator ranks_;
  bool known_ = false;
};

}  // namespace dwgf
