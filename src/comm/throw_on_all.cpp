#include "comm/throw_on_all.hpp"

#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include <dwgf/base/error.hpp>

namespace dwgf {
namespace {

struct Failure {
  ExitCode code = ExitCode::internal;
  std::string text;
};

std::optional<Failure> failure_of(const std::function<void()>& step) {
  try {
    step();
  } catch (const Error& error) {
    return Failure{error.code(), error.what()};
  } catch (const std::bad_alloc&) {
    return Failure{ExitCode::internal,
                   "out of memory; start fewer ranks on this host, or choose a smaller flow.micro_batch"};
  } catch (const std::exception& error) {
    // Some libraries put a stack trace behind the first line, which helps no user.
    const std::string text = error.what();
    return Failure{ExitCode::internal, text.substr(0, text.find('\n'))};
  }
  return std::nullopt;
}

[[noreturn]] void raise(const Failure& failure) {
  switch (failure.code) {
    case ExitCode::usage:
      throw UsageError(failure.text);
    case ExitCode::bad_data:
      throw DataError(failure.text);
    case ExitCode::not_found:
      throw NotFoundError(failure.text);
    case ExitCode::internal:
      throw InternalError(failure.text);
    case ExitCode::rank_failed:
      throw RankError(failure.text);
    case ExitCode::io:
      throw IoError(failure.text);
    default:
      throw Error(failure.code, failure.text);
  }
}

}  // namespace

void throw_on_all(Collective& group, const std::function<void()>& step) {
  const auto mine = failure_of(step);

  struct Report {
    std::int64_t failed, code, length;
  };
  const Report report{mine.has_value(), mine ? static_cast<std::int64_t>(mine->code) : 0,
                      mine ? static_cast<std::int64_t>(mine->text.size()) : 0};
  std::vector<Report> reports(static_cast<std::size_t>(group.size()));
  group.all_gather(std::as_bytes(std::span(&report, 1)), std::as_writable_bytes(std::span(reports)));
  for (int rank = 0; rank < group.size(); ++rank) {
    const Report& theirs = reports[static_cast<std::size_t>(rank)];
    if (!theirs.failed) continue;
    std::string text =
        rank == group.rank() ? mine->text : std::string(static_cast<std::size_t>(theirs.length), ' ');
    group.broadcast(std::as_writable_bytes(std::span(text)), rank);
    raise({static_cast<ExitCode>(theirs.code), rank == 0 ? text : formatted("rank {}: {}", rank, text)});
  }
}

void run_on_root(Collective& group, const std::function<void()>& step) {
  throw_on_all(group, [&] {
    if (group.rank() == 0) step();
  });
}

}  // namespace dwgf
