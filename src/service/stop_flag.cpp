#include "service/stop_flag.hpp"

namespace dwgf {

StopFlag::StopFlag(const Communicator& world) : ranks_(world.split(0, world.rank())) {}

bool StopFlag::stopping(bool asked_here) {
  const std::int64_t stop[1] = {1};
  bool heard = false;
  while (!ranks_.poll(1).empty()) heard = true;
  if (known_ || !(heard || asked_here)) return known_;
  known_ = true;
  if (ranks_.rank() != 0 && !heard) ranks_.post(0, stop);
  if (ranks_.rank() == 0) {
    for (int other = 1; other < ranks_.size(); ++other) ranks_.post(other, stop);
  }
  return true;
}

}  // namespace dwgf
