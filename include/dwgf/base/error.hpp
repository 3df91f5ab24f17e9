/// Errors that a user can act on. Every message says what is wrong, where, why, and what to do about it;
/// the class of the error decides the exit code. Only `main` turns an error into the end of the job.
#pragma once

#include <stdexcept>
#include <string>
#include <type_traits>

#include <dwgf/base/format.hpp>

namespace dwgf {

/// The program's exit codes (sysexits where one fits).
enum class ExitCode : int {
  ok = 0,
  some_images_failed = 3,  ///< finished, but some images failed; the reasons are in the results file
  usage = 64,              ///< wrong usage or configuration
  bad_data = 65,           ///< bad input data: image, weights, measurements
  not_found = 66,          ///< an input does not exist
  internal = 70,           ///< a fault of this program
  rank_failed = 71,        ///< a rank or a device failed or hung
  io = 74,                 ///< reading or writing failed
  stopped = 75,            ///< stopped on request; the same command goes on from there
};

class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

struct UsageError : Error {
  explicit UsageError(const std::string& message) : Error(ExitCode::usage, message) {}
  template <class... Values>
  requires(sizeof...(Values) > 0) explicit UsageError(FormatText<std::type_identity_t<Values>...> text,
                                                      const Values&... values)
      : UsageError(formatted(text, values...)) {}
};
struct DataError : Error {
  explicit DataError(const std::string& message) : Error(ExitCode::bad_data, message) {}
  template <class... Values>
  requires(sizeof...(Values) > 0) explicit DataError(FormatText<std::type_identity_t<Values>...> text,
                                                     const Values&... values)
      : DataError(formatted(text, values...)) {}
};
struct NotFoundError : Error {
  explicit NotFoundError(const std::string& message) : Error(ExitCode::not_found, message) {}
  template <class... Values>
  requires(sizeof...(Values) > 0) explicit NotFoundError(FormatText<std::type_identity_t<Values>...> text,
                                                         const Values&... values)
      : NotFoundError(formatted(text, values...)) {}
};
struct InternalError : Error {
  explicit InternalError(const std::string& message) : Error(ExitCode::internal, message) {}
  template <class... Values>
  requires(sizeof...(Values) > 0) explicit InternalError(FormatText<std::type_identity_t<Values>...> text,
                                                         const Values&... values)
      : InternalError(formatted(text, values...)) {}
};
struct RankError : Error {
  explicit RankError(const std::string& message) : Error(ExitCode::rank_failed, message) {}
  template <class... Values>
  requires(sizeof...(Values) > 0) explicit RankError(FormatText<std::type_identity_t<Values>...> text,
                                                     const Values&... values)
      : RankError(formatted(text, values...)) {}
};
struct IoError : Error {
  explicit IoError(const std::string& message) : Error(ExitCode::io, message) {}
  template <class... Values>
  requires(sizeof...(Values) > 0) explicit IoError(FormatText<std::type_identity_t<Values>...> text,
                                                   const Values&... values)
      : IoError(formatted(text, values...)) {}
};

}  // namespace dwgf
