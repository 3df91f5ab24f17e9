#include "service/progress.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string>
#include <thread>
#include <utility>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>

#include "base/log.hpp"
#include "comm/progress_interval.hpp"

namespace dwgf {

namespace {
using namespace std::chrono_literals;
constexpr auto kPrintOnTerminal = 500ms;
constexpr auto kPrintInLog = 10s;
constexpr auto kPublishEvery = 3s;
constexpr std::size_t kMessage = 8;  // group, images, failed, steps, finished, rank, done, dropped
}  // namespace

Progress::Progress(Communicator& world, int groups, int group, bool leader, const ProgressWork& work,
                   std::function<void(const std::string&)> publish, ProgressWords words)
    : world_(world),
      group_(group),
      leader_(leader),
      work_(work),
      tell_every_(progress_interval(groups)),
      groups_(world.rank() == 0 ? static_cast<std::size_t>(groups) : 0),
      publish_(std::move(publish)),
      started_(std::time(nullptr)),
      terminal_(isatty(STDERR_FILENO) == 1),
      words_(std::move(words)) {
  told_ = printed_ = start_;
  mine_.rank = world.rank();
  if (leader_) tell(true);  // so that one that never ends its first step is known
}

void Progress::image_begins(std::int64_t pixels) {
  pixels_ = std::max<std::int64_t>(pixels, 1);
  done_ = dropped_ = 0;
}

void Progress::goes_on_after(std::int64_t steps) {
  if (!leader_) return;
  mine_.done -= std::exchange(done_, 0);
  mine_.dropped += steps * pixels_ - std::exchange(dropped_, steps * pixels_);
}

void Progress::step_done() {
  if (!leader_) return;
  ++mine_.steps;
  done_ += pixels_;
  mine_.done += pixels_;
  tell(false);
}

void Progress::image_done(bool failed) {
  if (!leader_) return;
  ++mine_.images;
  mine_.failed += failed;
  if (failed) mine_.done -= std::exchange(done_, 0);
  mine_.dropped += work_.steps * pixels_ - done_ - dropped_;  // also of one that stopped early
  done_ = dropped_ = 0;
  tell(true);
}

void Progress::tell_failure(const std::string& image, const std::string& reason) {
  constexpr int shown = 20;
  if (++told_failures_ > shown) return;
  std::fprintf(stderr, "%s%s: failed: %s: %s\n", terminal_ ? "\r\033[K" : "", words_.command.c_str(),
               image.c_str(), reason.c_str());
  if (told_failures_ == shown) {
    std::fprintf(stderr, "%s: further failures are counted, and in the results file with their reasons\n",
                 words_.command.c_str());
  }
}

void Progress::tell_people(const std::string& line) {
  if (leader_)
    std::fprintf(stderr, "%s%s: %s\n", terminal_ ? "\r\033[K" : "", words_.command.c_str(), line.c_str());
}

void Progress::tell(bool now) {
  if (world_.rank() == 0) {
    groups_[static_cast<std::size_t>(group_)] = mine_;
    collect();
    print(false);
    publish();
  } else if (now || Clock::now() - told_ >= tell_every_) {
    told_ = Clock::now();
    const std::int64_t message[kMessage] = {group_,         mine_.images, mine_.failed, mine_.steps,
                                            mine_.finished, mine_.rank,   mine_.done,   mine_.dropped};
    world_.post(0, message);
  }
}

void Progress::collect() {
  for (;;) {
    const std::vector<std::int64_t> message = world_.poll(kMessage);
    if (message.size() != kMessage) return;
    ++heard_;
    groups_[static_cast<std::size_t>(message[0])] = {message[1], message[2], message[3], message[4],
                                                     message[5], message[6], message[7]};
  }
}

void Progress::finish(const std::function<void()>& meanwhile) {
  mine_.finished = 1;
  if (leader_) tell(true);
  if (world_.rank() != 0) return;
  const auto unfinished = [](const Group& group) { return group.finished == 0; };
  while (std::any_of(groups_.begin(), groups_.end(), unfinished)) {
    collect();
    meanwhile();
    print(false);
    publish();
    std::this_thread::sleep_for(20ms);
  }
  if (work_.images > 0) print(true);
}

void Progress::publish() {
  if (!publish_ || (published_ != Clock::time_point{} && Clock::now() - published_ < kPublishEvery)) return;
  published_ = Clock::now();
  publish_(json());
}

double Progress::Sums::share() const {
  return work > 0 ? static_cast<double>(all.done) / work : 1.0;
}

double Progress::Sums::seconds_left() const {
  return seconds * (work - static_cast<double>(all.done)) / static_cast<double>(all.done);
}

Progress::Sums Progress::sums() const {
  Sums sums;
  for (const Group& group : groups_) {
    sums.all.images += group.images;
    sums.all.failed += group.failed;
    sums.all.steps += group.steps;
    sums.all.done += group.done;
    sums.all.dropped += group.dropped;
  }
  const std::int64_t pixels = work_.pixels > 0 ? work_.pixels : work_.images;
  sums.work =
      static_cast<double>(pixels) * static_cast<double>(work_.steps) - static_cast<double>(sums.all.dropped);
  sums.seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  return sums;
}

std::string Progress::json() const {
  using Json = nlohmann::ordered_json;
  const Sums now = sums();
  const Group* slowest = nullptr;
  for (const Group& group : groups_) {
    if (group.finished == 0 && (!slowest || group.steps < slowest->steps)) slowest = &group;
  }
  Json object = {{"host", host_name()},      {"process", getpid()},        {"started", started_},
                 {"groups", groups_.size()}, {"images", work_.images},     {"ended", now.all.images},
                 {"failed", now.all.failed}, {"images_per_hour", nullptr}, {"seconds_left", nullptr},
                 {"slowest", nullptr}};
  if (now.all.done > 0) {
    const double images = static_cast<double>(work_.images - now.all.failed);
    object["images_per_hour"] = 3600.0 * now.share() * images / now.seconds;
    object["seconds_left"] = now.seconds_left();
  }
  if (slowest) {
    object["slowest"] = {{"rank", slowest->rank},
                         {"steps_per_second", static_cast<double>(slowest->steps) / now.seconds}};
  }
  return object.dump();
}

void Progress::print(bool last) {
  const auto now = Clock::now();
  if (!last &&
      now - printed_ < (terminal_ ? Clock::duration(kPrintOnTerminal) : Clock::duration(kPrintInLog)))
    return;
  printed_ = now;
  const Sums so_far = sums();
  std::string line =
      formatted("{}: {} of {} {}", words_.command, so_far.all.images, work_.images, words_.things);
  if (so_far.all.failed) line += formatted(" ({} failed)", so_far.all.failed);
  if (last) {
    line += formatted(" in {}", human_duration(so_far.seconds));
  } else if (so_far.all.done > 0) {
    char text[96];
    std::snprintf(text, sizeof text, ", %.0f %%, %.3g steps/s", 100.0 * so_far.share(),
                  static_cast<double>(so_far.all.steps) / so_far.seconds);
    line += formatted("{}, {} left", text, human_duration(so_far.seconds_left()));
  }
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s%s", line.c_str(), last ? "\n" : "");
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  std::fflush(stderr);
  note_spoken();
}

}  // namespace dwgf
