/// What happens in a run, for programs: one JSON object a line, rank and event, appended to a file that all
/// ranks share or each has of its own. Lines for people go to standard error as always.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <variant>

namespace dwgf {

class EventLog {
 public:
  using Value = std::variant<std::int64_t, double, std::string>;
  using Fields = std::initializer_list<std::pair<const char*, Value>>;

  /// Opens `path` to append; `%r` in it becomes the rank. An empty path: no log. Throws IoError.
  EventLog(const std::string& path, int rank, std::string host);
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;
  ~EventLog();

  /// Writes {"time": UTC, "rank": ..., "host": ..., "event": ..., fields}, with one system call, so that
  /// lines of several ranks do not mix (over NFS they may: give each rank a file by `%r`). From any thread. A
  /// log that cannot be written any more costs nothing but its lines.
  void event(const std::string& name, Fields fields = {});

 private:
  int descriptor_ = -1;
  int rank_;
  std::string host_;
};

}  // namespace dwgf
