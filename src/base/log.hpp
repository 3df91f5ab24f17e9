/// Lines for people on standard error: two speakers, three levels. The job speaks once, by its first rank; a
/// rank that speaks for itself says which it is.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace dwgf {

enum class LogLevel {
  info,     ///< "restore: text"
  warning,  ///< "restore: warning: text"
  error     ///< "dwgf restore: text", as the shell's tools name themselves
};

/// Who speaks. Until it is set: a program without a command, alone.
struct LogSource {
  std::string command = {};  ///< "restore"
  int rank = 0, ranks = 1;
  std::string host = {};
};

/// Notes that this process has told people something; the functions below do so themselves.
void note_spoken();
/// When it last did; the clock's epoch where it never did. From any thread.
std::chrono::steady_clock::time_point last_spoken();

/// @pre no other thread logs meanwhile
void set_log_source(const LogSource& source);

/// Prints what all ranks know: on the first rank, and nothing on the others.
void log_job(LogLevel level, std::string_view message);

/// Prints what this rank alone knows, among several ranks with its number and host: "[rank 3 of 8 on node7]".
void log_rank(LogLevel level, std::string_view message);

}  // namespace dwgf
