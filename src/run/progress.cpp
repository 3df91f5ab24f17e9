#include <algorithm>
#include <cstdio>
#include <string>
#include <thread>

#include <unistd.h>

#include <dwgf/base/error.hpp>
#include <dwgf/base/text.hpp>
#include <dwgf/run/progress.hpp>

namespace dwgf {

namespace {
using namespace std::chrono_literals;
constexpr auto kTellEvery = 500ms;
constexpr auto kPrintOnTerminal = 500ms;
constexpr auto kPrintInLog = 10s;
constexpr std::size_t kMessage = 5;  // group, images, failed, steps, finished
}  // namespace

Progress::Progress(Communicator& world, int groups, int group, bool leader, std::int64_t images,
                   std::int64_t steps_per_image)
    : world_(world),
      group_(group),
      leader_(leader),
      images_(images),
      steps_per_image_(steps_per_image),
      groups_(world.rank() == 0 ? static_cast<std::size_t>(groups) : 0),
      terminal_(isatty(STDERR_FILENO) == 1) {
  told_ = printed_ = start_;
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
  std::fprintf(stderr, "%srestore: failed: %s: %s\n", terminal_ ? "\r\033[K" : "", image.c_str(),
               reason.c_str());
  if (told_failures_ == shown) {
    std::fprintf(stderr,
                 "restore: further failures are counted, and in the results file with their reasons\n");
  }
}

void Progress::tell_people(const std::string& line) {
  if (leader_) std::fprintf(stderr, "%srestore: %s\n", terminal_ ? "\r\033[K" : "", line.c_str());
}

void Progress::tell(bool now) {
  if (world_.rank() == 0) {
    groups_[static_cast<std::size_t>(group_)] = mine_;
    collect();
    print(false);
  } else if (now || Clock::now() - told_ >= kTellEvery) {
    told_ = Clock::now();
    const std::int64_t message[kMessage] = {group_, mine_.images, mine_.failed, mine_.steps, mine_.finished};
    world_.post(0, message);
  }
}

void Progress::collect() {
  for (;;) {
    const std::vector<std::int64_t> message = world_.poll(kMessage);
    if (message.size() != kMessage) return;
    groups_[static_cast<std::size_t>(message[0])] = {message[1], message[2], message[3], message[4]};
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
    std::this_thread::sleep_for(20ms);
  }
  if (images_ > 0) print(true);
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
  std::string line = concat("restore: ", all.images, " of ", images_, " images");
  if (all.failed) line += concat(" (", all.failed, " failed)");
  if (last) {
    line += concat(" in ", human_duration(seconds));
  } else if (all.steps > 0) {
    const double rate = static_cast<double>(all.steps) / seconds;
    char text[96];
    std::snprintf(text, sizeof text, ", %.0f %%, %.3g steps/s",
                  100.0 * static_cast<double>(all.steps) / total, rate);
    line += concat(text, ", ", human_duration((total - static_cast<double>(all.steps)) / rate), " left");
  }
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s%s", line.c_str(), last ? "\n" : "");
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  std::fflush(stderr);
}

}  // namespace dwgf
