/// Breaks a long silence: says what is under way when nothing else has been said for a while.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace dwgf {

class Heartbeat {
 public:
  /// @param doing  what is under way, asked from another thread; empty: nothing to say
  explicit Heartbeat(std::function<std::string()> doing,
                     std::chrono::milliseconds silence = std::chrono::seconds(5));
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

 private:
  void watch();

  std::function<std::string()> doing_;
  std::chrono::milliseconds silence_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace dwgf
