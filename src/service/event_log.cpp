#include "service/event_log.hpp"

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <system_error>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <dwgf/base/error.hpp>

namespace dwgf {

namespace {

/// "2026-01-31T12:00:00.123Z".
std::string utc_now() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + length, sizeof text - length, ".%03dZ", static_cast<int>(milliseconds));
  return text;
}

}  // namespace

EventLog::EventLog(const std::string& path, int rank, std::string host)
    : rank_(rank), host_(std::move(host)) {
  if (path.empty()) return;
  std::string name = path;
  if (const std::size_t at = name.find("%r"); at != std::string::npos)
    name.replace(at, 2, std::to_string(rank));
  descriptor_ = ::open(name.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor_ < 0) {
    throw IoError("log.file: '{}' cannot be opened on host {}: {}; name a file in a folder that is there",
                  name, host_, std::generic_category().message(errno));
  }
}

EventLog::~EventLog() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void EventLog::event(const std::string& name, Fields fields) {
  if (descriptor_ < 0) return;
  nlohmann::ordered_json line = {{"time", utc_now()}, {"rank", rank_}, {"host", host_}, {"event", name}};
  for (const auto& [key, value] : fields)
    std::visit([&, key = key](const auto& content) { line[key] = content; }, value);
  // A name of a file need not be UTF-8; JSON has to be.
  const std::string text = line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  [[maybe_unused]] const ssize_t written = ::write(descriptor_, text.data(), text.size());
}

}  // namespace dwgf
