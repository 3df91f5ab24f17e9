#include "service/progress.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string>
#include <thread>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>

#include "comm/progress_interval.hpp"

namespace dwgf {

namespace {
using namespace std::chrono_literals;
constexpr auto kPrintOnTerminal = 500ms;
constexpr auto kPrintInLog = 10s;
constexpr auto kPublishEvery = 3s;
constexpr std::size_t kMessage = 6;  // group, images, failed, steps, finished, rank
}  // namespace

Progress::Progress(Communicator& world, int groups, int group, bool leader, std::int64_t images,
                   std::int64_t steps_per_image, std::function<void(const std::string&)> publish,
                   ProgressWords words)
    : world_(world),
      group_(group),
      leader_(leader),
      images_(images),
      steps_per_image_(steps_per_image),
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

void Progress::step_done() {
  if (!leader_) return;
  ++mine_.steps;
  tell(false);
}

void Progress::image_done(bool failed) {
  if (!leader_) return;
  ++mine_.images;
  mine_.failed += failed;
  mine_.steps = mine_.images * steps_per_image_;
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
    const std::int64_t message[kMessage] = {group_,      mine_.images,   mine_.failed,
                                            mine_.steps, mine_.finished, mine_.rank};
    world_.post(0, message);
  }
}

void Progress::collect() {
  for (;;) {
    const std::vector<std::int64_t> message = world_.poll(kMessage);
    if (message.size() != kMessage) return;
    ++heard_;
    groups_[static_cast<std::size_t>(message[0])] = {message[1], message[2], message[3], message[4],
                                                     message[5]};
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
  if (images_ > 0) print(true);
}

void Progress::publish() {
  if (!publish_ || (published_ != Clock::time_point{} && Clock::now() - published_ < kPublishEvery)) return;
  published_ = Clock::now();
  publish_(json());
}

std::string Progress::json() const {
  using Json = nlohmann::ordered_json;
  const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  std::int64_t steps = 0, failed = 0, done = 0;
  const Group* slowest = nullptr;
  for (const Group& group : groups_) {
    steps += group.steps;
    failed += group.failed;
    done += group.images;
    if (group.finished == 0 && (!slowest || group.steps < slowest->steps)) slowest = &group;
  }
  const double rate = static_cast<double>(steps) / seconds;
  const double left = static_cast<double>(images_ * steps_per_image_ - steps);
  Json object = {{"host", host_name()},      {"process", getpid()},        {"started", started_},
                 {"groups", groups_.size()}, {"images", images_},          {"ended", done},
                 {"failed", failed},         {"images_per_hour", nullptr}, {"seconds_left", nullptr},
                 {"slowest", nullptr}};
  if (steps > 0) {
    object["images_per_hour"] = 3600.0 * rate / static_cast<double>(steps_per_image_);
    object["seconds_left"] = left / rate;
  }
  if (slowest) {
    object["slowest"] = {{"rank", slowest->rank},
                         {"steps_per_second", static_cast<double>(slowest->steps) / seconds}};
  }
  return object.dump();
}

void Progress::print(bool last) {
  const auto now = Clock::now();
  if (!last &&
      now - printed_ < (terminal_ ? Clock::duration(kPrintOnTerminal) : Clock::duration(kPrintInLog)))
    return;
  printed_ = now;
  Group all;
  for (const Group& group : groups_) {
    all.images += group.images;
    all.failed += group.failed;
    all.steps += group.steps;
  }
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double total = static_cast<double>(images_) * static_cast<double>(steps_per_image_);
  std::string line = formatted("{}: {} of {} {}", words_.command, all.images, images_, words_.things);
  if (all.failed) line += formatted(" ({} failed)", all.failed);
  if (last) {
    line += formatted(" in {}", human_duration(seconds));
  } else if (all.steps > 0) {
    const double rate = static_cast<double>(all.steps) / seconds;
    char text[96];
    std::snprintf(text, sizeof text, ", %.0f %%, %.3g steps/s",
                  100.0 * static_cast<double>(all.steps) / total, rate);
    line += formatted("{}, {} left", text, human_duration((total - static_cast<double>(all.steps)) / rate));
  }
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s%s", line.c_str(), last ? "\n" : "");
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  std::fflush(stderr);
}

}  // namespace dwgf
