#include "service/heartbeat.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"

namespace dwgf {

Heartbeat::Heartbeat(std::function<std::string()> doing, std::chrono::milliseconds silence)
    : doing_(std::move(doing)), silence_(silence), thread_([this] { watch(); }) {}

Heartbeat::~Heartbeat() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Heartbeat::watch() {
  const auto pause = std::min(silence_, std::chrono::milliseconds(200));
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, pause, [this] { return ending_; })) {
    const auto silent_since = std::max(start_, last_spoken());
    if (std::chrono::steady_clock::now() - silent_since < silence_) continue;
    if (const std::string text = doing_(); !text.empty()) log_job(LogLevel::info, text);
  }
}

}  // namespace dwgf
