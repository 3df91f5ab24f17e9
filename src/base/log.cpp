#include "base/log.hpp"

#include <atomic>
#include <chrono>
#include <cstdio>

#include <unistd.h>

#include <dwgf/base/error.hpp>

#include "base/printable.hpp"

namespace dwgf {
namespace {

LogSource& source() {
  static LogSource value;
  return value;
}

std::atomic<std::chrono::steady_clock::rep>& spoken() {
  static std::atomic<std::chrono::steady_clock::rep> ticks = 0;
  return ticks;
}

/// In one call, so that lines of several ranks do not mix.
void print(LogLevel level, const std::string& message) {
  const std::string& command = source().command;
  std::string line = isatty(STDERR_FILENO) ? "\r\033[K" : "";  // over a line of progress
  if (command.empty()) line += "dwgf";
  if (!command.empty()) line += level == LogLevel::error ? "dwgf " + command : command;
  line += level == LogLevel::warning ? ": warning: " : ": ";
  std::fputs((line + printable(message) + "\n").c_str(), stderr);
  note_spoken();
}

}  // namespace

void note_spoken() {
  spoken() = std::chrono::steady_clock::now().time_since_epoch().count();
}

std::chrono::steady_clock::time_point last_spoken() {
  return std::chrono::steady_clock::time_point(std::chrono::steady_clock::duration(spoken().load()));
}

void set_log_source(const LogSource& value) {
  source() = value;
}

void log_job(LogLevel level, std::string_view message) {
  if (source().rank == 0) print(level, std::string(message));
}

void log_rank(LogLevel level, std::string_view message) {
  const LogSource& own = source();
  print(level, own.ranks == 1
                   ? std::string(message)
                   : formatted("[rank {} of {} on {}] {}", own.rank, own.ranks, own.host, message));
}

}  // namespace dwgf
