/// One line on standard error that says how far all ranks are, at which rate, and how long it will take.
/// Group leaders post small messages to rank 0, which prints; nobody waits.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <dwgf/comm/mpi.hpp>

namespace dwgf {

class Progress {
 public:
  /// @param images  to do in this run; @param steps_per_image  steps of one image
  Progress(Communicator& world, int groups, int group, bool leader, std::int64_t images,
           std::int64_t steps_per_image);

  /// On a leader: one more step of the image at hand is done. Other ranks do nothing.
  void step_done();
  void image_done(bool failed);
  /// On a leader: one line about an image that failed, in full; after twenty of them only counted.
  void tell_failure(const std::string& image, const std::string& reason);
  /// On a leader: a line for people about the image at hand.
  void tell_people(const std::string& line);
  /// On every rank after its last image; rank 0 stays, prints, and calls `meanwhile` now and then, until all
  /// groups have finished.
  void finish(const std::function<void()>& meanwhile);

 private:
  using Clock = std::chrono::steady_clock;
  struct Group {
    std::int64_t images = 0, failed = 0, steps = 0, finished = 0;
  };
  void tell(bool now);
  void collect();
  void print(bool last);

  Communicator& world_;
  int group_;
  bool leader_;
  std::int64_t images_;
  std::int64_t steps_per_image_;
  Group mine_;
  std::vector<Group> groups_;  // on rank 0
  Clock::time_point start_ = Clock::now(), told_{}, printed_{};
  bool terminal_;
  int told_failures_ = 0;
};

}  // namespace dwgf
