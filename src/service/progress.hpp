/// How far all ranks are, at which rate, and how long it will take: one line on standard error, and a JSON
/// object for `dwgf status`. A step counts as much as its image has pixels; what failed images would have
/// taken, and the steps that an earlier run made, are no work of this run. Group leaders post small messages
/// to rank 0, which prints; nobody waits.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <dwgf/comm/mpi.hpp>

namespace dwgf {

/// What there is to do in this run.
struct ProgressWork {
  std::int64_t images = 0;
  std::int64_t steps = 1;   ///< of one image
  std::int64_t pixels = 0;  ///< of all images; 0: all are alike
};

/// What the line says: "restore: 3 of 10 images".
struct ProgressWords {
  std::string command = "restore", things = "images";
};

class Progress {
 public:
  /// @param publish  called on rank 0 every few seconds with the JSON object
  Progress(Communicator& world, int groups, int group, bool leader, const ProgressWork& work,
           std::function<void(const std::string&)> publish = {}, ProgressWords words = {});

  /// On a leader: an image of so many pixels comes next. Left out where all are alike.
  void image_begins(std::int64_t pixels);
  /// On a leader: so many steps of it were made by an earlier run; also where it begins once more.
  void goes_on_after(std::int64_t steps);

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
  /// On rank 0: how many messages of other groups have come in.
  std::int64_t heard() const { return heard_; }

  /// What `dwgf status` shows of a job that runs: images (of this run), groups, images_per_hour and
  /// seconds_left (null before the first step), slowest (the group under way with the lowest rate: its first
  /// rank and steps_per_second), host, process, started (seconds since 1970).
  std::string json() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Group {
    std::int64_t images = 0, failed = 0, steps = 0, finished = 0, rank = 0;
    std::int64_t done = 0, dropped = 0;  ///< [pixels times steps]
  };
  struct Sums {
    Group all;
    double seconds = 0.0;
    double share() const;         ///< of the work that is done, 0 ... 1
    double seconds_left() const;  ///< @pre all.done > 0
    double work = 0.0;            ///< that is and was to do
  };
  Sums sums() const;
  void tell(bool now);
  void collect();
  void print(bool last);
  void publish();

  Communicator& world_;
  int group_;
  bool leader_;
  ProgressWork work_;
  std::int64_t pixels_ = 1;              // of the image at hand
  std::int64_t done_ = 0, dropped_ = 0;  // of it
  std::chrono::milliseconds tell_every_;
  Group mine_;
  std::vector<Group> groups_;  // on rank 0
  Clock::time_point start_ = Clock::now(), told_{}, printed_{};
  std::function<void(const std::string&)> publish_;
  Clock::time_point published_{};
  std::int64_t started_ = 0;  // seconds since 1970
  bool terminal_;
  ProgressWords words_;
  int told_failures_ = 0;
  std::int64_t heard_ = 0;
};

}  // namespace dwgf
